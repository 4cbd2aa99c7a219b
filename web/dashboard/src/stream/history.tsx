// The score over time, with the span that is shown and what limits the evidence below it.

import { useState } from "preact/hooks";
import type { App } from "../app";
import type { ThresholdsView } from "../protocol";
import type { StreamRoute } from "../route";
import type { Point, Stream } from "../streams";
import { Strips } from "./strips";
import { Timeline } from "./timeline";
import "./panel.css";

const SPANS = [
  { label: "1 min", ms: 60_000 },
  { label: "5 min", ms: 300_000 },
  { label: "10 min", ms: 600_000 },
];

interface HistoryProps {
  app: App;
  stream: Stream;
  route: StreamRoute;
  /** The scores of the detector that is shown. */
  points: Point[];
  detector: string | null;
  /** The numbers are no findings. */
  doubtful: boolean;
  /** Wall-clock milliseconds of the server. */
  now: number;
  thresholds: ThresholdsView | null;
}

export function ScoreHistory(props: HistoryProps) {
  const { app, stream, route, points, detector, doubtful, now, thresholds } = props;
  const [span, setSpan] = useState(300_000);
  const zoomed = route.from !== null && route.to !== null;
  const from = zoomed ? (route.from ?? 0) : now - span;
  const to = zoomed ? (route.to ?? now) : now;
  const live = () => app.go({ ...route, from: null, to: null }, true);
  return (
    <section class="panel" aria-labelledby="timeline-title">
      <div class="panel-head">
        <h2 id="timeline-title">Score over time</h2>
        <Legend doubtful={doubtful} thresholds={thresholds} />
        <div class="spans" role="group" aria-label="Time span">
          {SPANS.map(({ label, ms }) => (
            <button
              key={ms}
              type="button"
              aria-pressed={!zoomed && span === ms}
              onClick={() => {
                setSpan(ms);
                if (zoomed) live();
              }}
            >
              {label}
            </button>
          ))}
          <button type="button" class="live" disabled={!zoomed} onClick={live}>
            Live
          </button>
        </div>
      </div>
      <Timeline
        points={points}
        events={stream.events}
        detector={detector}
        from={from}
        to={to}
        now={now}
        enter={thresholds?.current.enter ?? null}
        leave={thresholds?.current.leave ?? null}
        doubtful={doubtful}
        onZoom={(begin, end) => app.go({ ...route, from: begin, to: end }, true)}
        onLive={live}
      />
      <Strips stream={stream} points={points} from={from} to={to} thresholds={thresholds} />
    </section>
  );
}

function Legend({ doubtful, thresholds }: { doubtful: boolean; thresholds: ThresholdsView | null }) {
  return (
    <p class="legend">
      {doubtful && <strong>Not a finding</strong>}
      {thresholds && (
        <>
          <span class="key enter">suspect from {thresholds.current.enter.toFixed(2)}</span>
          <span class="key leave">clear to {thresholds.current.leave.toFixed(2)}</span>
        </>
      )}
      <span class="key epoch">video starts anew</span>
      <span class="key down">not connected</span>
    </p>
  );
}
