// Rules of alerts as people read and write them. No DOM: words, the form's draft, and what it lacks.

import type { AlertsView, QuietBody, RuleBody, RuleView } from "../protocol";
import { long, SEVERITY_WORDS } from "../words";

/** A rule as the server tells it: everything is there. */
export type Rule = Required<RuleView>;
export type Severity = Rule["severity"];
export type Hours = Required<QuietBody>;
export type Weekday = Hours["days"][number];

export const WEEKDAYS: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
export const DAY_WORDS: Record<Weekday, string> = {
  mon: "Mon",
  tue: "Tue",
  wed: "Wed",
  thu: "Thu",
  fri: "Fri",
  sat: "Sat",
  sun: "Sun",
};
export const SEVERITIES: readonly Severity[] = ["hint", "low", "medium", "high"];
export const SPANS: readonly { seconds: number; words: string }[] = [
  { seconds: 60, words: "a minute" },
  { seconds: 900, words: "15 minutes" },
  { seconds: 3_600, words: "an hour" },
  { seconds: 28_800, words: "8 hours" },
  { seconds: 86_400, words: "a day" },
  { seconds: 604_800, words: "a week" },
];

/** A rule while somebody writes it: what stands in the fields. */
export interface Draft {
  name: string;
  streams: string;
  channels: readonly string[];
  severity: Severity;
  minS: string;
  quiet: readonly Hours[];
  most: string;
  perS: number;
  updates: boolean;
  enabled: boolean;
}

/** Fields of the form, by the keys of the server: an error names what people see. */
export const LABELS: Record<string, string> = {
  name: "Name",
  streams: "Streams",
  channels: "Send through",
  severity: "Severity",
  min_s: "Suspect for at least",
  quiet: "Quiet hours",
  start: "Quiet from",
  end: "Quiet until",
  zone: "Time zone",
  days: "Days",
  most: "At most",
  per_s: "Within",
};

export function emptyDraft(channels: readonly string[]): Draft {
  return {
    name: "",
    streams: "*",
    channels: channels.length === 1 ? channels : [],
    severity: "low",
    minS: "0",
    quiet: [],
    most: "6",
    perS: 3_600,
    updates: true,
    enabled: true,
  };
}

export function draftOf(rule: Rule): Draft {
  return {
    name: rule.name,
    streams: rule.streams.join(", "),
    channels: rule.channels,
    severity: rule.severity,
    minS: String(rule.min_s),
    quiet: rule.quiet.map((hours) => ({ zone: "UTC", days: [], ...hours })),
    most: String(rule.most),
    perS: rule.per_s,
    updates: rule.updates,
    enabled: rule.enabled,
  };
}

export function bodyOf(draft: Draft): RuleBody {
  return {
    streams: globs(draft.streams),
    channels: [...draft.channels],
    severity: draft.severity,
    min_s: Number(draft.minS),
    quiet: draft.quiet.map((hours) => ({ ...hours, days: [...hours.days] })),
    most: Number(draft.most),
    per_s: draft.perS,
    updates: draft.updates,
    enabled: draft.enabled,
  };
}

export function globs(text: string): string[] {
  return text.split(/[\s,;]+/).filter(Boolean);
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const GLOB = /^[A-Za-z0-9._*?[\]!-]{1,64}$/;

/** What a draft lacks, by the server's keys and in the form's words; empty when it can be saved. */
export function lacking(draft: Draft, taken: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  const say = (key: string, words: string) => found.push([key, words]);
  if (!NAME.test(draft.name)) say("name", "up to 64 letters, digits, dots, dashes or underscores");
  else if (taken.includes(draft.name)) say("name", "another rule has this name");
  const streams = globs(draft.streams);
  const odd = streams.find((glob) => !GLOB.test(glob));
  if (streams.length === 0) say("streams", "name at least one, or * for all");
  else if (odd !== undefined) say("streams", `${odd} cannot be the id of a stream`);
  if (draft.channels.length === 0) say("channels", "choose at least one channel");
  if (!within(draft.minS, 0, 86_400)) say("min_s", "0 to 86400 seconds");
  if (!within(draft.most, 1, 1_000) || !Number.isInteger(Number(draft.most))) say("most", "1 to 1000 messages");
  for (const { start, end } of draft.quiet) {
    if (start === "" || end === "") say("quiet", "say from when until when");
    else if (start === end) say("quiet", "they end when they begin");
  }
  return found;
}

function within(text: string, least: number, most: number): boolean {
  const value = Number(text);
  return text.trim() !== "" && value >= least && value <= most;
}

/** Whether a glob names a stream, as the server has it: `*`, `?`, `[abc]` and `[!abc]`. */
export function named(glob: string, id: string): boolean {
  const pattern = glob.replace(/\[(!?)(\]?[^\]]*)\]|[\\^$.*+?()[\]{}|]/g, (part, not, set) => {
    if (set !== undefined && part.length > 2) {
      return `[${not ? "^" : ""}${set.replace(/[\\^[\]]/g, "\\$&")}]`;
    }
    return part === "*" ? ".*" : part === "?" ? "." : `\\${part}`;
  });
  try {
    return new RegExp(`^${pattern}$`).test(id);
  } catch {
    return false; // a set that runs backwards, as in [z-a]
  }
}

