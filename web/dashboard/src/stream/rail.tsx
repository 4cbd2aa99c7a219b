// Incidents below a timeline, where they were: links, so that they are reached by keyboard too.

import { useEffect, useState } from "preact/hooks";
import type { App } from "../app";
import { EVERY, queryOf } from "../incidents/filter";
import { Link } from "../link";
import type { IncidentData } from "../protocol";
import { INCIDENTS } from "../route";
import type { Stretch } from "../stretch";
import { moment, SEVERITY_WORDS } from "../words";
import "./rail.css";

const MOST = 200;
const REST_MS = 300;
/** An incident that began before the stretch may reach into it. */
const BEFORE_MS = 3_600_000;

/** The incidents of a stream that began in a stretch or shortly before, asked for once it rests. */
export function useIncidents(app: App, stream: string, [from, to]: Stretch): readonly IncidentData[] {
  const [found, setFound] = useState<{ stream: string; incidents: IncidentData[] } | null>(null);
  // Asked in steps of a quarter of the span: while it goes along with now, not with every redraw.
  const grid = Math.max((to - from) / 4, 1);
  const begin = Math.floor(from / grid) * grid - BEFORE_MS;
  const end = Math.ceil(to / grid) * grid;
  const told = app.incidents.toldOf(stream);
  useEffect(() => {
    const asked = new AbortController();
    const timer = setTimeout(() => {
      const query = queryOf({ ...EVERY, stream, from: iso(begin), to: iso(end) });
      app.api.incidents(query, MOST, null, asked.signal).then(
        ({ incidents }) => setFound({ stream, incidents }),
        () => {}, // without them the timeline is still a timeline
      );
    }, REST_MS);
    return () => {
      clearTimeout(timer);
      asked.abort();
    };
  }, [app, stream, begin, end, told]);
  return found?.stream === stream ? found.incidents : [];
}

interface RailProps {
  app: App;
  incidents: readonly IncidentData[];
  stretch: Stretch;
  now: number;
  stream: string;
}

export function Rail({ app, incidents, stretch, now, stream }: RailProps) {
  const [from, to] = stretch;
  const share = (t: number) => Math.min(Math.max((t - from) / (to - from), 0), 1) * 100;
  const shown = incidents.filter((one) => Date.parse(one.opened) < to && endOf(one, now) > from);
  if (shown.length === 0) return null;
  const filter = { ...EVERY, stream, from: iso(from - BEFORE_MS), to: iso(to) };
  return (
    <div class="rail" role="group" aria-label="Incidents on this timeline">
      <div class="marks">
        {shown.map((one) => {
          const left = share(Date.parse(one.opened));
          const width = share(endOf(one, now)) - left;
          const label = `${SEVERITY_WORDS[one.severity]}, ${moment(Date.parse(one.opened), now)}`;
          return (
            <span key={one.id} style={{ left: `${left}%`, width: `max(10px, ${width}%)` }}>
              <Link
                app={app}
                to={{ page: "incident", id: one.id }}
                class={`mark is-${one.severity}`}
                label={`Incident: ${label}`}
              />
            </span>
          );
        })}
      </div>
      <Link app={app} to={shown.length > 0 ? { page: "incidents", filter } : INCIDENTS} class="quiet">
        {shown.length} {shown.length === 1 ? "incident" : "incidents"}
      </Link>
    </div>
  );
}

export function endOf({ closed, status, last_at }: IncidentData, now: number): number {
  return status === "open" ? now : Date.parse(closed ?? last_at);
}

function iso(t: number): string {
  return new Date(t).toISOString();
}
