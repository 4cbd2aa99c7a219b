// Which streams need eyes, and what all of them together amount to: for the small window, and for the
// title and icon of the tab.

import { type Condition, condition, urgency } from "./attention";
import type { Stream } from "./streams";

const EYES: readonly Condition[] = ["suspect", "failed", "lost", "hindered"];
const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** The streams that need eyes, most urgent first. */
export function needingEyes(streams: Iterable<Stream>): Stream[] {
  return [...streams]
    .map((stream) => ({ stream, what: condition(stream) }))
    .filter(({ what }) => EYES.includes(what))
    .sort((a, b) => urgency(a.what) - urgency(b.what) || byName.compare(a.stream.name, b.stream.name))
    .map(({ stream }) => stream);
}

/** The streams with a suspect face that may be a finding. */
export function suspects(streams: Iterable<Stream>): Stream[] {
  return [...streams].filter((stream) => condition(stream) === "suspect");
}

/** What the icon of the tab says of all streams: suspect if any is, clear if every live one is. */
export function overall(streams: Iterable<Stream>): "suspect" | "clear" | "none" {
  const all = [...streams].map(condition);
  if (all.includes("suspect")) return "suspect";
  const said = all.filter((what) => what !== "ended" && what !== "empty");
  return said.length > 0 && said.every((what) => what === "clear") ? "clear" : "none";
}
