// All incidents, newest first: what happened, where, how sure, and who has seen to it.

import { useEffect, useRef, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import { type App, useApp, useNow } from "../app";
import { ProblemText } from "../problem";
import type { IncidentData } from "../protocol";
import { INCIDENTS } from "../route";
import { SoundSwitch } from "../sound_switch";
import { useTitle } from "../title";
import { Bell } from "./bell";
import { type Filter, isEvery, queryOf } from "./filter";
import { Filters } from "./filters";
import { Help, shortcuts } from "./help";
import { actionOf, step } from "./keys";
import { Row } from "./row";
import "./list.css";

export function IncidentList({ app, filter }: { app: App; filter: Filter }) {
  useApp(app);
  const now = useNow(1_000) + app.streams.skew;
  const list = useRef<HTMLOListElement>(null);
  const [help, setHelp] = useState(false);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const { rows, progress, problem, next, more, open } = app.incidents;
  const wanted = queryOf(filter).toString();
  useTitle(app, "Incidents");
  useEffect(() => {
    void app.incidents.show(filter);
  }, [app, wanted]);

  async function change(work: Promise<unknown>) {
    setRefusal(null);
    try {
      await work;
    } catch (error) {
      setRefusal(asProblem(error));
    }
  }

  function acknowledge(incident: IncidentData) {
    const acknowledged = incident.acknowledged === null;
    void change(app.incidents.change(incident.id, { acknowledged }));
  }

  useEffect(() => {
    function press(event: KeyboardEvent) {
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      const action = actionOf(event.key);
      if (!action || (action.do !== "help" && !shortcuts.get())) return;
      if (action.do === "help") {
        setHelp((shown) => !shown);
        event.preventDefault();
        return;
      }
      const links = [...(list.current?.querySelectorAll<HTMLElement>(".row-link") ?? [])];
      const at = links.findIndex((link) => link.closest(".row")?.contains(document.activeElement));
      if (action.do === "move") {
        links[step(at, action.by, links.length)]?.focus();
      } else {
        const incident = app.incidents.rows[at];
        if (!incident || !app.mayControl) return;
        if (action.do === "acknowledge") acknowledge(incident);
        else {
          const label = incident.label === action.label ? null : action.label;
          void change(app.incidents.change(incident.id, { label }));
        }
      }
      event.preventDefault();
    }
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [app]);

  return (
    <section class="incidents" aria-labelledby="incidents-title">
      <header class="incidents-head">
        <h1 id="incidents-title">Incidents</h1>
        <p class={`waiting-count${open.alarms > 0 ? " alarms" : ""}`} role="status">
          {open.count === 0
            ? "None is open and unacknowledged"
            : `${open.count}${open.more ? "+" : ""} open, acknowledged by nobody`}
        </p>
        <div class="tools">
          <Bell app={app} />
          <SoundSwitch app={app} />
          <button type="button" aria-expanded={help} onClick={() => setHelp(!help)}>
            Keyboard
          </button>
        </div>
      </header>
      {help && <Help mayControl={app.mayControl} />}
      <Filters app={app} filter={filter} />
      {refusal && (
        <div class="refused" role="alert">
          <ProblemText title={`Not changed: ${refusal.title}`} detail={refusal.detail} hint={refusal.hint} />
        </div>
      )}
      {progress === "loading" && <p class="waiting">Looking for incidents</p>}
      {progress === "failed" && problem && (
        <div class="panel" role="alert">
          <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
          <button type="button" onClick={() => void app.incidents.show(filter)}>
            Try again
          </button>
        </div>
      )}
      {progress === "off" && <Off />}
      {progress === "ready" && rows.length === 0 && <Nothing app={app} filter={filter} />}
      <ol class="rows" ref={list} aria-label="Incidents, newest first">
        {rows.map((incident) => (
          <Row key={incident.id} app={app} incident={incident} now={now} onAcknowledge={acknowledge} />
        ))}
      </ol>
      {next !== null && (
        <button type="button" class="older" disabled={more} onClick={() => void app.incidents.showMore()}>
          {more ? "Looking" : "Show older ones"}
        </button>
      )}
    </section>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, select, textarea, dialog *");
}

function Off() {
  return (
    <div class="empty">
      <h2>This analyzer keeps no incidents</h2>
      <p>Set incidents.enabled and store.url in its configuration, and start it again.</p>
    </div>
  );
}

function Nothing({ app, filter }: { app: App; filter: Filter }) {
  if (!isEvery(filter)) {
    return (
      <div class="empty">
        <h2>No incident is like that</h2>
        <p>Take a filter away, or look at a longer time.</p>
        <button type="button" onClick={() => app.go(INCIDENTS)}>
          Show all incidents
        </button>
      </div>
    );
  }
  const streams = app.streams.all.size;
  return (
    <div class="empty">
      <h2>Nothing has happened yet</h2>
      <p>
        When a face looks synthesised, an incident opens here with its picture, its score and its video.
        {streams === 0
          ? " Nothing is being watched: add a camera first."
          : ` ${streams} ${streams === 1 ? "stream is" : "streams are"} being watched.`}
        {" Demos and untrained models open none."}
      </p>
      <button type="button" onClick={() => app.go({ page: "wall" })}>
        {streams === 0 ? "Add a camera" : "Show all streams"}
      </button>
    </div>
  );
}
