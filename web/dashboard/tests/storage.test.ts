import { expect, test } from "vitest";
import type { StoreView } from "../src/protocol";
import { storageTrouble } from "../src/storage/words";

const SINCE = Date.parse("2026-11-21T21:50:00Z");
const FAILING: StoreView = {
  url: "sqlite:////data/styleflow.db",
  state: "failing",
  detail: "failing: database or disk is full; 3 events lost",
  lost: 3,
  since: new Date(SINCE).toISOString(),
  waiting: 1_204,
  bytes: null,
  rows: {},
  oldest: null,
  newest: null,
};

test("a store that is well, unknown or turned off on purpose is not spoken of", () => {
  expect(storageTrouble(null, SINCE)).toBeNull();
  expect(storageTrouble({ ...FAILING, state: "ok", detail: "ok; 3 events lost" }, SINCE)).toBeNull();
  expect(storageTrouble({ ...FAILING, state: "off", detail: "turned off" }, SINCE)).toBeNull();
});

test("a full disk: since when, what is lost, what to do", () => {
  const clock = new Date(SINCE).toTimeString().slice(0, 8);
  expect(storageTrouble(FAILING, SINCE + 1_000)).toEqual({
    what: `The store cannot be written since ${clock}: database or disk is full`,
    lost:
      "Scoring goes on. 3 events were lost since the analyzer started; 1,204 events wait in memory to be stored.",
    todo: "Free some space on its disk; storing then goes on by itself.",
  });
});

test.each([
  [0, 0, "Scoring goes on. Nothing is lost so far."],
  [0, 1, "Scoring goes on. 1 event waits in memory to be stored; nothing is lost so far."],
  [1, 0, "Scoring goes on. 1 event was lost since the analyzer started."],
])("%i lost and %i waiting", (lost, waiting, words) => {
  expect(storageTrouble({ ...FAILING, lost, waiting }, SINCE)?.lost).toBe(words);
});

test.each([
  ["attempt to write a readonly database", "Let the analyzer's user write there"],
  ["database is locked", "End the other program that holds the database"],
  ["connection refused", "See that the database runs and can be reached"],
  ["database disk image is malformed", "Check the disk, and restore a backup: styleflow store restore"],
  ["something unheard of", "See the analyzer's log"],
])("%s: %s", (reason, advice) => {
  const found = storageTrouble({ ...FAILING, detail: `failing: ${reason}` }, SINCE);
  expect(found?.todo).toBe(`${advice}; storing then goes on by itself.`);
});

test("a file that could not be made at the start wants a restart", () => {
  const off: StoreView = { ...FAILING, state: "off", detail: "[Errno 13] Permission denied", since: null };
  const found = storageTrouble(off, SINCE);
  expect(found?.what).toBe("Nothing is stored since the analyzer started: [Errno 13] Permission denied");
  expect(found?.todo).toBe("Let the analyzer's user write there, and start the analyzer again.");
});
