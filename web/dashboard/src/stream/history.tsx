// The score over time, back to where it is kept, with the span that is shown and what limits the
// evidence below it.

import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../app";
import type { ThresholdsView } from "../protocol";
import type { StreamRoute } from "../route";
import type { Stream } from "../streams";
import { isLive, panned, type Stretch, zoomed } from "../stretch";
import { pastWords } from "../words";
import { usePast } from "./merged";
import { Rail, useIncidents } from "./rail";
import { Strips } from "./strips";
import { Timeline } from "./timeline";
import "./panel.css";

const HOUR_MS = 3_600_000;
const SPANS = [
  { label: "1 min", ms: 60_000 },
  { label: "5 min", ms: 300_000 },
  { label: "10 min", ms: 600_000 },
  { label: "1 h", ms: HOUR_MS },
  { label: "1 day", ms: 24 * HOUR_MS },
  { label: "7 days", ms: 168 * HOUR_MS },
  { label: "90 days", ms: 2_160 * HOUR_MS },
];
const USUAL_MS = 300_000;
/** The address follows a gesture once it rests: browsers allow so many changes a second. */
const REST_MS = 250;

interface HistoryProps {
  app: App;
  stream: Stream;
  route: StreamRoute;
  detector: string | null;
  /** The numbers are no findings. */
  doubtful: boolean;
  /** Wall-clock milliseconds of the server. */
  now: number;
  thresholds: ThresholdsView | null;
}

export function ScoreHistory(props: HistoryProps) {
  const { app, stream, route, detector, doubtful, now, thresholds } = props;
  const { stretch, span, zoomedIn, move, live } = useStretch(app, route, now);
  const [from, to] = stretch;
  const past = usePast(app, stream.id, detector, stretch, now);
  const incidents = useIncidents(app, stream.id, stretch);
  return (
    <section class="panel" aria-labelledby="timeline-title">
      <div class="panel-head">
        <h2 id="timeline-title">Score over time</h2>
        <Legend
          doubtful={doubtful}
          thresholds={thresholds}
          banded={past.stepMs > 0}
          asked={past.events.some(({ data }) => data.kind === "challenge_changed")}
        />
        <div class="spans" role="group" aria-label="Time span">
          {SPANS.map(({ label, ms }) => (
            <button key={ms} type="button" aria-pressed={!zoomedIn && span === ms} onClick={() => live(ms)}>
              {label}
            </button>
          ))}
          <Steps stretch={stretch} now={now} onMove={move} />
          <button
            type="button"
            class="live"
            title="Back to live"
            disabled={!zoomedIn}
            onClick={() => live()}
          >
            Live
          </button>
        </div>
      </div>
      <Timeline
        points={past.points}
        events={past.events}
        detector={detector}
        from={from}
        to={to}
        now={now}
        enter={thresholds?.current.enter ?? null}
        leave={thresholds?.current.leave ?? null}
        doubtful={doubtful}
        stepMs={past.stepMs}
        onMove={move}
        onLive={() => live()}
      />
      <Rail app={app} incidents={incidents} stretch={stretch} now={now} stream={stream.id} />
      <p class="timeline-said" role="status">
        {pastWords(past, to - from)}
      </p>
      <Strips stream={stream} past={past} from={from} to={to} thresholds={thresholds} />
    </section>
  );
}

/** What is shown: the address says it, or else it goes along with now; a gesture is ahead of both. */
function useStretch(app: App, route: StreamRoute, now: number) {
  const [span, setSpan] = useState(USUAL_MS);
  const [draft, setDraft] = useState<Stretch | null>(null);
  const resting = useRef<ReturnType<typeof setTimeout> | null>(null);
  const current = useRef(route);
  current.current = route;
  const { from, to } = route;
  const named: Stretch | null = from !== null && to !== null ? [from, to] : null;
  const stretch: Stretch = draft ?? named ?? [now - span, now];

  function rest(call: (() => void) | null) {
    if (resting.current !== null) clearTimeout(resting.current);
    resting.current = call && setTimeout(call, REST_MS);
  }
  useEffect(() => () => rest(null), []);

  function live(ms = span) {
    rest(null);
    setSpan(ms);
    setDraft(null);
    app.go({ ...current.current, from: null, to: null }, true);
  }
  function move(next: Stretch) {
    if (isLive(next, now)) {
      live(next[1] - next[0]);
      return;
    }
    setDraft(next);
    rest(() => {
      app.go({ ...current.current, from: next[0], to: next[1] }, true);
      setDraft(null);
    });
  }
  return { stretch, span, zoomedIn: draft !== null || named !== null, move, live };
}

interface StepsProps {
  stretch: Stretch;
  now: number;
  onMove: (stretch: Stretch) => void;
}

/** The same as by gesture, for who would rather press a button. */
export function Steps({ stretch, now, onMove }: StepsProps) {
  const span = stretch[1] - stretch[0];
  const middle = (stretch[0] + stretch[1]) / 2;
  const steps = [
    { name: "Earlier", sign: "◂", to: () => panned(stretch, -span / 2, now) },
    { name: "Longer", sign: "−", to: () => zoomed(stretch, middle, 2, now) },
    { name: "Shorter", sign: "+", to: () => zoomed(stretch, middle, 1 / 2, now) },
    { name: "Later", sign: "▸", to: () => panned(stretch, span / 2, now) },
  ];
  return (
    <>
      {steps.map(({ name, sign, to }) => (
        <button key={name} type="button" class="icon-only" aria-label={name} title={name} onClick={() => onMove(to())}>
          <span aria-hidden="true">{sign}</span>
        </button>
      ))}
    </>
  );
}

interface LegendProps {
  doubtful: boolean;
  thresholds: ThresholdsView | null;
  /** Bands go from the lowest to the highest score, rather than over the interval. */
  banded: boolean;
  /** The person was asked for something. */
  asked?: boolean;
}

export function Legend({ doubtful, thresholds, banded, asked = false }: LegendProps) {
  return (
    <p class="legend">
      {doubtful && <strong>Not a finding</strong>}
      {thresholds && (
        <>
          <span class="key enter">suspect from {thresholds.current.enter.toFixed(2)}</span>
          <span class="key leave">clear to {thresholds.current.leave.toFixed(2)}</span>
        </>
      )}
      {banded && <span class="key band">lowest to highest</span>}
      <span class="key epoch">video starts anew</span>
      <span class="key down">not connected</span>
      {asked && <span class="key asked">asked for something</span>}
    </p>
  );
}
