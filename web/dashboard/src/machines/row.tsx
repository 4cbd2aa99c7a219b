// One worker: what it does, what happens next, and draining it.

import { useEffect, useId, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { Link } from "../link";
import { ProblemText } from "../problem";
import type { WorkerEntry, WorkersView } from "../protocol";
import { sentence } from "../words";
import {
  busyWords,
  drainWords,
  labelWords,
  many,
  modelWords,
  nextWords,
  overloadWords,
  standing,
  STANDING_WORDS,
} from "./words";

interface Props {
  app: App;
  worker: WorkerEntry;
  view: WorkersView;
}

export function WorkerRow({ app, worker, view }: Props) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const stands = standing(worker);
  const next = nextWords(worker, view);
  const overload = overloadWords(worker);
  const labels = labelWords(worker);

  async function drain(draining: boolean) {
    setProblem(null);
    try {
      await app.machines.drain(worker.name, draining);
    } catch (error) {
      setProblem(asProblem(error));
    }
  }

  return (
    <li class={`worker is-${stands}`} aria-label={worker.name}>
      <div class="worker-head">
        <h3>{worker.name}</h3>
        <p class="stand" role="status">
          <i aria-hidden="true" />
          {STANDING_WORDS[stands]}
        </p>
        {app.mayControl && view.several && (
          <div class="tools">
            {worker.draining ? (
              <button type="button" aria-label={`Take back ${worker.name}`} onClick={() => void drain(false)}>
                Take back
              </button>
            ) : (
              <Drain worker={worker} view={view} onSure={() => void drain(true)} />
            )}
          </div>
        )}
      </div>
      {next && <p class="comes">{next}</p>}
      {problem && (
        <div role="alert">
          <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
        </div>
      )}
      {worker.alive && <Busy worker={worker} />}
      {overload && <p class="overload">{overload}, because there is more to do than it can.</p>}
      <Streams app={app} worker={worker} />
      <dl>
        <Fact name="Version" of={worker.version} />
        <Fact name="Device" of={worker.device} />
        <Fact name="Models" of={worker.models.map(modelWords).join(", ")} />
        {labels && <Fact name="Labels" of={labels} />}
      </dl>
      <details class="health">
        <summary>Health</summary>
        <dl>
          {Object.entries(worker.health).map(([check, words]) => (
            <Fact key={check} name={sentence(check.replaceAll("_", " "))} of={words} />
          ))}
          <Fact name="Process" of={String(worker.pid)} />
        </dl>
      </details>
    </li>
  );
}

function Busy({ worker }: { worker: WorkerEntry }) {
  const level = worker.busy >= 0.85 ? "high" : worker.busy >= 0.6 ? "some" : "low";
  return (
    <div class={`busy is-${level}`}>
      <span class="bar" aria-hidden="true">
        <i style={{ width: `${Math.round(worker.busy * 100)}%` }} />
      </span>
      <span>{busyWords(worker)}</span>
    </div>
  );
}

function Streams({ app, worker }: { app: App; worker: WorkerEntry }) {
  const { streams, max_streams: most } = worker;
  if (streams.length === 0) return <p class="quiet">No streams</p>;
  const count = most > 0 ? `${streams.length} of at most ${many(most, "stream")}` : many(streams.length, "stream");
  return (
    <div class="owned">
      <p class="quiet">{count}:</p>
      <ul aria-label={`Streams of ${worker.name}`}>
        {streams.map((id) => (
          <li key={id}>
            <Link app={app} class="own-tag" to={{ page: "stream", id, from: null, to: null }}>
              {app.streams.all.get(id)?.name ?? id}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Fact({ name, of }: { name: string; of: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{of}</dd>
    </div>
  );
}

/** A button that asks once more, saying what follows; Escape, leaving it and time disarm it. */
function Drain({ worker, view, onSure }: { worker: WorkerEntry; view: WorkersView; onSure: () => void }) {
  const [sure, setSure] = useState(false);
  const follows = useId();
  useEffect(() => {
    if (!sure) return;
    const timer = setTimeout(() => setSure(false), 8_000);
    return () => clearTimeout(timer);
  }, [sure]);
  return (
    <>
      {sure && (
        <p id={follows} class="follows" role="status">
          {drainWords(worker, view)}
        </p>
      )}
      <button
        type="button"
        class={sure ? "danger" : ""}
        aria-label={sure ? `Really drain ${worker.name}?` : `Drain ${worker.name}`}
        aria-describedby={sure ? follows : undefined}
        onClick={() => (sure ? onSure() : setSure(true))}
        onKeyDown={(press) => press.key === "Escape" && setSure(false)}
        onBlur={() => setSure(false)}
      >
        {sure ? "Really drain?" : "Drain"}
      </button>
    </>
  );
}
