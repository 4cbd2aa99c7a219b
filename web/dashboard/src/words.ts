// Plain words for what the wire says. What the server words itself (summaries, hints) is not here.

import type { Condition } from "./attention";
import type { EvidenceState, IncidentData, Label, Model, StatusData } from "./protocol";
import type { Past } from "./past";
import type { Happening, Stream } from "./streams";
import { leading } from "./streams";

export const CONDITION_WORDS: Record<Condition, string> = {
  suspect: "Looks synthesised",
  failed: "Not connected",
  lost: "Connection lost",
  hindered: "No verdict",
  "demo-suspect": "Demo: looks synthesised",
  connecting: "Connecting",
  warming: "Gathering evidence",
  undecided: "Undecided",
  clear: "No sign of synthesis",
  "demo-clear": "Demo: no sign of synthesis",
  untrained: "No verdict",
  empty: "No face",
  ended: "Ended",
};

/** What an experimental model says is worded as the hint that it is. */
const HINTED: Partial<Record<Condition, string>> = {
  suspect: "Possibly synthesised",
  clear: "Nothing found",
};

/** A state in words, as firm as the model that speaks may be. */
export function stateWords(what: Condition, model: Model | null): string {
  const hint = model?.status === "experimental" ? HINTED[what] : undefined;
  return hint ?? CONDITION_WORDS[what];
}

const REASONS: Record<string, string> = {
  untrained: "the model is untrained",
  warming: "still gathering evidence",
  no_face: "nobody is in the picture",
  face_small: "the face is too small",
  blurred: "the face is blurred",
  dark: "the face is too dark",
  profile: "the face is turned away",
  low_fps: "too few frames per second",
  packet_loss: "too much of the video is missing",
  contaminated: "the picture is damaged by packet loss",
  overloaded: "this analyzer cannot keep up",
  faces_waiting: "some faces have not been looked at: there are too many",
};

export function reasonWords(reasons: readonly string[]): string {
  return reasons.map((reason) => REASONS[reason] ?? reason.replaceAll("_", " ")).join(", ");
}

const HINT = { suspect: "a hint to look, not a finding", clear: "which an experimental model may miss" };

/** How many faces wait for their turn, in words; empty when none does. */
export function waitingWords(waiting: number | undefined): string {
  if (!waiting) return "";
  return `${waiting} ${waiting === 1 ? "face waits" : "faces wait"} to be looked at`;
}

/** What the server advises about pictures that are smaller than they need be; empty when nothing. */
function advice(status: StatusData | null | undefined): string {
  return status?.notices.includes("small_layer") ? status.hint : "";
}

/** One line under a stream's state: why it is so. */
export function because(stream: Stream, what: Condition): string {
  const { status } = stream;
  switch (what) {
    case "failed":
    case "lost":
    case "connecting":
      return status?.detail || status?.hint || "";
    case "hindered": {
      const lead = leading(stream);
      const reasons = (lead?.reasons ?? status?.reasons ?? []).filter((r) => r !== "untrained");
      const rest = reasons.filter((r) => r !== "faces_waiting");
      const waiting = waitingWords(status?.faces_waiting);
      return [reasonWords(rest), waiting, advice(status)].filter(Boolean).join(", ");
    }
    case "untrained":
      return "untrained: its numbers mean nothing";
    case "empty":
      return ["nobody is in the picture", advice(status)].filter(Boolean).join(". ");
    case "undecided":
      return "it leans neither way so far";
    case "suspect":
    case "demo-suspect":
    case "clear":
    case "demo-clear":
    case "warming": {
      const lead = leading(stream);
      const others = stream.faces.size - 1;
      const more = others > 0 ? `and ${others} more ${others === 1 ? "face" : "faces"}` : "";
      const by = stream.models.length > 1 ? `says ${lead?.detector}` : "";
      const found = what === "suspect" || what === "clear";
      const hint = found && lead?.model.status === "experimental" ? HINT[what] : "";
      const waiting = waitingWords(status?.faces_waiting);
      return [by, hint, more, waiting, advice(status)].filter(Boolean).join(", ");
    }
    case "ended":
      return "played to its end";
  }
}

export type Tone = "alarm" | "warn" | "good" | "quiet";

export interface Told {
  text: string;
  tone: Tone;
  /** Whether it belongs to the connection's history rather than to the faces'. */
  connection: boolean;
}

