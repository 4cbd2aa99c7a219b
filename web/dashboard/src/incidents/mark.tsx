// What happened at a stream and was acknowledged by nobody: it stays visible until somebody has.

import type { App } from "../app";
import { Link } from "../link";
import type { IncidentData } from "../protocol";
import type { Route } from "../route";
import { day, minute, number } from "../words";
import type { Unseen } from "./desk";
import { EVERY } from "./filter";
import "./mark.css";

interface Props {
  app: App;
  stream: string;
  now: number;
}

export function Unacknowledged({ app, stream, now }: Props) {
  const unseen = app.incidents.unseenOf(stream);
  if (unseen === null) return null;
  const { newest, count } = unseen;
  return (
    <p class={`unacknowledged is-${newest.severity}`}>
      <Link app={app} to={placeOf(unseen)} label={`${newest.name} ${unseenWords(unseen, now)}, acknowledged by nobody`}>
        <span class="what">{wasWords(newest, now)}</span>
        {count > 1 && <span class="more"> +{count - 1}</span>}
      </Link>
    </p>
  );
}

/** The incident, or where there are several the list of them. */
export function placeOf({ newest, count }: Unseen): Route {
  if (count === 1) return { page: "incident", id: newest.id };
  return { page: "incidents", filter: { ...EVERY, stream: newest.stream, acknowledged: "false" } };
}

/** What happened last: `was suspect 21:50, peak 0.83`. */
export function wasWords({ severity, status, opened, peak }: IncidentData, now: number): string {
  const t = Date.parse(opened);
  const when = day(t) === day(now) ? minute(t) : `${day(t)}, ${minute(t)}`;
  const hint = severity === "hint";
  const what = status === "open" ? (hint ? "hint since" : "suspect since") : hint ? "hint" : "was suspect";
  return `${what} ${when}, peak ${number(peak.p)}`;
}

/** The same with how many there are besides. */
export function unseenWords({ newest, count }: Unseen, now: number): string {
  return wasWords(newest, now) + (count > 1 ? ` and ${count - 1} more` : "");
}
