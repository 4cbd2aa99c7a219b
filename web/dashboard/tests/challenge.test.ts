import { expect, test } from "vitest";
import { left, newest, standing, tone } from "../src/challenge/words";
import type { ChallengeData } from "../src/protocol";
import { askedFor } from "../src/series";
import type { Happening } from "../src/streams";
import { tell } from "../src/words";

const STARTED = Date.parse("2026-11-30T13:00:00Z");

function challenge(more: Partial<ChallengeData> = {}): ChallengeData {
  return {
    id: "5f",
    stream: "lobby",
    epoch: 1,
    task: "turn",
    by: "ann",
    shown: "operator",
    phase: "watching",
    prompt: "",
    started: new Date(STARTED).toISOString(),
    deadline: new Date(STARTED + 40_000).toISOString(),
    ended: null,
    steps: [],
    outcome: null,
    rise: null,
    sentence: "",
    ...more,
  };
}

function asking(more: Partial<ChallengeData> = {}): ChallengeData {
  const step = {
    action: "look_up" as const,
    prompt: "Look up",
    asked: new Date(STARTED + 5_000).toISOString(),
    until: new Date(STARTED + 16_000).toISOString(),
    outcome: null,
    reached: null,
    needed: 10,
    unit: "deg",
    delay_s: null,
    sentence: "",
  };
  return challenge({ phase: "asking", prompt: "Look up", steps: [step], ...more });
}

function told(data: ChallengeData): Happening {
  return { id: "lobby/1", t: STARTED, epoch: 1, data: { kind: "challenge_changed", id: "lobby/1", challenge: data } };
}

test("where a challenge stands is said in few words", () => {
  expect(standing(challenge())).toBe("Watching the face at rest");
  expect(standing(asking())).toBe("Read this out");
  expect(standing(asking({ shown: "caller" }))).toBe("The caller is asked");
  expect(standing(challenge({ phase: "done", outcome: "other_first" }))).toBe("Something else came first");
});

test("only what was judged has a tone", () => {
  expect(tone(challenge())).toBe("quiet");
  expect(tone(challenge({ outcome: "unjudged" }))).toBe("quiet");
  expect(tone(challenge({ outcome: "followed" }))).toBe("good");
  expect(tone(challenge({ outcome: "early" }))).toBe("warn");
});

test("the countdown is of what is asked now", () => {
  expect(left(challenge(), STARTED)).toBeNull();
  expect(left(asking(), STARTED + 5_200)).toBe(11);
  expect(left(asking(), STARTED + 60_000)).toBe(0);
});

test("the newest state of a challenge counts, and its window goes on until it ends", () => {
  const events = [told(challenge()), told(asking())];
  expect(newest(events)?.phase).toBe("asking");
  expect(newest([])).toBeNull();
  expect(askedFor(events, STARTED + 9_000)).toEqual([[STARTED, STARTED + 9_000]]);
  const done = challenge({ phase: "done", ended: new Date(STARTED + 20_000).toISOString() });
  expect(askedFor([...events, told(done)], STARTED + 90_000)).toEqual([[STARTED, STARTED + 20_000]]);
});

test("the log says what was asked, and what came of it", () => {
  expect(tell(told(asking()), false).text).toBe("Challenge: Look up");
  const sentence = "The video followed what was asked, 1.2 s after the prompt.";
  expect(tell(told(challenge({ phase: "done", sentence })), false).text).toBe(`Challenge: ${sentence}`);
});
