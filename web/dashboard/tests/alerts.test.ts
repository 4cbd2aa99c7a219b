import { expect, test } from "vitest";
import {
  bodyOf,
  type Channel,
  channelWords,
  chosenDays,
  concerned,
  draftOf,
  emptyDraft,
  heldWords,
  labelOf,
  lacking,
  named,
  paceWords,
  quietWords,
  type Rule,
  ruleWords,
  troubleWords,
} from "../src/alerts/rules";

const RULE: Rule = {
  name: "doors",
  channels: ["desk"],
  streams: ["door-*", "lobby"],
  severity: "medium",
  min_s: 3,
  quiet: [{ start: "22:00", end: "06:00", zone: "Europe/Berlin", days: ["sat", "sun"] }],
  most: 6,
  per_s: 3_600,
  updates: true,
  enabled: true,
  origin: "page",
  held_quiet: 0,
  held_rate: 0,
};
const CHANNEL: Channel = {
  name: "desk",
  kind: "webhook",
  state: "ok",
  waiting: 0,
  delivered: 3,
  failed: 0,
  given_up: 0,
  dropped: 0,
  last_error: "",
  last_at: null,
};

test("a rule that is opened and saved without a change is the same", () => {
  const { name, origin, held_quiet, held_rate, ...body } = RULE;
  expect(bodyOf(draftOf(RULE))).toEqual(body);
});

test("a new rule is for all streams and has the only channel that there is", () => {
  expect(emptyDraft(["desk"]).channels).toEqual(["desk"]);
  expect(emptyDraft(["desk", "phone"]).channels).toEqual([]);
  expect(lacking({ ...emptyDraft(["desk"]), name: "all" }, [])).toEqual([]);
});

test.each([
  [{ name: "" }, "name"],
  [{ name: "a b" }, "name"],
  [{ name: "taken" }, "name"],
  [{ streams: " , " }, "streams"],
  [{ streams: "door-*, ü" }, "streams"],
  [{ channels: [] }, "channels"],
  [{ minS: "" }, "min_s"],
  [{ minS: "-1" }, "min_s"],
  [{ most: "0" }, "most"],
  [{ most: "1.5" }, "most"],
  [{ quiet: [{ start: "", end: "06:00", zone: "UTC", days: [] }] }, "quiet"],
  [{ quiet: [{ start: "06:00", end: "06:00", zone: "UTC", days: [] }] }, "quiet"],
])("%j cannot be saved, and the form says which field", (change, key) => {
  const draft = { ...draftOf(RULE), ...change };
  expect(lacking(draft, ["taken"]).map(([found]) => found)).toEqual([key]);
});

test.each([
  ["*", "door-1", true],
  ["door-*", "door-1", true],
  ["door-*", "back-door-1", false],
  ["door-?", "door-12", false],
  ["door-[12]", "door-2", true],
  ["door-[!12]", "door-2", false],
  ["door-[!12]", "door-3", true],
  ["a.b", "axb", false],
  ["[z-a]", "b", false],
  ["door-[", "door-[", true],
])("%s names %s: %s", (glob, id, is) => {
  expect(named(glob, id)).toBe(is);
});

test("the form says which streams are meant now", () => {
  const streams = ["door-1", "door-2", "gate"].map((id) => ({ id, name: id.toUpperCase() }));
  expect(concerned("door-*", streams)).toBe("Now: DOOR-1, DOOR-2");
  expect(concerned("door-*, *", streams)).toBe("All streams, also those that are added later");
  expect(concerned("roof", streams)).toBe("No stream has such an id now");
});

test("a rule is told in sentences", () => {
  expect(ruleWords(RULE)).toBe("door-*, lobby: severity medium or above, suspect for 3 s or more");
  expect(ruleWords({ ...RULE, streams: ["*"], severity: "high", min_s: 0 })).toBe("Every stream: severity high");
  expect(paceWords(RULE)).toBe(
    "One message per incident, and one more when it is over; at most 6 per stream within an hour",
  );
  expect(quietWords(RULE.quiet[0] ?? { start: "", end: "" })).toBe(
    "22:00 to 06:00 (Europe/Berlin), beginning Sat, Sun",
  );
  expect(quietWords({ start: "22:00", end: "06:00" })).toBe("22:00 to 06:00 (UTC), every day");
  expect(heldWords({ held_quiet: 2, held_rate: 1 })).toBe("Held back: 2 by quiet hours, 1 by the limit");
  expect(heldWords(RULE)).toBe("");
});

test("a channel's state, and its last error only while it fails", () => {
  expect(channelWords(CHANNEL)).toBe("Works");
  expect(channelWords({ ...CHANNEL, waiting: 2 })).toBe("Sending");
  expect(channelWords({ ...CHANNEL, state: "idle" })).toBe("Nothing sent yet");
  expect(troubleWords(CHANNEL)).toBe("");
  const failing: Channel = { ...CHANNEL, state: "failing", waiting: 1, last_error: "it answered 503" };
  expect(channelWords(failing)).toBe("Failing");
  expect(troubleWords(failing)).toBe("It answered 503. What waits is tried again by itself");
});

test("all days and none both mean every day", () => {
  expect(chosenDays([], "sun")).toEqual(["mon", "tue", "wed", "thu", "fri", "sat"]);
  expect(chosenDays(["mon", "tue", "wed", "thu", "fri", "sat"], "sun")).toEqual([]);
  expect(chosenDays(["sat"], "sun")).toEqual(["sat", "sun"]);
});

test("an error names the form's field", () => {
  expect(labelOf("body.quiet.0.zone")).toBe("Time zone");
  expect(labelOf("body.min_s")).toBe("Suspect for at least");
  expect(labelOf("body.unknown")).toBe("body.unknown");
});
