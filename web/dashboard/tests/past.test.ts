import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Refused } from "../src/api";
import { blocksOf, MOST_BLOCKS, PastDesk, resolutionFor } from "../src/past";
import type { HistoryView } from "../src/protocol";
import { knownSince, merged } from "../src/stream/merged";
import { Streams } from "../src/streams";
import { say, T0 } from "./support";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = T0 + 100_000; // within a block

/** A stored stretch as the server sends it: a point at its beginning. */
function stored(from: number, resolution: number): HistoryView {
  const means = resolution > 0 ? { p_min: [0.2], p_max: [0.9] } : {};
  return {
    stream: "lobby",
    now: NOW / 1000,
    resolution: resolution || "full",
    scores: {
      t: [from],
      epoch: [1],
      track: [1],
      detector: ["styleflow-live"],
      p: [0.5],
      lo: [0.4],
      hi: [0.6],
      state: ["ok"],
      face_px: [100],
      sharpness: [80],
      ...means,
    },
    pulses: { t: [from], epoch: [1], fps: [25], loss: [0], tracks: [1] },
    events: [],
  };
}

function desk(fail = false) {
  const asked: [number, number, number][] = [];
  let clock = NOW;
  let redrawn = 0;
  const it = new PastDesk(
    async (_, from, to, resolution) => {
      asked.push([from, to, resolution]);
      if (fail) throw new Refused({ title: "No", detail: "no", hint: "", status: 503, code: "", faults: [] });
      return stored(from, resolution);
    },
    () => (redrawn += 1),
    () => clock,
  );
  return { it, asked, redraws: () => redrawn, wait: (ms: number) => (clock += ms) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test.each([
  [60_000, 0],
  [HOUR, 5],
  [DAY, 120],
  [7 * DAY, 900],
  [90 * DAY, 14_400],
])("a view of %i ms has a resolution of %i s", (span, resolution) => {
  expect(resolutionFor(span)).toBe(resolution);
});

test("blocks lie on a grid and end where now is", () => {
  const blocks = blocksOf("lobby", NOW - HOUR, NOW, NOW, HOUR);
  expect(blocks.every(({ from, to }) => from % 1_500 === 0 && to - from === 1_500)).toBe(true);
  expect(blocks[0]?.from).toBeLessThanOrEqual((NOW - HOUR) / 1000);
  expect(blocks.at(-1)?.from).toBeLessThan(NOW / 1000);
  expect(blocksOf("lobby", NOW + HOUR, NOW + 2 * HOUR, NOW, HOUR)).toHaveLength(0);
});

test("only what is seen is fetched, once the view rests", async () => {
  const { it, asked } = desk();
  for (let step = 0; step < 20; step += 1) it.see("lobby", NOW - 80 * DAY + step * DAY, NOW - 79 * DAY + step * DAY, NOW);
  expect(asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  const begin = (NOW - 61 * DAY) / 1000;
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.every(([from, to]) => to > begin && from < begin + DAY / 1000)).toBe(true);
});

test("what was fetched is not fetched again", async () => {
  const { it, asked } = desk();
  const see = () => it.see("lobby", NOW - 10 * DAY, NOW - 9 * DAY, NOW);
  expect(see().loading).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  const before = asked.length;
  const past = see();
  expect(past.loading).toBe(false);
  expect(past.points.length).toBe(before);
  expect(past.stepMs).toBe(120_000);
  expect(past.points[0]).toMatchObject({ p: 0.5, lo: 0.2, hi: 0.9 });
  it.see("lobby", NOW - DAY, NOW, NOW);
  await vi.advanceTimersByTimeAsync(200);
  const after = asked.length;
  see();
  await vi.advanceTimersByTimeAsync(200);
  expect(asked.length).toBe(after);
});

test("the same view is the same object, so that nothing is drawn anew", async () => {
  const { it } = desk();
  it.see("lobby", NOW - 10 * DAY, NOW - 9 * DAY, NOW);
  await vi.advanceTimersByTimeAsync(200);
  expect(it.see("lobby", NOW - 10 * DAY, NOW - 9 * DAY, NOW)).toBe(it.see("lobby", NOW - 10 * DAY, NOW - 9 * DAY, NOW));
});

test("a block that goes on is fetched again after a while, not at every look", async () => {
  const { it, asked, wait } = desk();
  it.see("lobby", NOW - 60_000, NOW, NOW);
  await vi.advanceTimersByTimeAsync(200);
  const first = asked.length;
  wait(2_000);
  it.see("lobby", NOW - 58_000, NOW + 2_000, NOW + 2_000);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked.length).toBe(first);
  wait(6_000);
  it.see("lobby", NOW - 52_000, NOW + 8_000, NOW + 8_000);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked.length).toBe(first + 1);
});

test("a bounded number of blocks is kept: the one used longest ago gives way", async () => {
  const { it, asked } = desk();
  for (let n = 0; n < MOST_BLOCKS; n += 1) {
    it.see("lobby", NOW - 90 * DAY + n * 300_000, NOW - 90 * DAY + n * 300_000 + 250_000, NOW);
    await vi.advanceTimersByTimeAsync(200);
  }
  it.see("lobby", NOW - HOUR, NOW - HOUR + 250_000, NOW);
  await vi.advanceTimersByTimeAsync(200);
  const before = asked.length;
  it.see("lobby", NOW - 90 * DAY, NOW - 90 * DAY + 250_000, NOW);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked.length).toBeGreaterThan(before);
});

test("a failure is told, and tried again later rather than at once", async () => {
  const { it, asked, wait } = desk(true);
  const see = () => it.see("lobby", NOW - 10 * DAY, NOW - 10 * DAY + 100_000, NOW);
  see();
  await vi.advanceTimersByTimeAsync(200);
  const tries = asked.length;
  expect(see().problem?.detail).toBe("no");
  await vi.advanceTimersByTimeAsync(1_000);
  see();
  expect(asked.length).toBe(tries);
  wait(6_000);
  see();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.length).toBeGreaterThan(tries);
});

test("whoever leaves asks for nothing more", async () => {
  const { it, asked } = desk();
  it.see("lobby", NOW - 10 * DAY, NOW - 9 * DAY, NOW);
  it.leave();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toEqual([]);
});

test("what is stored stands before what the page has seen, each event once", () => {
  const streams = new Streams();
  for (const message of [say.subscribed("lobby"), say.snapshot(), say.score({ p: 0.7 }, 1_000)]) {
    streams.take(message, T0);
  }
  streams.seed({ ...stored(T0 / 1000 - 5, 0), events: [] });
  const stream = streams.all.get("lobby");
  const since = knownSince(stream, "styleflow-live");
  expect(since).toBe(T0 - 5_000);
  const event = { id: "1-1", t: T0, epoch: 1, data: { kind: "stream_removed", id: "1-1" } } as const;
  stream?.events.push(event);
  const past = {
    points: [T0 - 60_000, T0].map((t) => ({ ...(stream?.points[0] as never as object), t })) as never,
    pulses: [],
    events: [event],
    stepMs: 0,
    loading: false,
    problem: null,
  };
  const all = merged(past, stream, "styleflow-live", since);
  expect(all.points.map(({ t }) => t - T0)).toEqual([-60_000, -5_000, 1_000]);
  expect(all.events).toHaveLength(1);
  expect(knownSince(undefined, "styleflow-live")).toBe(Number.POSITIVE_INFINITY);
});
