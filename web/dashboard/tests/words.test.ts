import { expect, test } from "vitest";
import { condition, CONDITIONS } from "../src/attention";
import type { ScoreData, StatusData } from "../src/protocol";
import type { Happening, Stream } from "../src/streams";
import { Streams } from "../src/streams";
import { ago, because, CONDITION_WORDS, noticesOf, number, pastWords, reasonWords, scoreMeaning, seconds, stateWords, tell } from "../src/words";
import { say, score, status, T0, TRAINED, UNTRAINED } from "./support";

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
  expect(tell(verdict(""))).toMatchObject({ tone: "alarm", text: "Face 3: suspect (0.91)" });
  expect(tell(verdict(""), true).text).toBe("Face 3, styleflow-live: suspect (0.91)");
  expect(tell(verdict("demo source: not a finding")).tone).toBe("quiet");
});

test("a list of events says a model's notice once, and not at every event", () => {
  const [one, other] = [verdict("demo source: not a finding"), verdict("untrained model")];
  expect(tell(one).text).not.toContain("not a finding");
  expect(noticesOf([one, one, other, verdict("")])).toEqual(["demo source: not a finding", "untrained model"]);
});

function streamOf(more: Partial<StatusData>, scores: ScoreData[] = [], models = [TRAINED]): Stream {
  const streams = new Streams();
  streams.take(say.snapshot("lobby", { models, status: status(more), scores }), T0);
  const stream = streams.all.get("lobby");
  if (!stream) throw new Error("no stream");
  return stream;
}

test("the verdicts are those of the glossary, however far the model may be trusted", () => {
  const named = (["suspect", "clear", "undecided", "hindered", "warming", "untrained"] as const).map((what) => stateWords(what));
  expect(named).toEqual(["Suspect", "Clear", "Undecided", ...Array(3).fill("Verdict: none yet")]);
});

test("an experimental model gives hints, not findings", () => {
  const model = { ...TRAINED, status: "experimental" as const };
  const stream = streamOf({}, [score({ state: "suspect", model })], [model]);
  expect(because(stream, "suspect")).toBe("possibly synthesised: a hint to look, not a finding");
  expect(because(stream, "clear")).toBe("nothing found, which an experimental model may miss");
  expect(because(streamOf({}, [score()]), "suspect")).toBe("looks synthesised");
});

test.each<[string, Partial<StatusData>, string, string]>([
  ["nobody has called", { source: "call", state: "connecting", age_s: null }, "Waiting for a call", "nobody has called yet"],
  ["a camera connects", { state: "connecting", age_s: null }, "Connecting", ""],
  [
    "a caller hung up",
    { source: "call", state: "ended", code: "ended", detail: "the peer has hung up" },
    "Hung up",
    "waiting for another call",
  ],
  [
    "a caller vanished",
    { source: "call", state: "ended", code: "timeout", detail: "no answer for 5 s" },
    "Call lost",
    "no answer for 5 s, waiting for another call",
  ],
  ["a film is over", { source: "file", state: "ended", code: "ended" }, "Ended", "played to its end"],
  [
    "a camera never answered",
    { state: "backing_off", code: "unreachable", detail: "nothing listens", age_s: null },
    "Never reached",
    "nothing listens",
  ],
  [
    "a camera is lost",
    { state: "backing_off", code: "timeout", detail: "silent for 2 s", age_s: 4 },
    "Connection lost",
    "silent for 2 s",
  ],
  [
    "a camera wants a login",
    { state: "failed", code: "auth", detail: "the camera wants a user name and password", age_s: null },
    "Wants a login",
    "the camera wants a user name and password",
  ],
])("when %s, that is said", (_, more, words, why) => {
  const stream = streamOf(more);
  const what = condition(stream);
  expect(stateWords(what, stream)).toBe(words);
  expect(because(stream, what)).toBe(why);
});

test("a score is told in one sentence that says what it may mean", () => {
  const experimental = { ...TRAINED, status: "experimental" as const };
  expect(scoreMeaning(score())).toBe(
    "0.20 leans authentic: the model reckons that 20 in 100 such faces are synthesised (10 to 30 by its interval).",
  );
  expect(scoreMeaning(score({ p: 0.9, lo: 0.8, hi: 0.95, model: experimental }), 0.7)).toBe(
    "0.90 leans synthesised: this experimental model, which is often wrong, reckons that 90 in 100 such faces are synthesised (80 to 95 by its interval); suspect begins at 0.70.",
  );
  expect(scoreMeaning(score({ model: UNTRAINED }))).toBe("0.20 means nothing: the model is untrained.");
  expect(scoreMeaning(score({ demo: true }))).toContain("not a finding");
  expect(scoreMeaning(score({ model: { ...TRAINED, status: "uncalibrated" } }))).toContain("no probability");
  expect(scoreMeaning(score({ p: null }))).toContain("No score yet");
});

test("a crowd is told without the number of a face", () => {
  const data = { kind: "capacity_reached", id: "a/1", track: 0, detector: "x", slots: 8, faces_waiting: 1 } as const;
  expect(tell({ id: "a/1", t: 0, epoch: 0, data }).text).toBe(
    "More faces than can be followed: 1 face waits to be looked at",
  );
});

test("what was not stored is said where it is missing", () => {
  const at = "2026-03-01T12:00:00Z";
  const data = { kind: "events_lost", id: "a/1", count: 6, since: null, until: at } as const;
  expect(tell({ id: "a/1", t: 0, epoch: 0, data }).text).toBe("6 events were not stored");
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
