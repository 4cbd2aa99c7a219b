// The score of every face over time: uPlot, with gaps as gaps, epochs and verdicts marked, and
// stretches without connection shaded. Drag to zoom; wheel, fingers and keys move and zoom it too.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { askedFor, EVERYBODY, MAX_TRACKS, marks, outages, type TrackLine, together, trackLines } from "../series";
import type { Happening, Point } from "../streams";
import { keyed, type Stretch } from "../stretch";
import { clock, day } from "../words";
import { LEFT, RIGHT, useGestures } from "./gestures";
import "./timeline.css";

interface Props {
  points: readonly Point[];
  events: readonly Happening[];
  /** Whose verdicts are marked. */
  detector: string | null;
  from: number;
  to: number;
  now: number;
  enter: number | null;
  leave: number | null;
  doubtful: boolean;
  /** How long a point stands for; 0 where every score is there. */
  stepMs: number;
  /** A stretch to shade: an incident. */
  shaded?: Stretch | null;
  /** A moment to mark: what a video shows. */
  seen?: number | null;
  onMove: (stretch: Stretch) => void;
  onLive: () => void;
}

const HEIGHT = 210;
const TRACK_COLOURS = 6;
/** In a longer view, more faces than there are lines are one line. */
const LONG_MS = 600_000;
const POINTS = 900;
const DAY_S = 86_400;

export function trackColour(track: number): string {
  if (track === EVERYBODY) return "--accent";
  return `--track-${((track - 1) % TRACK_COLOURS) + 1}`;
}

