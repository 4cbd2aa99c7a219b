import { expect, test } from "vitest";
import { CONDITIONS } from "../src/attention";
import type { Happening } from "../src/streams";
import { Streams } from "../src/streams";
import { ago, because, CONDITION_WORDS, number, pastWords, reasonWords, seconds, stateWords, tell } from "../src/words";
import { say, score, status, T0, TRAINED } from "./support";

test.each([
  [0, "0.0 s"],
  [400, "0.4 s"],
  [9_949, "9.9 s"],
  [9_951, "10 s"],
  [99_000, "99 s"],
  [180_000, "3 min"],
  [7_200_000, "2 h"],
  [-5, "0.0 s"],
])("%i ms is %s", (ms, words) => {
  expect(seconds(ms)).toBe(words);
});

test("what is now needs no digits", () => {
  expect(ago(900)).toBe("now");
  expect(ago(12_000)).toBe("12 s ago");
});

test("a missing score is a dash, never a zero", () => {
  expect(number(null)).toBe("–");
  expect(number(0)).toBe("0.00");
});

test("every condition has words", () => {
  expect(CONDITIONS.filter((what) => !CONDITION_WORDS[what])).toEqual([]);
});

test("a reason that this page does not know is still shown", () => {
  expect(reasonWords(["blurred", "too_hot"])).toBe("the face is blurred, too hot");
});

const verdict = (notice: string): Happening => ({
  id: "1",
  t: 0,
  epoch: 1,
  data: {
    kind: "verdict_changed",
    id: "1",
    track: 3,
    detector: "styleflow-live",
    at: 2,
    previous: "clear",
    verdict: "suspect",
    score: 0.91,
    model: TRAINED,
    demo: notice !== "",
    notice,
  },
});

test("a verdict is an alarm, unless it is no finding", () => {
  expect(tell(verdict(""))).toMatchObject({ tone: "alarm", text: "Face 3: looks synthesised (0.91)" });
  expect(tell(verdict(""), true).text).toBe("Face 3, styleflow-live: looks synthesised (0.91)");
  const doubtful = tell(verdict("demo source: not a finding"));
  expect(doubtful.tone).toBe("quiet");
  expect(doubtful.text).toContain("not a finding");
});

test("an experimental model gives hints, not findings", () => {
  const model = { ...TRAINED, status: "experimental" as const };
  expect(stateWords("suspect", TRAINED)).toBe("Looks synthesised");
  expect(stateWords("suspect", model)).toBe("Possibly synthesised");
  expect(stateWords("clear", model)).toBe("Nothing found");
  expect(stateWords("lost", model)).toBe("Connection lost");
  const streams = new Streams();
  const scores = [score({ state: "suspect", model })];
  streams.take(say.snapshot("lobby", { models: [model], status: status(), scores }), T0);
  const stream = streams.all.get("lobby");
  expect(stream && because(stream, "suspect")).toBe("a hint to look, not a finding");
});

test("a crowd is told without the number of a face", () => {
  const data = { kind: "capacity_reached", id: "a/1", track: 0, detector: "x", slots: 8, faces_waiting: 1 } as const;
  expect(tell({ id: "a/1", t: 0, epoch: 0, data }).text).toBe(
    "More faces than can be followed: 1 face waits to be looked at",
  );
});

test("a stream with faces that nobody looks at says how many wait", () => {
  const streams = new Streams();
  const told = status({ faces_waiting: 2, reasons: ["faces_waiting"] });
  streams.take(say.snapshot("lobby", { status: told, scores: [score({ state: "ok" })] }), T0);
  const stream = streams.all.get("lobby");
  expect(stream && because(stream, "hindered")).toBe("2 faces wait to be looked at");
  expect(stream && because(stream, "suspect")).toContain("2 faces wait to be looked at");
});

test("a caller who sends a small layer is told its size and what to do, even when all seems clear", () => {
  const hint = "The sender gives 160x120, one of its 2 simulcast layers: have it send the larger layer";
  const streams = new Streams();
  streams.take(say.snapshot("lobby", { status: status({ notices: ["small_layer"], hint }), scores: [] }), T0);
  const stream = streams.all.get("lobby");
  expect(stream && because(stream, "clear")).toContain(hint);
  expect(stream && because(stream, "empty")).toContain(hint);
  expect(stream && because(stream, "hindered")).toContain(hint);
});

test("without a store a timeline says so in words, not by the address of an API", () => {
  const problem = {
    title: "Nothing is stored here",
    detail: "nothing is stored here; GET /api/v1/streams/{id}/history?seconds= has what is new",
    hint: "",
    status: 404,
    code: "store_off",
    faults: [],
  };
  const past = { points: [], pulses: [], events: [], stepMs: 0, loading: false, problem };
  expect(pastWords(past, 60_000)).toBe("60 s shown. Nothing is stored here: only the last minutes are known");
  const away = { ...past, problem: { ...problem, code: "store_busy", detail: "too many ask" } };
  expect(pastWords(away, 60_000)).toBe("What is stored cannot be shown: too many ask");
});
