// What happened to a stream, newest first.

import type { Happening } from "../streams";
import { clock, noticesOf, sentence, tell } from "../words";
import "./panel.css";
import "./log.css";

const SHOWN_EVENTS = 200;

interface LogProps {
  title: string;
  entries: readonly Happening[];
  connection: boolean;
  /** Whether there are several detectors to tell apart. */
  named: boolean;
}

export function Log({ title, entries, connection, named }: LogProps) {
  const told = entries
    .map((entry) => ({ entry, told: tell(entry, named) }))
    .filter(({ told: { connection: of } }) => of === connection)
    .slice(-SHOWN_EVENTS)
    .reverse();
  const id = `log-${connection ? "connection" : "events"}`;
  return (
    <section class="panel log" aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
      </div>
      {!connection && noticesOf(told.map(({ entry }) => entry)).map((notice) => (
        <p key={notice} class="notice">
          {sentence(notice)}
        </p>
      ))}
      {told.length === 0 ? (
        <p class="quiet">Nothing yet</p>
      ) : (
        <ol tabIndex={0} aria-labelledby={id}>
          {told.map(({ entry, told: { text, tone } }) => (
            <li key={entry.id} class={`tone-${tone}`}>
              <time dateTime={new Date(entry.t).toISOString()}>{clock(entry.t)}</time>
              <span>{text}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
