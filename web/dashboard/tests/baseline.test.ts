import { expect, test } from "vitest";
import { baselineName, baselineState, enough, noneWords, recentWords } from "../src/baseline/words";

const made = "2026-11-30T09:12:00Z";

test("a baseline is named in short", () => {
  expect(baselineName({ name: "lobby", minutes: 12.2, made })).toBe("Baseline: lobby, 12 min, 2026-11-30");
  expect(baselineName({ name: "lobby", minutes: 0.4, made })).toBe("Baseline: lobby, 1 min, 2026-11-30");
  expect(baselineName({ name: "lobby", minutes: null, made })).toBe("Baseline: lobby, 2026-11-30");
});

test("one that is not used says why", () => {
  expect(baselineState({ state: "active", reason: "" })).toMatch(/^Faces are compared with it/);
  expect(baselineState({ state: "changed", reason: "the video is vp8 now" })).toContain(
    "the picture has changed: the video is vp8 now. Faces are compared with all",
  );
  expect(baselineState({ state: "expired", reason: "it held until 2026-12-30" })).toContain("No longer used: it held");
  expect(baselineState({ state: "unused", reason: "" })).toBe("Not used.");
});

test("ten minutes with too little of a face are not enough, and it is said how much is", () => {
  const short = { baseline: null, recent_minutes: 1.25, least_minutes: 3, decides: true };
  expect(enough(short)).toBe(false);
  expect(recentWords(short)).toContain("hold 1.3 min of a face's usable evidence; 3 are needed");
  const long = { ...short, recent_minutes: 3 };
  expect(enough(long)).toBe(true);
  expect(recentWords(long)).toBe("The last ten minutes hold 3.0 min of a face's usable evidence.");
  expect(enough({ ...long, least_minutes: null })).toBe(false);
});

test("where thresholds decide, a baseline is not promised to be used", () => {
  const none = { baseline: null, recent_minutes: 5, least_minutes: 3 };
  expect(noneWords({ ...none, decides: true })).toContain("they are compared with this camera");
  expect(noneWords({ ...none, decides: false })).toContain("used once verdicts come of a budget");
});
