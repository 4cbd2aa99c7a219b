// Plain words for what the wire says. What the server words itself (summaries, hints) is not here.

import type { Condition } from "./attention";
import type { Model, StatusData } from "./protocol";
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
