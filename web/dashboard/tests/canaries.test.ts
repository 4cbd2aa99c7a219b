import { expect, test } from "vitest";
import { CanaryDesk } from "../src/canaries/desk";
import { canaryFacts, canaryLine, canaryTrouble } from "../src/canaries/words";
import type { CanariesView } from "../src/protocol";

const AT = Date.parse("2026-11-30T12:00:00Z");

const REAL: CanariesView["canaries"][number] = {
  id: ".canary.demo.real",
  name: "Canary: demo, real",
  pair: "demo",
  role: "real",
  opinions: [{ detector: "styleflow-live", logit: -0.62, score: 0.11, ratings: 20 }],
  fps: 25,
  face_px: 201,
  brightness: 173,
  sharpness: 212,
  latency_s: 0.11,
  failure: "",
  expected: [{ figure: "logit", detector: "styleflow-live", low: -0.92, high: -0.32 }],
};

const OK: CanariesView = {
  state: "ok",
  checked_at: new Date(AT).toISOString(),
  age_s: 120,
  every_s: 300,
  latency_s: 3,
  findings: [],
  canaries: [REAL],
  sending: "",
  rounds: { ok: 3, learning: 5, findings: 0, skipped: 0 },
  learned: 5,
  learn_rounds: 5,
  anew: "",
  skipped: "",
};

const FOUND: CanariesView["findings"][number] = {
  kind: "changed",
  canary: REAL.id,
  detector: "",
  text: "the real clip of demo is not what it was",
  hint: "Undo the last update",
};

test("the line says when the detector was last checked, and what was seen to whoever points", () => {
  const line = canaryLine(OK, AT + 120_000);
  expect(line?.text).toBe("Detector checked 2 min ago");
  expect(line?.tone).toBe("good");
  expect(line?.details).toBe(
    "Canary: demo, real: styleflow-live 0.11 (rating −0.62, −0.92 to −0.32 expected), 0.1 s after the picture.",
  );
  expect(canaryLine(OK, AT + 1_000)?.text).toBe("Detector checked less than a minute ago");
  expect(canaryLine(OK, AT + 3 * 3_600_000)?.text).toBe("Detector checked 3 h ago");
});

test("a check that is long ago is no good sign", () => {
  expect(canaryLine(OK, AT + 899_000)?.tone).toBe("good");
  expect(canaryLine(OK, AT + 901_000)?.tone).toBe("warn");
});

test("where no known clips are sent, nothing is said", () => {
  expect(canaryLine(null, AT)).toBeNull();
  expect(canaryLine({ ...OK, state: "off" }, AT)).toBeNull();
  expect(canaryTrouble(null)).toBeNull();
});

test("learning, doubt and failure are said in the line", () => {
  const said = (change: Partial<CanariesView>) => canaryLine({ ...OK, ...change }, AT + 60_000)?.text;
  expect(said({ state: "waiting", checked_at: null, learned: 0 })).toBe(
    "Detector not checked yet, learning what to expect (0 of 5)",
  );
  expect(said({ state: "learning", learned: 2 })).toBe("Detector checked 1 min ago, learning what to expect (2 of 5)");
  expect(said({ state: "doubtful" })).toBe("Detector checked 1 min ago: doubtful, checking again");
  expect(said({ state: "failing" })).toBe("Detector checked 1 min ago: failing");
});

test("one round in doubt is no trouble yet, two are, with what to do", () => {
  expect(canaryTrouble({ ...OK, state: "doubtful", findings: [FOUND] })).toBeNull();
  expect(canaryTrouble({ ...OK, state: "failing", findings: [FOUND] })).toEqual({
    what: "The detector no longer judges known clips as it did",
    found: [{ text: "The real clip of demo is not what it was", hint: "Undo the last update" }],
  });
  expect(canaryTrouble({ ...OK, state: "late" })?.what).toBe("Scores come later than they may");
});

test("why a round was skipped, and why it learns anew, is told to whoever points", () => {
  const view = { ...OK, anew: "styleflow-live has other weights", skipped: "every slot is taken" };
  expect(canaryLine(view, AT)?.details).toContain("Learns anew: styleflow-live has other weights.");
  expect(canaryLine(view, AT)?.details).toContain("The last round was skipped: every slot is taken.");
});

test("a clip that did not get through says why", () => {
  expect(canaryFacts({ ...REAL, failure: "no call" })).toBe("no call");
  expect(canaryFacts({ ...REAL, opinions: [] })).toBe("No score yet");
});

test("what was known last stays while nobody answers", async () => {
  let told = 0;
  let answer: () => Promise<CanariesView> = async () => OK;
  const learnCanaries = async (): Promise<CanariesView> => ({ ...OK, state: "waiting" });
  const desk = new CanaryDesk({ canaries: () => answer(), learnCanaries }, () => (told += 1));
  await desk.look();
  answer = () => Promise.reject(new Error("away"));
  await desk.look();
  expect([desk.view, told]).toEqual([OK, 1]);
  await desk.learn();
  expect(desk.view?.state).toBe("waiting");
});
