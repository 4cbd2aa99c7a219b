// Plain words for what the wire says. What the server words itself (summaries, hints) is not here.

import type { Condition } from "./attention";
import type { EvidenceState, IncidentData, Label, Model, ScoreData, StatusData } from "./protocol";
import type { Past } from "./past";
import type { Happening, Stream } from "./streams";
import { leading } from "./streams";

/** The four verdicts, as docs/glossary.md names them; on the wire, version 1 says `ok` for clear. */
export const VERDICTS = {
  suspect: "Suspect",
  clear: "Clear",
  undecided: "Undecided",
  none: "Verdict: none yet",
} as const;

export const CONDITION_WORDS: Record<Condition, string> = {
  suspect: VERDICTS.suspect,
  failed: "Not connected",
  lost: "Connection lost",
  hindered: VERDICTS.none,
  "demo-suspect": "Demo: suspect",
  connecting: "Connecting",
  warming: VERDICTS.none,
  undecided: VERDICTS.undecided,
  clear: VERDICTS.clear,
  "demo-clear": "Demo: clear",
  untrained: VERDICTS.none,
  empty: "No face",
  ended: "Ended",
};

/** A state in words; those of the connection as closely as the stream's status tells. */
export function stateWords(what: Condition, stream?: Stream): string {
  return (stream && connectionWords(what, stream)) ?? CONDITION_WORDS[what];
}

/** What a connection is, where its status says more than its state. */
function connectionWords(what: Condition, { status, frameAt }: Stream): string | null {
  if (!status) return null;
  const { source, state, code } = status;
  if (what === "connecting" && isWaitingRoom(status)) return "Waiting for a call";
  if (what === "ended" && source === "call") return code === "ended" ? "Hung up" : "Call lost";
  if (what === "failed" && source === "camera" && code === "auth") return "Wants a login";
  if (what === "lost" && state === "backing_off" && frameAt === null) return "Never reached";
  return null;
}

/** Whether a stream waits for somebody to call it, for the first time or again. */
export function isWaitingRoom({ source, state }: Pick<StatusData, "source" | "state">): boolean {
  return source === "call" && state === "connecting";
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
  undecided: "the score is too close to even odds",
};

export function reasonWords(reasons: readonly string[]): string {
  return reasons.map((reason) => REASONS[reason] ?? reason.replaceAll("_", " ")).join(", ");
}

/** What a verdict means, as firmly as the model that speaks may say it. */
const MEANING = {
  suspect: "looks synthesised",
  clear: "no sign of synthesis",
} as const;
const HINTED = {
  suspect: "possibly synthesised: a hint to look, not a finding",
  clear: "nothing found, which an experimental model may miss",
} as const;

function meaning(what: "suspect" | "clear", model: Model | undefined): string {
  return model?.status === "experimental" ? HINTED[what] : MEANING[what];
}

/** How many faces wait for their turn, in words; empty when none does. */
export function waitingWords(waiting: number | undefined): string {
  if (!waiting) return "";
  return `${waiting} ${waiting === 1 ? "face waits" : "faces wait"} to be looked at`;
}

/** What the server advises about pictures that are smaller than they need be; empty when nothing. */
function advice(status: StatusData | null | undefined): string {
  return status?.notices.includes("small_layer") ? status.hint : "";
}

/**
 * One line under a stream's state, or under that of one of its faces, `face`: why it is so. What an
 * experimental model may say is left out where it is `noticed`, said once for all streams.
 */
