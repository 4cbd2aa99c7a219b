// What a heavier detector said of a face when it was last shown it.

import type { SecondLookData } from "../protocol";
import { number } from "../words";
import "./second_look.css";

/** What a second look came to, in one sentence. */
export function secondLookWords({ detector, status, score, agrees }: SecondLookData): string {
  const by = `Second look by ${detector}`;
  if (status === "untrained") return `${by}, which is untrained: its score means nothing`;
  const doubt = status === "trained" ? "" : ` (${status})`;
  const said = `${by}${doubt}: ${number(score)}`;
  if (agrees === null) return `${said}, they do not both lean to a side`;
  return `${said}, ${agrees ? "it agrees" : "it disagrees"}`;
}

export function SecondLookLine({ look }: { look: SecondLookData }) {
  const doubted = look.status !== "trained" || look.agrees === null;
  const kind = doubted ? "unsure" : look.agrees ? "agrees" : "disagrees";
  return <p class={`second-look is-${kind}`}>{secondLookWords(look)}.</p>;
}
