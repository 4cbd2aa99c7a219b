import { expect, test } from "vitest";
import { examine, suggestId } from "../src/address";
import { flaggedWords, kindWords, onceWords, precisionWords, rankedWords, weakKinds } from "../src/help/figures";
import { labelled } from "../src/problem";
import type { FiguresView } from "../src/protocol";
import { address, parse } from "../src/route";
import { drawn, isLocal, whipAddress } from "../src/stream/waiting_room";

const FIGURES: FiguresView = {
  date: "2026-11-30",
  precision: "int8",
  chose: false,
  reals: 60,
  fakes: 40,
  unscored: 1,
  auc: { value: 0.75, low: 0.66, high: 0.84 },
  flagged_at_5: { value: 0.254, low: 0.02, high: 0.5 },
  kinds: [
    { kind: "talking_head", fakes: 36, auc: { value: 0.8, low: 0.7, high: 0.9 } },
    { kind: "avatar_3d", fakes: 4, auc: { value: 0.6, low: 0.5, high: 0.7 } },
  ],
  once: {
    date: "2026-11-30",
    precision: "bfloat16",
    reals: 47,
    fakes: 83,
    auc: { value: 0.53, low: 0.43, high: 0.63 },
    kinds: [{ kind: "lip_sync", fakes: 32, auc: { value: 0.58, low: 0.48, high: 0.7 } }],
  },
};

test("a model's figures are told in words, with how sure they are", () => {
  expect(rankedWords(FIGURES)).toContain("in 75 of 100 pairs (66 to 84; tossing a coin gives 50). 1 clip got no score.");
  expect(flaggedWords(FIGURES)).toContain("it flags 25 of 100 fakes (2 to 50)");
});

test("figures of clips that chose the model say so, and those of clips that did not stand beside them", () => {
  expect(rankedWords(FIGURES)).not.toContain("chose");
  expect(rankedWords({ ...FIGURES, chose: true })).toContain("These clips chose the model, so count on less.");
  const once = onceWords(FIGURES.once!);
  expect(once).toContain("On 83 other fakes and 47 real clips");
  expect(once).toContain("53 of 100 (43 to 63): no better than tossing a coin. By kind of fake: lip sync 58.");
  expect(onceWords({ ...FIGURES.once!, auc: { value: 0.8, low: 0.7, high: 0.9 } })).not.toContain("coin");
});

test("what was computed in is told in words", () => {
  expect(["int8", "bfloat16", "float32, int8"].map(precisionWords)).toEqual([
    "eight bits",
    "half precision",
    "float32, int8",
  ]);
});

test("kinds of fake that are hardly told from chance are named", () => {
  expect(weakKinds(FIGURES.kinds).map(({ kind }) => kindWords(kind))).toEqual(["3D avatar"]);
});

test("what is wrong with a value is told by the label of its field", () => {
  const labels = { "source.url": "Address", enter: "Suspect from" };
  const faults = [
    { where: "source.url", what: "no host" },
    { where: "body.source.url", what: "too long" },
    { where: "enter", what: "more than 1" },
    { where: "priority", what: "unknown" },
  ];
  expect(labelled(faults as Parameters<typeof labelled>[0], labels)).toEqual([
    "Address: no host",
    "Address: too long",
    "Suspect from: more than 1",
    "priority: unknown",
  ]);
});

test("a waiting room's address is below the analyzer's root, and named when others cannot reach it", () => {
  expect(whipAddress("front door", new URL("https://host/prefix/"))).toBe("https://host/prefix/whip/front%20door");
  const local = ["http://127.0.0.1:8000/", "http://localhost/", "http://[::1]/", "https://host/"];
  expect(local.map((one) => isLocal(new URL(one)))).toEqual([true, true, true, false]);
});

test("a QR code has the size of its version and empty modules around it", () => {
  const { size, path } = drawn("http://127.0.0.1:8000/whip/lobby");
  expect(size).toBe(29 + 8); // version 3 holds 42 bytes at level M
  expect(path.startsWith("M4 4h1v1h-1z")).toBe(true);
});

test("a stream that waits for a call can be added by the form", () => {
  expect(examine("whip://")).toMatchObject({ fault: "" });
  expect(suggestId("whip://", "", new Set())).toBe("call");
});

test("how to read the page has an address of its own", () => {
  expect(parse("/prefix/help", "", "/prefix/")).toEqual({ page: "help" });
  expect(address({ page: "help" }, "/prefix/")).toBe("/prefix/help");
});
