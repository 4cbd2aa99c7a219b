import { expect, test } from "vitest";
import { cropOf } from "../src/crop";
import { needingEyes, overall, suspects } from "../src/eyes";
import { Sound, type Speaker } from "../src/sound";
import { Streams } from "../src/streams";
import { SmallWindow } from "../src/small/window";
import { say, score, status, T0 } from "./support";

function streams(states: Record<string, "clear" | "suspect" | "failed" | "demo">): Streams {
  const made = new Streams();
  for (const [id, what] of Object.entries(states)) {
    const demo = what === "demo";
    const scores = [score({ state: what === "clear" ? "ok" : "suspect", demo })];
    const failed = { state: "failed" as const, code: "not_found" as const };
    const told = status({ name: id, demo, ...(what === "failed" ? failed : {}) });
    made.take(say.snapshot(id, { status: told, scores: what === "failed" ? [] : scores, demo }), T0);
  }
  return made;
}

test("what needs eyes comes suspects first, and a demo needs none", () => {
  const { all } = streams({ gate: "failed", lobby: "clear", studio: "suspect", show: "demo", annex: "suspect" });
  expect(needingEyes(all.values()).map(({ id }) => id)).toEqual(["annex", "studio", "gate"]);
  expect(suspects(all.values()).map(({ id }) => id)).toEqual(["studio", "annex"]);
});

test.each([
  [{}, "none"],
  [{ a: "clear", b: "suspect" }, "suspect"],
  [{ a: "clear", b: "clear" }, "clear"],
  [{ a: "clear", b: "failed" }, "none"],
  [{ a: "clear", b: "demo" }, "none"],
] as const)("%j amounts to %s", (states, verdict) => {
  expect(overall(streams(states).all.values())).toBe(verdict);
});

function sound(wish = true) {
  const heard: number[] = [];
  let [wanted, now] = [wish, 0];
  const speaker: Speaker = {
    able: true,
    ready: () => true,
    wake: () => {},
    play: () => heard.push(now),
    wish: { get: () => wanted, set: (on) => (wanted = on) },
  };
  const it = new Sound(speaker, () => {}, () => now);
  const at = (ms: number, ...ids: string[]) => {
    now = ms;
    it.hear(ids);
  };
  return { it, heard, at };
}

test("a tone sounds when a verdict turns suspect, once for several, and not for what was so at first", () => {
  const { heard, at } = sound();
  at(0, "gate");
  at(5_000, "gate");
  at(6_000, "gate", "lobby");
  at(6_500, "gate", "lobby", "studio");
  at(9_000, "lobby");
  at(12_000, "lobby", "gate");
  expect(heard).toEqual([6_000, 12_000]);
});

test("there is no tone until somebody wants it, and then one to know it by", () => {
  const { it, heard, at } = sound(false);
  at(0);
  at(5_000, "gate");
  expect([it.hearing, heard]).toEqual(["off", []]);
  it.turn(true);
  expect([it.hearing, heard]).toEqual(["on", [5_000]]);
});

test("a face is cut out with room around it, within the picture", () => {
  const picture = { bitmap: { width: 320, height: 180 }, width: 640, height: 360 };
  expect(cropOf({ x0: 300, y0: 100, x1: 400, y1: 200 }, picture)).toEqual({ x: 137.5, y: 37.5, width: 75, height: 75 });
  expect(cropOf({ x0: 0, y0: 0, x1: 100, y1: 80 }, picture)).toEqual({ x: 0, y: 0, width: 75, height: 75 });
  expect(cropOf({ x0: 0, y0: 0, x1: 640, y1: 360 }, picture)).toEqual({ x: 70, y: 0, width: 180, height: 180 });
  expect(cropOf(null, picture)).toEqual({ x: 0, y: 0, width: 320, height: 180 });
});

test("a small window that the browser blocks is said to be blocked, until the next attempt", async () => {
  let told = 0;
  const shop = { float: async () => null, pop: () => null };
  const small = new SmallWindow(shop, () => (told += 1));
  expect(await small.open("Gate", () => () => {})).toBe("blocked");
  expect([small.blocked, small.window, told]).toEqual([true, null, 1]);
});
