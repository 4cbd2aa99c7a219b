// One incident from close by: what was seen, how sure the model was, what people said and did.

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import { type App, useApp, useNow } from "../app";
import { BackIcon } from "../icons";
import { Link } from "../link";
import { ProblemText } from "../problem";
import type { IncidentData } from "../protocol";
import { INCIDENTS } from "../route";
import { useTitle } from "../title";
import { incidentWords, limits, sentence } from "../words";
import { ChallengesOf } from "../challenge/of-incident";
import { Audit, Notes } from "./ledger";
import { Facts } from "./facts";
import { Files } from "./files";
import { Judge } from "./judge";
import { Moment } from "./moment";
import { SeverityTag, Standing } from "./severity";
import { Snooze } from "./snooze";
import { IncidentTimeline } from "./timeline";
import type { IncidentChange, IncidentView } from "./wire";
import "../stream/panel.css";
import "../stream/page.css";
import "./list.css";
import "./page.css";

export function IncidentPage({ app, id }: { app: App; id: string }) {
  useApp(app);
  const [view, setView] = useState<IncidentView | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const live = app.live.link.phase === "live";
  const told = app.incidents.told(id);
  useTitle(app, view ? `Incident at ${view.incident.name}` : "Incident");
  useEffect(() => {
    let current = true;
    app.api.incident(id).then(
      (found) => {
        if (!current) return;
        setView(found);
        setProblem(null);
      },
      (error) => current && setProblem(asProblem(error)),
    );
    return () => {
      current = false;
    };
  }, [app, id, live, told]);

  if (!view) {
    return (
      <section class="empty">
        <h1>{problem ? sentence(problem.title) : "One moment"}</h1>
        <p>{problem ? problem.hint || sentence(problem.detail) : "Looking for the incident"}</p>
        <Back app={app} />
      </section>
    );
  }
  return <Known app={app} view={view} key={id} />;
}

function Back({ app }: { app: App }) {
  return (
    <Link app={app} to={app.listed ?? INCIDENTS} class="back">
      <BackIcon /> All incidents
    </Link>
  );
}

function Known({ app, view }: { app: App; view: IncidentView }) {
  const now = useNow(1_000) + app.streams.skew;
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const [seen, setSeen] = useState<number | null>(null);
  const { incident } = view;

  async function change(wanted: IncidentChange): Promise<boolean> {
    setRefusal(null);
    try {
      await app.incidents.change(incident.id, wanted);
      return true;
    } catch (error) {
      setRefusal(asProblem(error));
      return false;
    }
  }

  return (
    <article class="incident" aria-labelledby="incident-title">
      <header class="incident-head">
        <Back app={app} />
        <h1 id="incident-title">{incident.name}</h1>
        <SeverityTag of={incident.severity} />
        <Standing incident={incident} />
        <p class="why">
          <strong>{incidentWords(incident)}.</strong> {sentence(incident.summary)}
        </p>
        {app.mayControl && <Judge incident={incident} onChange={change} />}
        {refusal && (
          <div class="refused" role="alert">
            <ProblemText title={`Not changed: ${refusal.title}`} detail={refusal.detail} hint={refusal.hint} />
          </div>
        )}
      </header>
      <Limits incident={incident} />
      <div class="close-up">
        <Moment app={app} incident={incident} onSeen={setSeen} />
        <Facts app={app} incident={incident} now={now} />
      </div>
      <IncidentTimeline app={app} incident={incident} now={now} seen={seen} />
      <ChallengesOf app={app} incident={incident} now={now} />
      <div class="columns">
        <Notes notes={view.notes} now={now} onAdd={app.mayControl ? (note) => change({ note }) : null} />
        <section class="panel" aria-labelledby="files-title">
          <div class="panel-head">
            <h2 id="files-title">Evidence</h2>
          </div>
          <Files app={app} incident={incident} onRefused={setRefusal} />
          <Snooze app={app} incident={incident} now={now} />
        </section>
        <Audit entries={view.audit} now={now} />
      </div>
    </article>
  );
}

/** What must stand beside the numbers. */
function Limits({ incident }: { incident: IncidentData }) {
  return (
    <div class="limits" role="note">
      {incident.notice && <strong>{sentence(incident.notice)}. </strong>}
      {limits(incident.model)}
    </div>
  );
}
