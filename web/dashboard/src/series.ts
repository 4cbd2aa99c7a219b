// Turns points and events into what the timeline draws. Pure.

import type { Happening, Point } from "./streams";

/** Longer than this between two scores of a face, and the line is broken. */
export const MAX_GAP_MS = 1_800;
export const MAX_TRACKS = 8;

export interface TrackLine {
  track: number;
  /** Seconds since 1970, as uPlot wants them. */
  x: number[];
  p: (number | null)[];
  lo: (number | null)[];
  hi: (number | null)[];
}

/** One line per face, with an empty point wherever something is missing; the newest faces only. */
export function trackLines(points: readonly Point[]): TrackLine[] {
  const lines = new Map<number, TrackLine>();
  const last = new Map<number, Point>();
  for (const point of points) {
    let line = lines.get(point.track);
    if (!line) {
      line = { track: point.track, x: [], p: [], lo: [], hi: [] };
      lines.set(point.track, line);
    }
    const before = last.get(point.track);
    if (before && point.t <= before.t) continue; // a chart wants time to rise
    if (before && (point.t - before.t > MAX_GAP_MS || point.epoch !== before.epoch)) {
      add(line, (before.t + point.t) / 2, null, null, null);
    }
    add(line, point.t, point.p, point.lo, point.hi);
    last.set(point.track, point);
  }
  const newest = [...lines.values()].sort((a, b) => (last.get(b.track)?.t ?? 0) - (last.get(a.track)?.t ?? 0));
  return newest.slice(0, MAX_TRACKS).sort((a, b) => a.track - b.track);
}

function add(line: TrackLine, t: number, ...values: [number | null, number | null, number | null]): void {
  line.x.push(t / 1000);
  line.p.push(values[0]);
  line.lo.push(values[1]);
  line.hi.push(values[2]);
}

export interface Mark {
  t: number;
  kind: "epoch" | "suspect" | "clear";
  track: number | null;
}

/** Moments to mark on the timeline of one detector. */
export function marks(events: readonly Happening[], detector: string | null): Mark[] {
  const found: Mark[] = [];
  for (const { t, data } of events) {
    if (data.kind === "epoch_started") found.push({ t, kind: "epoch", track: null });
    if (data.kind === "verdict_changed" && data.detector === detector) {
      const kind = data.verdict === "suspect" ? "suspect" : "clear";
      if (data.verdict !== "pending") found.push({ t, kind, track: data.track });
    }
  }
  return found;
}

/** Stretches without connection, as pairs of milliseconds; the last may still go on. */
export function outages(events: readonly Happening[], now: number): [number, number][] {
  const found: [number, number][] = [];
  let since: number | null = null;
  for (const { t, data } of events) {
    if (data.kind !== "stream_changed") continue;
    if (data.state === "live") {
      if (since !== null) found.push([since, t]);
      since = null;
    } else if (data.state !== "connecting" || since !== null) {
      since ??= t;
    }
  }
  if (since !== null) found.push([since, now]);
  return found;
}

const LEAST_SPAN_MS = 5_000;
const MOST_SPAN_MS = 600_000;

/**
 * Return the stretch that a key on the timeline leads to: arrows move by a quarter, plus and minus
 * zoom about the middle, Escape and End go back to live ("live"); null for any other key.
 */
export function keyed(key: string, from: number, to: number, now: number): [number, number] | "live" | null {
  const span = to - from;
  const around = (wanted: number): [number, number] => {
    const size = Math.min(Math.max(wanted, LEAST_SPAN_MS), MOST_SPAN_MS);
    const end = Math.min((from + to) / 2 + size / 2, now);
    return [end - size, end];
  };
  switch (key) {
    case "ArrowLeft":
      return [from - span / 4, to - span / 4];
    case "ArrowRight":
      return to + span / 4 >= now ? "live" : [from + span / 4, to + span / 4];
    case "+":
    case "=":
      return around(span / 2);
    case "-":
      return around(span * 2);
    case "Escape":
    case "End":
      return "live";
    default:
      return null;
  }
}

export interface Sample {
  t: number;
  v: number | null;
}

/** An SVG path of samples in a box, broken where something is missing. */
export function path(
  samples: readonly Sample[],
  from: number,
  to: number,
  top: number,
  width: number,
  height: number,
  gapMs: number,
): string {
  let drawn = "";
  let last: number | null = null;
  for (const { t, v } of samples) {
    if (v === null || t < from - gapMs || t > to + gapMs) {
      last = v === null ? null : last;
      continue;
    }
    const x = (((t - from) / (to - from)) * width).toFixed(1);
    const y = (height * (1 - Math.min(Math.max(v / top, 0), 1))).toFixed(1);
    const joined: boolean = last !== null && t - last <= gapMs;
    drawn += joined ? `L${x} ${y}` : `M${x} ${y}h0`;
    last = t;
  }
  return drawn;
}