/** Say what happened; `named` says by which detector, where there are several. */
export function tell(entry: Happening, named = false): Told {
  const { data } = entry;
  switch (data.kind) {
    case "stream_added":
      return { text: "Stream added", tone: "quiet", connection: true };
    case "stream_removed":
      return { text: "Stream removed", tone: "quiet", connection: true };
    case "stream_changed": {
      const detail = data.detail ? `: ${data.detail}` : "";
      const retry = data.retry_in_s ? `, again in ${seconds(data.retry_in_s * 1000)}` : "";
      const tone = data.state === "live" ? "good" : data.code ? "warn" : "quiet";
      return { text: sentence(data.summary) + detail + retry, tone, connection: true };
    }
    case "epoch_started": {
      const cause = data.cause.replaceAll("_", " ").replace("pts", "time stamps");
      return { text: `Video starts anew: ${cause}`, tone: "quiet", connection: true };
    }
    case "track_started":
      return { text: `Face ${data.track} appeared`, tone: "quiet", connection: false };
    case "track_ended": {
      const reason = data.reason.replaceAll("_", " ");
      return { text: `Face ${data.track} is gone: ${reason}`, tone: "quiet", connection: false };
    }
    case "capacity_reached": {
      if (data.track === 0) {
        const text = `More faces than can be followed: ${waitingWords(data.faces_waiting)}`;
        return { text, tone: "warn", connection: false };
      }
      const by = named ? ` by ${data.detector}` : "";
      const text = `Face ${data.track} is not scored${by}: all ${data.slots} slots are taken`;
      return { text, tone: "warn", connection: false };
    }
    case "verdict_changed": {
      const verdicts: Record<string, string> = {
        suspect: "looks synthesised",
        clear: "no sign of synthesis",
        pending: "no verdict",
      };
      const score = data.score === null ? "" : ` (${data.score.toFixed(2)})`;
      const doubtful = data.notice !== "";
      const tone = doubtful ? "quiet" : data.verdict === "suspect" ? "alarm" : "good";
      const said = verdicts[data.verdict] ?? data.verdict;
      const whose = `Face ${data.track}${named ? `, ${data.detector}` : ""}`;
      const text = `${whose}: ${said}${score}${doubtful ? `, ${data.notice}` : ""}`;
      return { text, tone, connection: false };
    }
    case "incident_changed": {
      const { incident } = data;
      const by = data.by === "" ? "" : ` by ${data.by}`;
      const rest = data.text === "" ? "" : `: ${data.text}`;
      const alarming = data.step === "opened" && incident.severity !== "hint";
      const text = `Incident ${data.step}${by}${rest} (${incident.summary})`;
      return { text, tone: alarming ? "alarm" : "quiet", connection: false };
    }
    case "lagged":
      return {
        text: `${data.dropped} events were missed: this page was too slow`,
        tone: "warn",
        connection: false,
      };
  }
}

export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A score with two digits, or a dash. */
export function number(p: number | null | undefined): string {
  return p === null || p === undefined ? "–" : p.toFixed(2);
}

/** A duration in its largest sensible unit: `0.4 s`, `12 s`, `3 min`, `5 h`. */
export function seconds(ms: number): string {
  const s = Math.max(ms, 0) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}

/** How long ago something was that should be now: no digits while it is. */
export function ago(ms: number): string {
  return ms < 2_000 ? "now" : `${seconds(ms)} ago`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

export function clock(t: number): string {
  return CLOCK.format(t);
}

const MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** The clock without seconds. */
export function minute(t: number): string {
  return MINUTE.format(t);
}

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

/** A day: `Mon, 30 Nov`. */
export function day(t: number): string {
  return DAY.format(t);
}

/** A moment of any day: the clock alone today, with its day otherwise. */
export function moment(t: number, now: number): string {
  return day(t) === day(now) ? clock(t) : `${day(t)}, ${clock(t)}`;
}

/** A long duration: `2 days`, `5 h`. */
export function long(ms: number): string {
  return ms >= 2 * 86_400_000 ? `${Math.round(ms / 86_400_000)} days` : seconds(ms);
}

/** A number of bytes: `3.2 MB`. */
export function bytes(count: number): string {
  if (count < 1e6) return `${Math.max(Math.round(count / 1e3), 1)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/** What to know of a stretch of the past, in one line. */
export function pastWords({ loading, problem, stepMs, points }: Past, spanMs: number): string {
  if (loading) return "Loading what is stored";
  if (problem?.code === "store_off") return `${long(spanMs)} shown. Nothing is stored here: only the last minutes are known`;
  if (problem) return `What is stored cannot be shown: ${problem.detail}`;
  const shown = `${long(spanMs)} shown`;
  if (points.length === 0) return `${shown}. Nothing was scored then, or it is no longer kept`;
  return stepMs > 0 ? `${shown}. Each point stands for ${long(stepMs)}` : shown;
}

export const SEVERITY_WORDS: Record<IncidentData["severity"], string> = {
  high: "High",
  medium: "Medium",
  low: "Low",
  hint: "Hint",
};

export const LABEL_WORDS: Record<Label, string> = {
  true: "True",
  false: "False alarm",
  unclear: "Unclear",
};

export const EVIDENCE_WORDS: Record<EvidenceState, string> = {
  none: "No video is kept of it",
  pending: "The video is being kept until shortly after it",
  kept: "The original video is kept",
  pruned: "The video gave way to newer evidence",
};

/** What an incident is, as firmly as its model may say it. */
export function incidentWords({ model }: IncidentData): string {
  return stateWords("suspect", model);
}

/** How long a face looked synthesised, all together. */
export function suspectFor({ suspect_s }: IncidentData): string {
  return suspect_s === null ? "" : seconds(suspect_s * 1000);
}

/** A score with its interval: `0.93 (0.88 to 0.97)`. */
export function scoreWords({ p, lo, hi }: { p: number | null; lo: number | null; hi: number | null }): string {
  return lo === null || hi === null ? number(p) : `${number(p)} (${number(lo)} to ${number(hi)})`;
}

/** A notification of a new incident. */
export function noticeWords(incident: IncidentData): { title: string; body: string } {
  const severity = SEVERITY_WORDS[incident.severity].toLowerCase();
  return {
    title: `${incident.name}: ${incidentWords(incident).toLowerCase()}`,
    body: `Severity ${severity}, score ${scoreWords(incident.peak)}, since ${clock(Date.parse(incident.opened))}`,
  };
}

const LIMITS: Record<Model["status"], string> = {
  untrained: "The model is untrained: its numbers mean nothing.",
  uncalibrated: "The model's scores are not calibrated: they order faces, but are no probabilities.",
  experimental:
    "The model is experimental: what it finds is a hint to look, and it may miss what is there.",
  trained: "A model errs. Lighting, make-up, filters and poor video can raise a score.",
};

/** What a score can and cannot say, in plain words. */
export function limits(model: Model): string {
  return `${LIMITS[model.status]} A score is evidence, not proof: 0 leans authentic, 1 leans synthesised.`;
}
