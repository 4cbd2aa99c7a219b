import { describe, expect, it } from "vitest";
import { DriftNotice, staleWords } from "../src/drift/notice";
import { status } from "./support";

const DARKER =
  "faces have become darker than in the last seven days: 86% of the ratings have moved, median 0.31, was 0.52";

/** Every text of what a component returns. */
function texts(node: unknown): string {
  if (typeof node === "string") return node;
  if (Array.isArray(node)) return node.map(texts).join("");
  const children = (node as { props?: { children?: unknown } } | null)?.props?.children;
  return children === undefined ? "" : texts(children);
}

describe("a stream that has changed", () => {
  const changed = status({ notices: ["drifted"], drift: [DARKER] });

  it("says beside its scores that calibration is stale", () => {
    expect(staleWords(changed)).toBe("calibration is stale here");
    expect(staleWords(status())).toBe("");
    expect(staleWords(null)).toBe("");
  });

  it("says what has changed, with the figures", () => {
    const said = texts(DriftNotice({ status: changed }));
    expect(said).toContain("Calibration is stale here.");
    expect(said).toContain("Faces have become darker than in the last seven days");
    expect(said).toContain("median 0.31, was 0.52.");
  });

  it("says nothing while nothing has changed", () => {
    expect(DriftNotice({ status: status({ notices: ["camera_clock"] }) })).toBeNull();
  });
});
