import { describe, expect, it } from "vitest";
import { decisionWords, oneIn } from "../src/stream/decision";

const TRIAL = { evidence: 0.4, as_high: 0.1, as_low: 1, stake: 0.025, needs_s: 2.4, gave_up: false };

describe("a decision in words", () => {
  it("says how rare, what an alarm needs, and when it is decided", () => {
    expect(decisionWords(TRIAL, false)).toBe(
      "one in 10 known real videos gets as high; an alarm needs one in 40, decided within 3 s",
    );
  });

  it("says when it is compared with a baseline of the camera", () => {
    expect(decisionWords(TRIAL, false, true)).toMatch(/^one in 10 real videos of this camera and others gets as high;/);
    expect(decisionWords(TRIAL, true, true)).toBe("Decided: as high as hardly any real video of this camera");
  });

  it("says when the budget is spent, and for how long", () => {
    expect(decisionWords({ ...TRIAL, as_high: 1, stake: 0, needs_s: 840 }, false)).toBe(
      "the budget allows no alarm now, but in 14 min",
    );
  });

  it("says when nothing more is to be expected", () => {
    expect(decisionWords({ ...TRIAL, gave_up: true }, false)).toContain("more of the same brings none");
  });

  it("says when it is decided", () => {
    expect(decisionWords({ ...TRIAL, needs_s: null }, true)).toContain("Decided");
  });

  it("rounds shares to whole numbers of videos", () => {
    expect(oneIn(1)).toBe("every one");
    expect(oneIn(1 / 42)).toBe("one in 42");
  });
});
