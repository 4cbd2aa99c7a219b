import { expect, test } from "vitest";
import { isLive, keyed, MOST_MS, panned, pinched, within, zoomed } from "../src/stretch";

test.each([
  ["ArrowLeft", [75_000, 115_000]],
  ["ArrowRight", [95_000, 135_000]],
  ["+", [95_000, 115_000]],
  ["-", [65_000, 145_000]],
  ["Escape", "live"],
  ["a", null],
])("%s on the timeline leads to %j", (key, expected) => {
  expect(keyed(key, 85_000, 125_000, 200_000)).toEqual(expected);
});

test("the timeline does not run ahead of now, nor shrink to nothing", () => {
  expect(keyed("ArrowRight", 85_000, 125_000, 130_000)).toBe("live");
  expect(keyed("-", 85_000, 125_000, 130_000)).toEqual([50_000, 130_000]);
  expect(keyed("+", 100_000, 106_000, 130_000)).toEqual([100_500, 105_500]);
});

const NOW = 100 * 86_400_000;

test("what is below the pointer stays there while the wheel zooms", () => {
  expect(zoomed([0, 100_000], 25_000, 0.5, 200_000)).toEqual([12_500, 62_500]);
});

test("zooming out ends at ninety days, and never ahead of now", () => {
  const [from, to] = zoomed([NOW - 60_000, NOW], NOW - 30_000, 1e9, NOW);
  expect(to).toBe(NOW);
  expect(to - from).toBe(MOST_MS);
});

test("nothing is farther back than what is kept", () => {
  expect(within([0, 60_000], NOW)).toEqual([NOW - MOST_MS, NOW - MOST_MS + 60_000]);
  expect(panned([NOW - 60_000, NOW], 1_000, NOW)).toEqual([NOW - 60_000, NOW]);
});

test("the moments below two fingers stay below them", () => {
  const [from, to] = pinched([NOW - 200_000, NOW - 100_000], [0.4, 0.6], [0.3, 0.7], NOW);
  expect(to - from).toBeCloseTo(50_000);
  expect(from + 0.3 * (to - from)).toBeCloseTo(NOW - 160_000);
  expect(from + 0.7 * (to - from)).toBeCloseTo(NOW - 140_000);
});

test("two fingers on one spot do not divide by nothing", () => {
  const [from, to] = pinched([0, 100_000], [0.4, 0.6], [0.5, 0.5], NOW);
  expect(Number.isFinite(from) && to > from).toBe(true);
});

test("a stretch that ends at now goes along with it", () => {
  expect(isLive([0, 99_000], 100_000)).toBe(true);
  expect(isLive([0, 90_000], 100_000)).toBe(false);
});
