// The timeline zoomed to an incident, of a stream that may be long gone.

import { useEffect, useState } from "preact/hooks";
import type { App } from "../app";
import type { IncidentData, ThresholdsView } from "../protocol";
import { Legend, Steps } from "../stream/history";
import { usePast } from "../stream/merged";
import { endOf, Rail, useIncidents } from "../stream/rail";
import { Timeline } from "../stream/timeline";
import type { Stretch } from "../stretch";
import { pastWords } from "../words";

interface Props {
  app: App;
  incident: IncidentData;
  now: number;
  /** The moment that the video shows. */
  seen: number | null;
}

const AROUND_MS = 20_000;

/** The stretch that shows an incident with what was before and after it. */
export function around(incident: IncidentData, now: number): Stretch {
  const from = Date.parse(incident.opened);
  const to = incident.status === "open" ? now : Date.parse(incident.last_at);
  const more = Math.max(AROUND_MS, (to - from) / 4);
  return [from - more, Math.min(to + more, now)];
}

export function IncidentTimeline({ app, incident, now, seen }: Props) {
  const [chosen, setChosen] = useState<Stretch | null>(null);
  const [thresholds, setThresholds] = useState<ThresholdsView | null>(null);
  const { stream, model } = incident;
  const watched = app.streams.all.has(stream);
  const stretch = chosen ?? around(incident, now);
  const past = usePast(app, stream, model.name, stretch, now);
  const incidents = useIncidents(app, stream, stretch);
  useEffect(() => {
    if (watched) app.api.thresholds(stream).then(setThresholds, () => setThresholds(null));
  }, [app, stream, watched]);
  return (
    <section class="panel" aria-labelledby="timeline-title">
      <div class="panel-head">
        <h2 id="timeline-title">Score over time</h2>
        <Legend doubtful={false} thresholds={thresholds} banded={past.stepMs > 0} />
        <div class="spans" role="group" aria-label="Time span">
          <Steps stretch={stretch} now={now} onMove={setChosen} />
          <button type="button" class="live" disabled={chosen === null} onClick={() => setChosen(null)}>
            Back to the incident
          </button>
        </div>
      </div>
      <Timeline
        points={past.points}
        events={past.events}
        detector={model.name}
        from={stretch[0]}
        to={stretch[1]}
        now={now}
        enter={thresholds?.current.enter ?? null}
        leave={thresholds?.current.leave ?? null}
        doubtful={false}
        stepMs={past.stepMs}
        shaded={[Date.parse(incident.opened), endOf({ ...incident, closed: null }, now)]}
        seen={seen}
        onMove={setChosen}
        onLive={() => setChosen(null)}
      />
      <Rail app={app} incidents={incidents} stretch={stretch} now={now} stream={stream} />
      <p class="timeline-said" role="status">
        {pastWords(past, stretch[1] - stretch[0])}
      </p>
    </section>
  );
}