export function because(
  stream: Stream,
  what: Condition,
  noticed: Model["status"] | null = null,
  face?: ScoreData,
): string {
  const { status } = stream;
  const lead = face ?? leading(stream);
  switch (what) {
    case "failed":
    case "lost":
      return status?.detail || status?.hint || "";
    case "connecting":
      if (status && isWaitingRoom(status)) return "nobody has called yet";
      return status?.detail || status?.hint || "";
    case "hindered": {
      const reasons = (lead?.reasons ?? status?.reasons ?? []).filter((r) => r !== "untrained");
      const rest = reasons.filter((r) => r !== "faces_waiting");
      const waiting = face ? "" : waitingWords(status?.faces_waiting);
      return [reasonWords(rest), waiting, advice(status)].filter(Boolean).join(", ");
    }
    case "untrained":
      return noticed === "untrained" ? "" : "untrained: its numbers mean nothing";
    case "empty":
      return ["nobody is in the picture", advice(status)].filter(Boolean).join(". ");
    case "undecided":
      return "it leans neither way so far";
    case "suspect":
    case "demo-suspect":
    case "clear":
    case "demo-clear":
    case "warming": {
      const others = face ? 0 : stream.faces.size - 1;
      const more = others > 0 ? `and ${others} more ${others === 1 ? "face" : "faces"}` : "";
      const by = stream.models.length > 1 ? `says ${lead?.detector}` : "";
      const found = what === "suspect" || what === "clear";
      const hinted = found && !(lead?.model.status === "experimental" && noticed === "experimental");
      const means = hinted ? meaning(what, lead?.model) : "";
      const soon = what === "warming" ? "gathering evidence" : "";
      const waiting = face ? "" : waitingWords(status?.faces_waiting);
      return [means || soon, by, more, waiting, face ? "" : advice(status)].filter(Boolean).join(", ");
    }
    case "ended":
      if (status?.source !== "call") return "played to its end";
      return [status.detail.replace(/^the peer has hung up$/, ""), "waiting for another call"].filter(Boolean).join(", ");
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
    case "stream_described": {
      const tags = data.tags.length > 0 ? `, tagged ${data.tags.join(", ")}` : "";
      return { text: `Now called “${data.name}”${tags}`, tone: "quiet", connection: true };
    }
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
      const verdicts: Record<string, string> = { suspect: "suspect", clear: "clear", pending: "none yet" };
      const score = data.score === null ? "" : ` (${data.score.toFixed(2)})`;
      const doubtful = data.notice !== "";
      const tone = doubtful ? "quiet" : data.verdict === "suspect" ? "alarm" : "good";
      const said = verdicts[data.verdict] ?? data.verdict;
      const whose = `Face ${data.track}${named ? `, ${data.detector}` : ""}`;
      return { text: `${whose}: ${said}${score}`, tone, connection: false };
    }
    case "challenge_changed": {
      const { challenge } = data;
      const text = challenge.sentence
        ? `Challenge: ${challenge.sentence}`
        : challenge.prompt
          ? `Challenge: ${challenge.prompt}`
          : `Challenge by ${challenge.by}: the face is watched at rest`;
      return { text, tone: "quiet", connection: false };
    }
    case "events_lost":
      return { text: `${data.count} events were not stored`, tone: "warn", connection: false };
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

/** What must stand beside the verdicts of a list of events: each notice once. */
export function noticesOf(entries: readonly Happening[]): string[] {
  const said = entries.map(({ data }) => (data.kind === "verdict_changed" ? data.notice : ""));
  return [...new Set(said.filter(Boolean))];
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
  return model.status === "experimental" ? "Possibly synthesised" : "Looks synthesised";
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
    "The model is experimental: what it finds is a hint to look. It is often wrong on methods of synthesis that it has not seen, and may miss what is there.",
  trained: "A model errs. Lighting, make-up, filters and poor video can raise a score.",
};

type Judged = Pick<ScoreData, "p" | "lo" | "hi" | "model" | "demo">;

/** What a score means, in one sentence; `enter` is the score from which on a face is suspect. */
export function scoreMeaning({ p, lo, hi, model, demo }: Judged, enter: number | null = null): string {
  if (p === null) return "No score yet: too little of the face has been seen.";
  const shown = number(p);
  if (model.status === "untrained") return `${shown} means nothing: the model is untrained.`;
  if (demo) return `${shown} is a demo's number: not a finding about anybody.`;
  const leaning = p < 0.4 ? "leans authentic" : p > 0.6 ? "leans synthesised" : "leans neither way";
  if (model.status === "uncalibrated") {
    return `${shown} ${leaning}, on a scale that orders faces and is no probability.`;
  }
  const range = lo === null || hi === null ? "" : ` (${share(lo)} to ${share(hi)} by its interval)`;
  const often = model.status === "experimental" ? "this experimental model, which is often wrong, reckons" : "the model reckons";
  const from = enter === null ? "" : `; suspect begins at ${number(enter)}`;
  return `${shown} ${leaning}: ${often} that ${share(p)} in 100 such faces are synthesised${range}${from}.`;
}

function share(p: number): string {
  return String(Math.round(p * 100));
}

/** What a score can and cannot say, in plain words. */
export function limits(model: Model): string {
  return `${LIMITS[model.status]} A score is evidence, not proof: 0 leans authentic, 1 leans synthesised.`;
}