export function Timeline(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const tracks = useRef<number[]>([]);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const at = host.current;
    if (!at) return;
    const lines = linesOf(props);
    tracks.current = lines.map((line) => line.track);
    chart.current ??= build(at, tracks, latest);
    chart.current.batch(() => {
      chart.current?.setData(table(lines), false);
      chart.current?.setScale("x", { min: props.from / 1000, max: props.to / 1000 });
    });
  });

  useGestures(host, latest);

  useEffect(() => {
    const at = host.current;
    if (!at) return;
    const observer = new ResizeObserver(() =>
      chart.current?.setSize({ width: at.clientWidth, height: HEIGHT }),
    );
    observer.observe(at);
    return () => {
      observer.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, []);

  function press(event: KeyboardEvent) {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const to = keyed(event.key, props.from, props.to, props.now);
    if (to === null) return;
    event.preventDefault();
    if (to === "live") props.onLive();
    else props.onMove(to);
  }

  return (
    <div
      class="timeline"
      ref={host}
      role="group"
      tabIndex={0}
      aria-label="Scores over time. Arrow keys move, plus and minus zoom, Escape goes back to live"
      onKeyDown={press}
    />
  );
}

/** A line for every face that is in view; one for all of them where there are too many. */
function linesOf({ points, from, to, stepMs }: Props): TrackLine[] {
  const span = to - from;
  const seen = points.filter(({ t }) => t >= from - span && t <= to + span);
  if (span > LONG_MS && new Set(seen.map(({ track }) => track)).size > MAX_TRACKS) {
    const step = Math.max(stepMs, span / POINTS);
    return trackLines(together(seen, step), step);
  }
  return trackLines(points, stepMs);
}

/** One table for all lines, with empty columns for the places that no face takes. */
function table(lines: TrackLine[]): uPlot.AlignedData {
  const tables = lines.map((line) => [line.x, line.p, line.lo, line.hi] as uPlot.AlignedData);
  const joined = tables.length > 0 ? uPlot.join(tables) : [[]];
  const nothing = new Array<null>(joined[0]?.length ?? 0).fill(null);
  const missing = 3 * (MAX_TRACKS - lines.length);
  return [...joined, ...new Array<null[]>(missing).fill(nothing)] as uPlot.AlignedData;
}

/** Make the chart once, with a place for every face that it may show, so that it is never rebuilt. */
function build(at: HTMLElement, tracks: { current: number[] }, latest: { current: Props }): uPlot {
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (let place = 0; place < MAX_TRACKS; place += 1) {
    const colour = () => {
      const track = tracks.current[place] ?? 1;
      return ink(at, latest.current.doubtful ? "--doubtful" : trackColour(track));
    };
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const first = series.length;
    series.push({ stroke: colour, width: 2, points: { show: false } }, { ...edge }, { ...edge });
    bands.push({ series: [first + 2, first + 1], fill: () => fade(colour(), 0.14) });
  }
  return new uPlot(
    {
      width: at.clientWidth,
      height: HEIGHT,
      series,
      bands,
      legend: { show: false },
      padding: [8, RIGHT, 0, 0],
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: { x: { time: true }, y: { range: [0, 1] } },
      axes: [axis(at, { values: (_, splits) => times(splits), space: 76, size: 30 }), axis(at, { size: LEFT, splits: () => [0, 0.25, 0.5, 0.75, 1] })],
      hooks: {
        drawClear: [(u) => shade(u, at, latest.current)],
        draw: [(u) => annotate(u, at, latest.current)],
        setSelect: [
          (u) => {
            if (u.select.width < 8) return;
            const from = u.posToVal(u.select.left, "x") * 1000;
            const to = u.posToVal(u.select.left + u.select.width, "x") * 1000;
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            latest.current.onMove([from, to]);
          },
        ],
      },
    },
    table([]),
    at,
  );
}

function axis(at: HTMLElement, more: uPlot.Axis): uPlot.Axis {
  return {
    stroke: () => ink(at, "--quiet"),
    font: '12px "Inter Variable", system-ui, sans-serif',
    grid: { stroke: () => ink(at, "--line"), width: 1 },
    ticks: { show: false },
    ...more,
  };
}

/** Seconds only where the scale is that fine; the day where one begins. */
function times(splits: number[]): string[] {
  const [first = 0, second = first + 60] = splits;
  const step = second - first;
  return splits.map((t, n) => {
    const ms = t * 1000;
    const before = n === 0 ? ms - step * 1000 : (splits[n - 1] ?? t) * 1000;
    const fresh = step >= DAY_S || (step >= 600 && day(ms) !== day(before));
    return fresh ? day(ms) : clock(ms).slice(0, step < 60 ? 8 : 5);
  });
}

/** Shade what was not connected, behind everything else. */
function shade(u: uPlot, at: HTMLElement, { events, now, shaded }: Props): void {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.fillStyle = fade(ink(at, "--warn"), 0.13);
  for (const [from, to] of outages(events, now)) {
    const x = u.valToPos(from / 1000, "x", true);
    ctx.fillRect(x, top, Math.max(u.valToPos(to / 1000, "x", true) - x, 1), height);
  }
  ctx.fillStyle = fade(ink(at, "--accent"), 0.14);
  for (const [from, to] of askedFor(events, now)) {
    const x = u.valToPos(from / 1000, "x", true);
    const wide = Math.max(u.valToPos(to / 1000, "x", true) - x, 2);
    ctx.fillRect(x, top, wide, height);
    ctx.fillRect(x, top, wide, 4 * devicePixelRatio); // a lid, so that it is seen in a long view
  }
  if (shaded) {
    ctx.fillStyle = fade(ink(at, "--alarm"), 0.12);
    const x = u.valToPos(shaded[0] / 1000, "x", true);
    ctx.fillRect(x, top, Math.max(u.valToPos(shaded[1] / 1000, "x", true) - x, 2), height);
  }
  ctx.restore();
}

/** Draw thresholds, epochs and verdicts, in front of everything else. */
function annotate(u: uPlot, at: HTMLElement, props: Props): void {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const unit = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.lineWidth = unit;
  for (const [value, name] of [[props.enter, "--alarm"], [props.leave, "--good"]] as const) {
    if (value === null) continue;
    const y = Math.round(u.valToPos(value, "y", true));
    ctx.strokeStyle = ink(at, name);
    ctx.setLineDash([5 * unit, 4 * unit]);
    stroke(ctx, left, y, left + width, y);
  }
  for (const mark of marks(props.events, props.detector)) {
    const x = Math.round(u.valToPos(mark.t / 1000, "x", true));
    if (mark.kind === "epoch") {
      ctx.strokeStyle = ink(at, "--quiet");
      ctx.setLineDash([1.5 * unit, 3 * unit]);
      stroke(ctx, x, top, x, top + height);
    } else {
      ctx.fillStyle = ink(at, props.doubtful ? "--doubtful" : mark.kind === "suspect" ? "--alarm" : "--good");
      triangle(ctx, x, top + 1, 5 * unit, mark.kind === "suspect");
    }
  }
  if (props.seen) {
    const x = Math.round(u.valToPos(props.seen / 1000, "x", true));
    ctx.strokeStyle = ink(at, "--accent");
    ctx.lineWidth = 2 * unit;
    ctx.setLineDash([]);
    stroke(ctx, x, top, x, top + height);
  }
  ctx.restore();
}

function stroke(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

function triangle(ctx: CanvasRenderingContext2D, x: number, y: number, size: number, up: boolean): void {
  ctx.beginPath();
  ctx.moveTo(x - size, up ? y + 2 * size : y);
  ctx.lineTo(x + size, up ? y + 2 * size : y);
  ctx.lineTo(x, up ? y : y + 2 * size);
  ctx.fill();
}

const probes = new WeakMap<HTMLElement, HTMLElement>();

/** Return what a colour of the style sheet is right now, in words that a canvas understands. */
function ink(at: HTMLElement, name: string): string {
  let probe = probes.get(at);
  if (!probe) {
    probe = document.createElement("span");
    probe.hidden = true;
    at.append(probe);
    probes.set(at, probe);
  }
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

function fade(colour: string, share: number): string {
  const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return `rgba(${r}, ${g}, ${b}, ${share})`;
}
