// One incident in the list.

import type { App } from "../app";
import { CheckIcon } from "../icons";
import { Link } from "../link";
import { Interval } from "../meter";
import type { IncidentData } from "../protocol";
import { ago, incidentWords, moment, number, suspectFor } from "../words";
import { SeverityTag, Standing } from "./severity";
import { Thumbnail } from "./thumbnail";

interface Props {
  app: App;
  incident: IncidentData;
  now: number;
  onAcknowledge: (incident: IncidentData) => void;
}

export function Row({ app, incident, now, onAcknowledge }: Props) {
  const { id, name, severity, status, peak, acknowledged, notes } = incident;
  const opened = Date.parse(incident.opened);
  const wants = status === "open" && acknowledged === null;
  return (
    <li class={`row is-${severity}${wants ? " wants" : ""}`}>
      <Thumbnail app={app} incident={incident} />
      <div class="what">
        <h2>
          <Link app={app} to={{ page: "incident", id }} class="row-link">
            {name}
          </Link>
        </h2>
        <p>{incidentWords(incident)}</p>
        <SeverityTag of={severity} />
      </div>
      <div class="when">
        <p>
          <time dateTime={incident.opened}>{moment(opened, now)}</time>
        </p>
        <p class="quiet">{ago(now - opened)}</p>
        <p class="quiet">suspect for {suspectFor(incident)}</p>
      </div>
      <div class="how-sure">
        <p>
          <span class="visually-hidden">Highest score </span>
          <strong>{number(peak.p)}</strong>
          <span class="quiet">
            {" "}
            {number(peak.lo)} to {number(peak.hi)}
          </span>
        </p>
        <Interval p={peak.p} lo={peak.lo} hi={peak.hi} />
      </div>
      <div class="stands">
        <Standing incident={incident} />
        {notes > 0 && (
          <p class="quiet">
            {notes} {notes === 1 ? "note" : "notes"}
          </p>
        )}
      </div>
      <div class="do">
        {app.mayControl && acknowledged === null && (
          <button type="button" aria-label={`Acknowledge ${name}`} onClick={() => onAcknowledge(incident)}>
            <CheckIcon /> Acknowledge
          </button>
        )}
        {acknowledged && <p class="quiet by">by {acknowledged.by}</p>}
      </div>
    </li>
  );
}
