// How the detector fares with known clips, in plain words.

import type { CanariesView } from "../protocol";
import { long, number, seconds, sentence } from "../words";

export interface CanaryLine {
  text: string;
  tone: "good" | "warn" | "quiet";
  /** What was found, for whoever points at it. */
  details: string;
}

export interface CanaryTrouble {
  what: string;
  found: readonly { text: string; hint: string }[];
}

/** One line about the last check; null where no known clips are sent. */
export function canaryLine(view: CanariesView | null, now: number): CanaryLine | null {
  if (view === null || view.state === "off") return null;
  const age = view.checked_at === null ? null : Math.max(now - Date.parse(view.checked_at), 0);
  const checked = age === null ? "Detector not checked yet" : `Detector checked ${since(age)}`;
  const details = detailsOf(view);
  switch (view.state) {
    case "waiting":
    case "learning":
      return { text: `${checked}, ${learningWords(view)}`, tone: "quiet", details };
    case "ok":
      return { text: checked, tone: overdue(view, age) ? "warn" : "good", details };
    case "doubtful":
      return { text: `${checked}: doubtful, checking again`, tone: "warn", details };
    case "late":
    case "failing":
      return { text: `${checked}: ${view.state}`, tone: "warn", details };
  }
}

/** What is to be said above everything; null while it is well, and after one wrong round. */
export function canaryTrouble(view: CanariesView | null): CanaryTrouble | null {
  if (view === null || (view.state !== "failing" && view.state !== "late")) return null;
  return {
    what:
      view.state === "late"
        ? "Scores come later than they may"
        : "The detector no longer judges known clips as it did",
    found: view.findings.map(({ text, hint }) => ({ text: sentence(text), hint })),
  };
}

/** What one clip did last, in one line. */
export function canaryFacts(canary: CanariesView["canaries"][number]): string {
  if (canary.failure) return canary.failure;
  const said = canary.opinions.map(({ detector, score, logit }) => {
    const range = canary.expected.find(({ figure, detector: whose }) => figure === "logit" && whose === detector);
    const expected = range ? `, ${signed(range.low)} to ${signed(range.high)} expected` : "";
    return `${detector} ${number(score)} (rating ${signed(logit)}${expected})`;
  });
  if (said.length === 0) return "No score yet";
  const took = canary.latency_s === null ? "" : `, ${seconds(canary.latency_s * 1000)} after the picture`;
  return said.join("; ") + took;
}

function detailsOf(view: CanariesView): string {
  const lines = [
    ...view.findings.map(({ text, hint }) => `${sentence(text)}. ${hint}.`),
    ...view.canaries.map((canary) => `${canary.name}: ${canaryFacts(canary)}.`),
  ];
  if (view.anew) lines.push(`Learns anew: ${view.anew}.`);
  if (view.skipped) lines.push(`The last round was skipped: ${view.skipped}.`);
  return lines.join("\n");
}

function learningWords({ learned, learn_rounds }: CanariesView): string {
  return `learning what to expect (${learned} of ${learn_rounds})`;
}

/** Whether rounds have been skipped for so long that the last one says little. */
function overdue({ every_s }: CanariesView, age: number | null): boolean {
  return age !== null && age > 3_000 * every_s;
}

function since(ms: number): string {
  return ms < 60_000 ? "less than a minute ago" : `${ms < 6_000_000 ? `${Math.round(ms / 60_000)} min` : long(ms)} ago`;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}
