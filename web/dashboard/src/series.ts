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

/**
 * One line per face, with an empty point wherever something is missing; the newest faces only.
 * Points that stand for a while each, `stepMs`, may lie that much farther apart.
 */
export function trackLines(points: readonly Point[], stepMs = 0): TrackLine[] {
  const gap = Math.max(MAX_GAP_MS, 2.5 * stepMs);
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
    if (before && (point.t - before.t > gap || point.epoch !== before.epoch)) {
      add(line, (before.t + point.t) / 2, null, null, null);
    }
    add(line, point.t, point.p, point.lo, point.hi);
    last.set(point.track, point);
  }
  const newest = [...lines.values()].sort((a, b) => (last.get(b.track)?.t ?? 0) - (last.get(a.track)?.t ?? 0));
  return newest.slice(0, MAX_TRACKS).sort((a, b) => a.track - b.track);
}

/** The number of the line that stands for all faces. */
export const EVERYBODY = 0;

/**
 * One point for all faces of every stretch of `stepMs`: the highest score, and the band from the lowest
 * to the highest. For views in which there are more faces than lines.
 */
export function together(points: readonly Point[], stepMs: number): Point[] {
  const found = new Map<number, Point>();
  for (const point of points) {
    if (point.p === null) continue;
    const slot = Math.floor(point.t / stepMs);
    const other = found.get(slot);
    const low = point.lo ?? point.p;
    const high = point.hi ?? point.p;
    const one: Point = other ?? { ...point, t: slot * stepMs, track: EVERYBODY, epoch: 0, lo: low, hi: high };
    one.p = Math.max(one.p ?? 0, point.p);
    one.lo = Math.min(one.lo ?? 1, low);
    one.hi = Math.max(one.hi ?? 0, high);
    found.set(slot, one);
  }
  return [...found.values()].sort((a, b) => a.t - b.t);
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

/** The windows in which the person was asked for something, as pairs of milliseconds. */
export function askedFor(events: readonly Happening[], now: number): [number, number][] {
  const found = new Map<string, [number, number]>();
  for (const { data } of events) {
    if (data.kind !== "challenge_changed") continue;
    const { id, started, ended } = data.challenge;
    found.set(id, [Date.parse(started), ended === null ? now : Date.parse(ended)]);
  }
  return [...found.values()];
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
