// When the detector was last checked with known clips, and the clips themselves for whoever asks.

import { type App, useNow } from "../app";
import { LivePicture } from "../picture";
import { canaryFacts, canaryLine } from "./words";
import "./canaries.css";

export function CheckedLine({ app }: { app: App }) {
  const now = useNow(5_000) + app.streams.skew;
  const line = canaryLine(app.canaries.view, now);
  if (line === null) return null;
  const { shown } = app.canaries;
  return (
    <div class="checked">
      <p class={`is-${line.tone}`} title={line.details} role="status">
        {line.text}
      </p>
      <button type="button" class="choice" aria-pressed={shown} onClick={() => app.canaries.show(!shown)}>
        {shown ? "Hide canaries" : "Show canaries"}
      </button>
    </div>
  );
}

/** The known clips below the wall: they are there only while they are sent, and in no count. */
export function Canaries({ app }: { app: App }) {
  const { view, shown } = app.canaries;
  if (view === null || app.canaries.off || !shown) return null;
  return (
    <section class="canaries" aria-label="Canaries">
      <h2>Canaries</h2>
      <p class="quiet">
        Known clips that are sent through the whole path every {Math.round(view.every_s / 60)} min. They raise no
        alert and are in no count.
      </p>
      <ul>
        {view.canaries.map((canary) => (
          <li key={canary.id} class={canary.id === view.sending ? "sending" : ""}>
            {canary.id === view.sending && (
              <LivePicture
                app={app}
                stream={canary.id}
                width={320}
                label={canary.name}
                detailed={false}
                detector={canary.opinions[0]?.detector ?? null}
                doubtful={false}
                stale={false}
              />
            )}
            <h3>{canary.name}</h3>
            <p class="quiet">{canary.id === view.sending ? "Being sent now" : "Not being sent now"}</p>
            <p>{canaryFacts(canary)}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
