// The channels that messages go through, and how each fares.

import { sentence, moment } from "../words";
import { type Channel, channelWords, KIND_WORDS, troubleWords } from "./rules";

export function Channels({ channels, now }: { channels: readonly Channel[]; now: number }) {
  return (
    <ul class="channels">
      {channels.map((channel) => {
        const trouble = troubleWords(channel);
        return (
          <li key={channel.name} class={`channel is-${channel.state}`} aria-label={channel.name}>
            <div class="channel-head">
              <h3>{channel.name}</h3>
              <p class="quiet">{KIND_WORDS[channel.kind] ?? sentence(channel.kind)}</p>
              <p class="stand">
                <i aria-hidden="true" />
                {channelWords(channel)}
              </p>
            </div>
            <dl>
              <Count name="Waiting" of={channel.waiting} />
              <Count name="Delivered" of={channel.delivered} />
              <Count name="Failed attempts" of={channel.failed} />
              {channel.given_up > 0 && <Count name="Given up" of={channel.given_up} />}
              {channel.dropped > 0 && <Count name="Gave way to newer ones" of={channel.dropped} />}
            </dl>
            {trouble && <p class="trouble">{trouble}.</p>}
            {channel.last_at && (
              <p class="quiet">Last tried {moment(Date.parse(channel.last_at), now)}</p>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function Count({ name, of }: { name: string; of: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{of}</dd>
    </div>
  );
}
