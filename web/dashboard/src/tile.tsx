// One stream on the wall.

import { memo } from "preact/compat";
import type { App } from "./app";
import type { Condition } from "./attention";
import { ConditionIcon } from "./icons";
import { Sparkline } from "./meter";
import { Unacknowledged } from "./incidents/mark";
import { LivePicture } from "./picture";
import { address } from "./route";
import { MINUTE_MS, type Stream, doubt, frameAge, leading, primary } from "./streams";
import { Tags } from "./tags";
import { ago, because, number, stateWords } from "./words";
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
}

export const Tile = memo(function Tile(props: Props) {
  const { app, stream, condition, now, stale, pictureWidth } = props;
  const lead = leading(stream);
  const doubted = doubt(stream);
  const why = because(stream, condition);
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
        <Tags stream={stream} />
      </div>
      <p class={`age${(age ?? 0) > 3_000 ? " old" : ""}`} title="Since the last frame">
        <span class="visually-hidden">Last frame </span>
        {age === null ? "no frame" : ago(age)}
      </p>
      <div class="facts">
        <h2 class="name" id={`name-${stream.id}`}>
          <a
            href={address(route)}
            onClick={(click) => {
              if (click.metaKey || click.ctrlKey || click.shiftKey) return;
              click.preventDefault();
              app.go(route);
            }}
          >
            {stream.name}
          </a>
        </h2>
        <p class="state">
          <ConditionIcon of={condition} />
          <span>{stateWords(condition, lead?.model ?? null)}</span>
        </p>
        <p class={`score${lead ? (doubted ? " doubtful" : "") : " none"}`}>
          <span class="visually-hidden">{doubted ? "Not a finding: " : "Score "}</span>
          {number(lead?.p)}
        </p>
        <p class="why" title={why}>
          {why || "\u00a0"}
        </p>
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