/** Which streams that are there a rule is for, in words. */
export function concerned(text: string, streams: Iterable<{ id: string; name: string }>): string {
  const wanted = globs(text);
  if (wanted.includes("*")) return "All streams, also those that are added later";
  const names = [...streams].filter(({ id }) => wanted.some((glob) => named(glob, id))).map(({ name }) => name);
  if (names.length === 0) return "No stream has such an id now";
  const more = names.length > 4 ? ` and ${names.length - 4} more` : "";
  return `Now: ${names.slice(0, 4).join(", ")}${more}`;
}

/** What a rule tells, in a sentence. */
export function ruleWords(rule: Pick<Rule, "streams" | "severity" | "min_s">): string {
  const which = rule.streams.includes("*") ? "Every stream" : rule.streams.join(", ");
  const severity = SEVERITY_WORDS[rule.severity].toLowerCase();
  const least = rule.severity === "high" ? "severity high" : `severity ${severity} or above`;
  const time = rule.min_s < 100 ? `${rule.min_s} s` : long(rule.min_s * 1_000);
  const lasting = rule.min_s > 0 ? `, suspect for ${time} or more` : "";
  return `${which}: ${least}${lasting}`;
}

/** How often and how a rule speaks. */
export function paceWords(rule: Pick<Rule, "most" | "per_s" | "updates">): string {
  const span = SPANS.find(({ seconds }) => seconds === rule.per_s)?.words ?? long(rule.per_s * 1_000);
  const end = rule.updates ? "and one more when it is over" : "nothing when it is over";
  return `One message per incident, ${end}; at most ${rule.most} per stream within ${span}`;
}

/** Quiet hours, as in `22:00 to 06:00 (Europe/Berlin), Sat and Sun`. */
export function quietWords({ start, end, zone = "UTC", days = [] }: QuietBody): string {
  const which = WEEKDAYS.filter((day) => days.includes(day)).map((day) => DAY_WORDS[day]);
  const every = which.length === 0 || which.length === WEEKDAYS.length;
  return `${start} to ${end} (${zone})${every ? ", every day" : `, beginning ${which.join(", ")}`}`;
}

/** What a rule has held back since the start; empty when nothing. */
export function heldWords({ held_quiet, held_rate }: Pick<Rule, "held_quiet" | "held_rate">): string {
  const parts = [];
  if (held_quiet > 0) parts.push(`${held_quiet} by quiet hours`);
  if (held_rate > 0) parts.push(`${held_rate} by the limit`);
  return parts.length === 0 ? "" : `Held back: ${parts.join(", ")}`;
}

export type Channel = AlertsView["channels"][number];

export const KIND_WORDS: Record<Channel["kind"], string> = {
  webhook: "Webhook",
  mqtt: "MQTT and Home Assistant",
  email: "E-mail",
  apprise: "Apprise",
};

/** How a channel fares. */
export function channelWords({ state, waiting }: Pick<Channel, "state" | "waiting">): string {
  if (state === "failing") return "Failing";
  if (waiting > 0) return "Sending";
  return state === "ok" ? "Works" : "Nothing sent yet";
}

/** Why a channel fails, and what happens to what waits; empty when it does not. */
export function troubleWords({ state, last_error, waiting }: Channel): string {
  if (last_error === "") return "";
  const what = last_error.charAt(0).toUpperCase() + last_error.slice(1);
  if (state !== "failing" || waiting === 0) return what;
  return `${what}. What waits is tried again by itself`;
}

/** Days after one was ticked or not; all of them and none of them both mean every day. */
export function chosenDays(days: Hours["days"], day: Hours["days"][number]): Hours["days"] {
  const before = days.length === 0 ? [...WEEKDAYS] : days;
  const after = toggled(before, day);
  return after.length === WEEKDAYS.length ? [] : after;
}

/** A list with one thing taken in, or taken out if it was there. */
export function toggled<T>(all: readonly T[], one: T): T[] {
  return all.includes(one) ? all.filter((other) => other !== one) : [...all, one];
}

/** The label of the field that the server means, as in `body.quiet.0.zone`. */
export function labelOf(where: string): string {
  const known = where.split(".").filter((part) => part in LABELS);
  return LABELS[known.at(-1) ?? ""] ?? where;
}
