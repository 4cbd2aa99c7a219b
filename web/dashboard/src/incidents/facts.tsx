// What is known of an incident, in a table.

import type { ComponentChildren } from "preact";
import type { App } from "../app";
import { Link } from "../link";
import { Interval } from "../meter";
import type { IncidentData } from "../protocol";
import { secondLookWords } from "../stream/second_look";
import { clock, LABEL_WORDS, moment, number, sentence, suspectFor } from "../words";

interface Props {
  app: App;
  incident: IncidentData;
  now: number;
}

export function Facts({ app, incident, now }: Props) {
  const { peak, model, tracks, acknowledged, label, labelled, closed } = incident;
  const known = app.streams.all.has(incident.stream);
  return (
    <section class="panel facts-panel" aria-labelledby="facts-title">
      <h2 id="facts-title">What was found</h2>
      <div class="peak">
        <p>
          <span class="visually-hidden">Highest score </span>
          <strong>{number(peak.p)}</strong>
          <span class="quiet">
            {number(peak.lo)} to {number(peak.hi)}, at {clock(Date.parse(peak.at))}
          </span>
        </p>
        <Interval p={peak.p} lo={peak.lo} hi={peak.hi} />
      </div>
      <dl>
        <Fact name="Stream">
          {known ? (
            <Link app={app} to={{ page: "stream", id: incident.stream, from: null, to: null }}>
              {incident.name}
            </Link>
          ) : (
            `${incident.name}, which is no longer watched`
          )}
        </Fact>
        <Fact name="Opened">{moment(Date.parse(incident.opened), now)}</Fact>
        <Fact name="Last suspect">{moment(Date.parse(incident.last_at), now)}</Fact>
        <Fact name="Closed">{closed === null ? "Still open" : moment(Date.parse(closed), now)}</Fact>
        <Fact name="Suspect for">{suspectFor(incident)}</Fact>
        <Fact name={tracks.length === 1 ? "Face" : "Faces"}>{tracks.map((track) => `#${track}`).join(", ")}</Fact>
        <Fact name="Model">
          {model.name} {model.version}, {model.status}
        </Fact>
        {incident.second_look && (
          <Fact name="Second look">{secondLookWords(incident.second_look)}</Fact>
        )}
        <Fact name="Acknowledged">
          {acknowledged
            ? `by ${acknowledged.by}, ${moment(Date.parse(acknowledged.at), now)}`
            : "By nobody yet"}
        </Fact>
        <Fact name="Label">
          {label ? `${sentence(LABEL_WORDS[label])}${labelled ? `, by ${labelled.by}` : ""}` : "None yet"}
        </Fact>
      </dl>
    </section>
  );
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
