// Small drawings of scores: the interval on its scale, and the last minute as a line.

import type { Point } from "./streams";
import "./meter.css";

const WIDTH = 240;
const HEIGHT = 34;
const MAX_GAP_MS = 1_500;

interface IntervalProps {
  p: number | null;
  lo: number | null;
  hi: number | null;
}

/** The score on a scale from 0, authentic, to 1, synthesised, with its interval. */
export function Interval({ p, lo, hi }: IntervalProps) {
  return (
    <svg class="interval" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      <rect class="scale" x="0" y="4" width="100" height="2" rx="1" />
      {lo !== null && hi !== null && (
        <rect class="range" x={lo * 100} y="2.5" width={Math.max((hi - lo) * 100, 0.5)} height="5" rx="1.5" />
      )}
      {p !== null && <rect class="point" x={Math.min(p * 100, 98.6)} y="0" width="1.4" height="10" />}
    </svg>
  );
}

interface SparklineProps extends IntervalProps {
  points: readonly Point[];
  detector: string | null;
  /** The face drawn in front. */
  track: number | null;
  /** The right edge, wall clock. */
  now: number;
  spanMs: number;
}

/**
 * The last minute of every face, the leading one in front; what is missing is a gap. At its end, on
 * the same scale, the interval of the score that is shown.
 */
export function Sparkline({ points, detector, track, now, spanMs, p, lo, hi }: SparklineProps) {
  const begin = now - spanMs - MAX_GAP_MS;
  const recent = points.filter((point) => point.t >= begin && point.detector === detector);
  const tracks = [...new Set(recent.map((point) => point.track))];
  const place = (t: number) => WIDTH * (1 - (now - t) / spanMs);
  return (
    <div class="sparkline" aria-hidden="true">
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      <path class="grid" d={`M0 ${level(0.5)}H${WIDTH}`} />
      {tracks
        .sort((a, b) => Number(a === track) - Number(b === track))
        .map((one) => (
          <path
            key={one}
            class={one === track ? "lead" : "other"}
            d={line(recent.filter((point) => point.track === one), place)}
          />
        ))}
    </svg>
    <svg class="whisker" viewBox={`0 0 8 ${HEIGHT}`} preserveAspectRatio="none">
      <path class="scale" d={`M4 ${level(1)}V${level(0)}`} />
      {lo !== null && hi !== null && <path class="range" d={`M4 ${level(hi)}V${level(lo)}`} />}
      {p !== null && <path class="point" d={`M0 ${level(p)}H8`} />}
    </svg>
    </div>
  );
}

export function line(points: readonly Point[], place: (t: number) => number): string {
  let path = "";
  let last: Point | null = null;
  for (const point of points) {
    if (point.p === null) {
      last = null;
      continue;
    }
    const joined = last !== null && last.epoch === point.epoch && point.t - last.t <= MAX_GAP_MS;
    path += `${joined ? "L" : "M"}${place(point.t).toFixed(1)} ${level(point.p)}`;
    if (!joined) path += "h0";
    last = point;
  }
  return path;
}

function level(p: number): string {
  return (1.5 + (1 - p) * (HEIGHT - 3)).toFixed(1);
}
