import { expect, test } from "vitest";
import { type Condition, condition, Order, type Placed } from "../src/attention";
import type { ScoreData, StatusData } from "../src/protocol";
import { Streams } from "../src/streams";
import { say, score, status, T0, TRAINED, UNTRAINED } from "./support";

function shown(more: { status?: Partial<StatusData>; face?: Partial<ScoreData>; untrained?: boolean; demo?: boolean }): Condition {
  const streams = new Streams();
  streams.take(
    say.snapshot("lobby", {
      models: [more.untrained ? UNTRAINED : TRAINED],
      status: status({ demo: more.demo ?? false, ...more.status }),
      scores: more.face ? [score({ model: more.untrained ? UNTRAINED : TRAINED, ...more.face })] : [],
    }),
    T0,
  );
  const stream = streams.all.get("lobby");
  if (!stream) throw new Error("gone");
  return condition(stream);
}

test.each([
  [{ face: { state: "suspect" } }, "suspect"],
  [{ face: { state: "suspect" }, demo: true }, "demo-suspect"],
  [{ face: { state: "suspect" }, untrained: true }, "demo-suspect"],
  [{ face: { state: "ok" } }, "clear"],
  [{ face: { state: "ok" }, demo: true }, "demo-clear"],
  [{ status: { faces_waiting: 1, reasons: ["faces_waiting"] }, face: { state: "ok" } }, "hindered"],
  [{ status: { faces_waiting: 1 }, face: { state: "ok" }, demo: true }, "hindered"],
  [{ status: { faces_waiting: 1 }, face: { state: "suspect" } }, "suspect"],
  [{ face: { state: "warming", reasons: ["warming"] } }, "warming"],
  [{ face: { state: "warming", p: null } }, "warming"],
  [{ face: { state: "warming", p: 0.5 } }, "undecided"],
  [{ face: { state: "abstain", reasons: ["blurred"] } }, "hindered"],
  [{ face: { state: "abstain", reasons: ["untrained"] }, untrained: true }, "untrained"],
  [{ face: { state: "abstain", reasons: ["untrained", "dark"] }, untrained: true }, "hindered"],
  [{ status: { tracks: 0, reasons: ["no_face"] } }, "empty"],
  [{ status: { tracks: 0, reasons: ["low_fps", "no_face"] } }, "hindered"],
  [{ status: { tracks: 1 } }, "warming"],
  [{ status: { state: "failed" }, face: { state: "suspect" } }, "failed"],
  [{ status: { state: "stalled" } }, "lost"],
  [{ status: { state: "backing_off" } }, "lost"],
  [{ status: { state: "waiting_for_keyframe" } }, "connecting"],
  [{ status: { state: "ended" } }, "ended"],
] as const)("%j is %s", (what, expected) => {
  expect(shown(what as Parameters<typeof shown>[0])).toBe(expected);
});

const tile = (id: string, what: Condition): Placed => ({ id, name: id, condition: what });

test("what needs eyes comes first, then names in human order", () => {
  const tiles = [tile("cam 10", "clear"), tile("cam 9", "clear"), tile("x", "suspect"), tile("a", "lost")];
  expect(new Order().arrange(tiles, 0, false)).toEqual(["x", "a", "cam 9", "cam 10"]);
});

test("a tile rises at once and sinks only after a while", () => {
  const order = new Order();
  order.arrange([tile("a", "clear"), tile("b", "clear")], 0, false);
  expect(order.arrange([tile("a", "clear"), tile("b", "suspect")], 100, false)).toEqual(["b", "a"]);
  expect(order.arrange([tile("a", "clear"), tile("b", "clear")], 200, false)).toEqual(["b", "a"]);
  expect(order.arrange([tile("a", "clear"), tile("b", "clear")], 8_100, false)).toEqual(["b", "a"]);
  expect(order.arrange([tile("a", "clear"), tile("b", "clear")], 8_300, false)).toEqual(["a", "b"]);
});

test("a score at the edge of its threshold does not make the wall flicker", () => {
  const order = new Order();
  const seen = new Set<string>();
  for (let t = 0; t < 60_000; t += 500) {
    const what = (t / 500) % 2 === 0 ? "suspect" : "clear";
    seen.add(order.arrange([tile("a", "clear"), tile("b", what)], t, false).join());
  }
  expect([...seen]).toEqual(["b,a"]);
});

test("nothing moves while the order is held; newcomers go to the end", () => {
  const order = new Order();
  order.arrange([tile("a", "clear"), tile("b", "clear"), tile("c", "clear")], 0, false);
  const now = [tile("a", "clear"), tile("c", "suspect"), tile("d", "failed")];
  expect(order.arrange(now, 100, true)).toEqual(["a", "c", "d"]);
  expect(order.waiting).toBeGreaterThan(0);
  expect(order.arrange(now, 200, false)).toEqual(["c", "d", "a"]);
  expect(order.waiting).toBe(0);
});

test("a stream that comes back under the same name starts afresh", () => {
  const order = new Order();
  order.arrange([tile("a", "clear"), tile("b", "suspect")], 0, false);
  order.arrange([tile("a", "clear")], 100, false);
  expect(order.arrange([tile("a", "clear"), tile("b", "clear")], 200, false)).toEqual(["a", "b"]);
});

test("what has been dead for long stands after the living", () => {
  const tiles = [
    { ...tile("dead", "lost"), silentMs: 700_000 },
    { ...tile("new", "lost"), silentMs: 20_000 },
    tile("fine", "clear"),
    { ...tile("bad", "suspect"), silentMs: 900_000 },
    tile("over", "ended"),
  ];
  expect(new Order().arrange(tiles, 0, false)).toEqual(["bad", "new", "fine", "over", "dead"]);
});

test("what was never reached is dead after a while, and alive at once when it comes", () => {
  const order = new Order();
  const at = (what: Condition, now: number) => order.arrange([tile("a", what), tile("b", "clear")], now, false);
  expect(at("failed", 0)).toEqual(["a", "b"]);
  expect(at("failed", 590_000)).toEqual(["a", "b"]);
  expect(at("failed", 600_000)).toEqual(["b", "a"]);
  expect(at("clear", 600_500)).toEqual(["a", "b"]);
  expect(at("failed", 601_000)).toEqual(["a", "b"]);
});
