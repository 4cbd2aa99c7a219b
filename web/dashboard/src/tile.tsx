// One stream on the wall.

import { memo } from "preact/compat";
import type { App } from "./app";
import type { Condition } from "./attention";
import { ConditionIcon } from "./icons";
import { Sparkline } from "./meter";
import { Unacknowledged } from "./incidents/mark";
import { LivePicture } from "./picture";
import type { Model } from "./protocol";
import { address } from "./route";
import { MINUTE_MS, type Stream, doubt, frameAge, leading, primary } from "./streams";
import { Tags } from "./tags";
import { ago, because, number, scoreMeaning, stateWords } from "./words";
import "./verdict.css";
import "./tile.css";

interface Props {
  app: App;
  stream: Stream;
  /** The stream's version, so that only what changed is drawn anew. */
  version: number;
  condition: Condition;
  now: number;
  stale: boolean;
  pictureWidth: number;
  /** The status of the model where all streams share it: that is said once above them. */
  noticed: Model["status"] | null;
  /** The level of its name among the headings. */
  heading: 2 | 3;
}

export const Tile = memo(function Tile(props: Props) {
  const { app, stream, condition, now, stale, pictureWidth, noticed } = props;
  const Name = props.heading === 3 ? "h3" : "h2";
  const lead = leading(stream);
  const doubted = doubt(stream);
  const why = because(stream, condition, noticed);
  const age = frameAge(stream, now);
  const route = { page: "stream", id: stream.id, from: null, to: null } as const;
  return (
    <article class={`tile is-${condition}`} aria-labelledby={`name-${stream.id}`}>
      <LivePicture
        app={app}
        stream={stream.id}
        width={pictureWidth}
        label={stream.name}
        detailed={false}
        detector={primary(stream)}
        doubtful={doubted !== null}
        stale={stale || (age ?? 0) > 3_000}
      />
      <div class="tags">
        <Tags stream={stream} noticed={noticed} />
      </div>
      <p class={`age${(age ?? 0) > 3_000 ? " old" : ""}`} title="Since the last frame">
        <span class="visually-hidden">Last frame </span>
        {age === null ? "no frame" : ago(age)}
      </p>
      <div class="facts">
        <Name class="name" id={`name-${stream.id}`}>
          <a
            href={address(route)}
            title={lead ? scoreMeaning(lead) : undefined}
            onClick={(click) => {
              if (click.metaKey || click.ctrlKey || click.shiftKey) return;
              click.preventDefault();
              app.go(route);
            }}
          >
            {stream.name}
          </a>
        </Name>
        <p class="state">
          <ConditionIcon of={condition} />
          <span>{stateWords(condition, stream)}</span>
        </p>
        <p class={`score${lead ? (doubted ? " doubtful" : "") : " none"}`}>
          <span class="visually-hidden">{doubted ? "Not a finding: " : "Score "}</span>
          {number(lead?.p)}
        </p>
        {why && (
          <p class="why" title={why}>
            {why}
          </p>
        )}
        <Sparkline
          points={stream.points}
          detector={lead?.detector ?? primary(stream)}
          track={lead?.track ?? null}
          now={now}
          spanMs={MINUTE_MS}
          p={lead?.p ?? null}
          lo={lead?.lo ?? null}
          hi={lead?.hi ?? null}
        />
        <Unacknowledged app={app} stream={stream.id} now={now} />
      </div>
    </article>
  );
});
