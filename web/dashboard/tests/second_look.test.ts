import { describe, expect, it } from "vitest";
import type { SecondLookData } from "../src/protocol";
import { secondLookWords } from "../src/stream/second_look";

const LOOK: SecondLookData = { detector: "gend-pe-l", status: "trained", score: 0.912, at: 4, agrees: true };

describe("a second look in words", () => {
  it("says whose, how high, and whether it agrees", () => {
    expect(secondLookWords(LOOK)).toBe("Second look by gend-pe-l: 0.91, it agrees");
    expect(secondLookWords({ ...LOOK, agrees: false })).toContain("it disagrees");
  });

  it("says when one of the two leans to neither side", () => {
    expect(secondLookWords({ ...LOOK, agrees: null })).toContain("do not both lean");
  });

  it("says how far the detector may be trusted", () => {
    expect(secondLookWords({ ...LOOK, status: "uncalibrated" })).toContain("(uncalibrated)");
    expect(secondLookWords({ ...LOOK, status: "untrained", agrees: null })).toContain("means nothing");
    expect(secondLookWords({ ...LOOK, status: "untrained", agrees: null })).not.toContain("0.91");
  });
});
