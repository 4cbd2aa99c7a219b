// The processes that analyze streams, machine by machine: how busy each is, and draining it.

import { useEffect } from "preact/hooks";
import { type App, useApp } from "../app";
import { Link } from "../link";
import { ProblemText } from "../problem";
import type { WorkersView } from "../protocol";
import { useTitle } from "../title";
import { WorkerRow } from "./row";
import { countWords, differences, machinesOf, many } from "./words";
import "../stream/panel.css";
import "../incidents/list.css";
import "../in-place.css";
import "./machines.css";

const EVERY_MS = 2_000;

export function MachinesPage({ app }: { app: App }) {
  useApp(app);
  useMachines(app, EVERY_MS);
  useTitle(app, "Machines");
  const { view, problem } = app.machines;
  return (
    <section class="machines" aria-labelledby="machines-title">
      <header class="incidents-head">
        <h1 id="machines-title">Machines</h1>
        {view?.several && <p class="quiet">{countWords(view)}</p>}
      </header>
      {!view && !problem && <p class="waiting">Looking for machines</p>}
      {problem && problem.status !== 0 && (
        <div class="panel refused" role="alert">
          <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
          <button type="button" onClick={() => void app.machines.look()}>
            Try again
          </button>
        </div>
      )}
      {view && !view.several && <Alone />}
      {view && <Differences view={view} />}
      {view && view.waiting.length > 0 && <Waiting app={app} view={view} />}
      {view?.several && view.workers.length === 0 && (
        <p class="panel">No worker has said anything yet. Each is listed as soon as it answers.</p>
      )}
      {view &&
        machinesOf(view).map(({ node, workers }) => (
          <section class="panel machine" key={node} aria-label={node}>
            <div class="panel-head">
              <h2>{node}</h2>
              <p class="quiet">{many(workers.length, "worker")}</p>
            </div>
            <ul class="workers">
              {workers.map((worker) => (
                <WorkerRow key={worker.name} app={app} worker={worker} view={view} />
              ))}
            </ul>
          </section>
        ))}
      {view?.several && <Done counts={view.counts} />}
    </section>
  );
}

/** Machines, asked for anew while somebody looks; null asks for nothing. */
export function useMachines(app: App, everyMs: number | null): void {
  const live = app.live.link.phase === "live";
  useEffect(() => {
    if (!live || everyMs === null) return;
    const look = () => {
      if (!document.hidden) void app.machines.look();
    };
    look();
    const timer = setInterval(look, everyMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [app, live, everyMs]);
}

/** Which worker analyzes a stream, where there are several. */
export function RunsOn({ app, stream }: { app: App; stream: string }) {
  const { several } = app.machines;
  useMachines(app, several ? 5_000 : null);
  const worker = app.machines.workerOf(stream);
  if (worker === "") return null;
  return (
    <Link app={app} class="own-tag runs-on" to={{ page: "machines" }}>
      on {worker}
    </Link>
  );
}

function Alone() {
  return (
    <div class="panel alone">
      <h2>One process does everything</h2>
      <p>
        To use all cores, start it with <code>serve --workers auto</code>, or with a number: so many workers share the
        streams, and the least busy one gets the next. To use other machines too, join their cluster with{" "}
        <code>serve --cluster ADDRESS</code>. When a worker dies, its streams go on at the others.
      </p>
    </div>
  );
}

function Differences({ view }: { view: WorkersView }) {
  const said = differences(view);
  if (said.length === 0) return null;
  return (
    <ul class="panel differences" aria-label="Differences">
      {said.map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}

function Waiting({ app, view }: { app: App; view: WorkersView }) {
  return (
    <section class="panel unowned" aria-labelledby="unowned-title">
      <h2 id="unowned-title">{many(view.waiting.length, "stream")} without a worker</h2>
      <p>What is listed here is not analyzed now. The first worker that can take it gets it.</p>
      <ul>
        {view.waiting.map(({ id, why }) => (
          <li key={id}>
            <Link app={app} to={{ page: "stream", id, from: null, to: null }}>
              {app.streams.all.get(id)?.name ?? id}
            </Link>
            {why && `: ${why}`}
          </li>
        ))}
      </ul>
    </section>
  );
}

const DONE: readonly [string, string][] = [
  ["moves", "stream moved"],
  ["deaths", "worker died"],
  ["refusals", "stream refused"],
];

function Done({ counts }: { counts: Record<string, number> }) {
  const said = DONE.map(([key, words]) => {
    const count = counts[key] ?? 0;
    const [what = "", done = ""] = words.split(" ");
    return `${many(count, what)} ${done}`;
  });
  return <p class="quiet done">Since the director began: {said.join(", ")}.</p>;
}
