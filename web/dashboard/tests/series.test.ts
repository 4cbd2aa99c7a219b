import { expect, test } from "vitest";
import { EVERYBODY, marks, outages, path, together, trackLines } from "../src/series";
import type { Happening, Point } from "../src/streams";
import { line } from "../src/meter";
import type { Verdict } from "../src/protocol";
import { TRAINED } from "./support";

const point = (t: number, more: Partial<Point> = {}): Point => ({
  t,
  epoch: 1,
  track: 1,
  detector: "styleflow-live",
  p: 0.5,
  lo: 0.4,
  hi: 0.6,
  state: "ok",
  facePx: 100,
  sharpness: 80,
  ...more,
});

test("a gap in time is a gap in the line", () => {
  const [one] = trackLines([point(0), point(500), point(5_000)]);
  expect(one?.x).toEqual([0, 0.5, 2.75, 5]);
  expect(one?.p).toEqual([0.5, 0.5, null, 0.5]);
});

test("a new epoch breaks the line however short it took", () => {
  const [one] = trackLines([point(0), point(500, { epoch: 2 })]);
  expect(one?.p).toEqual([0.5, null, 0.5]);
});

test("every face has a line; of too many, the newest are drawn", () => {
  const points = Array.from({ length: 12 }, (_, n) => point(n * 100, { track: n + 1 }));
  expect(trackLines(points).map(({ track }) => track)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
});

test("time never runs backwards in a line", () => {
  const [one] = trackLines([point(1_000), point(900), point(1_000), point(1_200)]);
  expect(one?.x).toEqual([1, 1.2]);
});

const happening = (t: number, data: Happening["data"]): Happening => ({ id: String(t), t, epoch: 1, data });
const connection = (t: number, state: "live" | "connecting" | "backing_off") =>
  happening(t, {
    kind: "stream_changed",
    id: String(t),
    state,
    code: null,
    detail: "",
    retry_in_s: null,
    summary: "",
  });

test("stretches without connection end when it is live again, or go on", () => {
  const events = [
    connection(0, "connecting"),
    connection(10, "live"),
    connection(50, "backing_off"),
    connection(60, "connecting"),
    connection(80, "live"),
    connection(90, "backing_off"),
  ];
  expect(outages(events, 100)).toEqual([
    [50, 80],
    [90, 100],
  ]);
});

test("epochs and verdicts are marked, going back to pending is not", () => {
  const verdict = (t: number, to: Verdict) =>
    happening(t, {
      kind: "verdict_changed",
      id: String(t),
      track: 1,
      detector: "styleflow-live",
      at: t,
      previous: "clear",
      verdict: to,
      score: 0.9,
      model: TRAINED,
      demo: false,
      notice: "",
    });
  const events = [
    happening(1, { kind: "epoch_started", id: "1", cause: "connected" }),
    verdict(2, "suspect"),
    verdict(3, "pending"),
    verdict(4, "clear"),
  ];
  expect(marks(events, "caddm").map(({ kind }) => kind)).toEqual(["epoch"]);
  expect(marks(events, "styleflow-live").map(({ t, kind }) => [t, kind])).toEqual([
    [1, "epoch"],
    [2, "suspect"],
    [4, "clear"],
  ]);
});

test("a strip is broken where samples are missing", () => {
  const samples = [
    { t: 0, v: 0 },
    { t: 10, v: 10 },
    { t: 20, v: null },
    { t: 30, v: 10 },
    { t: 90, v: 5 },
  ];
  expect(path(samples, 0, 100, 10, 100, 10, 15)).toBe("M0.0 10.0h0L10.0 0.0M30.0 0.0h0M90.0 5.0h0");
});

test("a sparkline is broken by missing numbers, time and epochs", () => {
  const drawn = line(
    [point(0), point(500), point(1_000, { p: null }), point(1_500), point(9_000), point(9_500, { epoch: 2 })],
    (t) => t / 100,
  );
  expect(drawn.match(/M/g)).toHaveLength(4);
  expect(drawn.match(/L/g)).toHaveLength(1);
});

test("points that stand for a minute each are one line, not a row of dots", () => {
  const [one] = trackLines([point(0), point(60_000), point(300_000)], 60_000);
  expect(one?.p).toEqual([0.5, 0.5, null, 0.5]);
});

test("where there are more faces than lines, one line tells the highest score of all", () => {
  const all = together(
    [
      point(100, { track: 1, p: 0.2, lo: 0.1, hi: 0.3 }),
      point(700, { track: 2, p: 0.9, lo: 0.8, hi: 0.95 }),
      point(1_200, { track: 3, p: null, lo: null, hi: null }),
      point(2_100, { track: 4, p: 0.4, lo: null, hi: null }),
    ],
    1_000,
  );
  expect(all.map(({ t, track, p, lo, hi }) => [t, track, p, lo, hi])).toEqual([
    [0, EVERYBODY, 0.9, 0.1, 0.95],
    [2_000, EVERYBODY, 0.4, 0.4, 0.4],
  ]);
});
