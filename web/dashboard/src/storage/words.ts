// What it means that the store cannot be written, in plain words.

import type { StoreView } from "../protocol";
import { moment } from "../words";

export interface StorageTrouble {
  /** What is wrong, and since when. */
  what: string;
  /** What is lost, and what is not. */
  lost: string;
  /** What to do. */
  todo: string;
}

const ADVICE: readonly [RegExp, string][] = [
  [/full|no space|quota/i, "Free some space on its disk"],
  [/readonly|read-only|permission|unable to open|not a directory|denied/i, "Let the analyzer's user write there"],
  [/locked|busy/i, "End the other program that holds the database"],
  [/malformed|not a database|corrupt|disk I\/O/i, "Check the disk, and restore a backup: styleflow store restore"],
  [/connect|refused|server|terminat|timed? ?out|closed|resolve/i, "See that the database runs and can be reached"],
];

/** What is to be said of the store; null while it is well, and where it was turned off on purpose. */
export function storageTrouble(store: StoreView | null, now: number): StorageTrouble | null {
  if (store === null || store.state === "ok") return null;
  const reason = reasonOf(store);
  const advice = ADVICE.find(([pattern]) => pattern.test(reason))?.[1] ?? "See the analyzer's log";
  if (store.state === "off") {
    if (reason === "turned off" || reason === "off") return null;
    return {
      what: `Nothing is stored since the analyzer started: ${reason}`,
      lost: "Scoring goes on; scores, events and incidents are gone with the next restart.",
      todo: `${advice}, and start the analyzer again.`,
    };
  }
  const since = store.since === null ? "" : ` since ${moment(Date.parse(store.since), now)}`;
  return {
    what: `The store cannot be written${since}: ${reason}`,
    lost: `Scoring goes on. ${lostWords(store)}`,
    todo: `${advice}; storing then goes on by itself.`,
  };
}

function lostWords({ lost, waiting }: StoreView): string {
  const waits = waiting === 0 ? "" : `${events(waiting)} ${waiting === 1 ? "waits" : "wait"} in memory to be stored`;
  if (lost === 0) return waits === "" ? "Nothing is lost so far." : `${waits}; nothing is lost so far.`;
  const gone = `${events(lost)} ${lost === 1 ? "was" : "were"} lost since the analyzer started`;
  return waits === "" ? `${gone}.` : `${gone}; ${waits}.`;
}

function events(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "event" : "events"}`;
}

function reasonOf({ detail }: StoreView): string {
  return detail.replace(/^failing: /, "").replace(/; \d+ events lost$/, "");
}
