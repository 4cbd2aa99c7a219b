// What is known of every stream, kept up to date by messages. No DOM, no clock: time is handed in.

import type {
  EventMessage,
  HistoryView,
  Model,
  ScoreData,
  ServerMessage,
  SnapshotData,
  StatusData,
} from "./protocol";

export type FaceState = ScoreData["state"];
export type EventData = EventMessage["data"];

export const MINUTE_MS = 60_000;
const ENSEMBLE = "ensemble";
const MAX_EVENTS = 512;
const MAX_POINTS = 4096;

/** A point of a face's score over time; `t` is the wall clock's milliseconds. */
export interface Point {
  t: number;
  epoch: number;
  track: number;
  detector: string;
  p: number | null;
  lo: number | null;
  hi: number | null;
  state: FaceState;
  facePx: number | null;
  sharpness: number | null;
}

/** How the stream as a whole was doing. */
export interface Pulse {
  t: number;
  fps: number | null;
  loss: number | null;
}

export interface Happening {
  id: string;
  t: number;
  epoch: number;
  data: EventData | { kind: "lagged"; dropped: number };
}

export interface Stream {
  id: string;
  name: string;
  /** What people sort it by, the most important first. */
  tags: readonly string[];
  demo: boolean;
  notice: string;
  /** Every model that scores it, the first one first. */
  models: Model[];
  status: StatusData | null;
  /** When the newest frame that we know of arrived, server's clock. */
  frameAt: number | null;
  /** The newest score of every face that is there, by detector. */
  faces: Map<number, Map<string, ScoreData>>;
  points: Point[];
  pulses: Pulse[];
  events: Happening[];
  epoch: number;
  /** Whether the past was asked for and came. */
  seeded: boolean;
  /** Counts changes, so that only what changed is drawn anew. */
  version: number;
}

export class Streams {
  readonly all = new Map<string, Stream>();
  private answered = false;
  private awaited = new Set<string>();
  /** Milliseconds that the server's clock is ahead of ours. */
  skew = 0;

  /** False until every stream of the answer has shown itself: a wall is not built tile by tile. */
  get known(): boolean {
    return this.answered && this.awaited.size === 0;
  }

  /** Take a message in; returns the id of a stream that has gone with it. */
  take(message: ServerMessage, now: number): string[] {
    switch (message.type) {
      case "subscribed":
        return this.begin(message.data.streams);
      case "snapshot":
        this.skew = Date.parse(message.ts_emit) - now;
        this.snapshot(message.stream, message.data, message);
        return [];
      case "status":
        this.skew = Date.parse(message.ts_emit) - now;
        this.status(message.stream, message.data, message);
        return [];
      case "score":
        this.score(message.stream, message.data, message);
        return [];
      case "event":
        return this.event(message);
      case "lagged": {
        const stream = this.all.get(message.stream);
        if (stream) {
          const t = Date.parse(message.ts_emit);
          const data = { kind: "lagged" as const, dropped: message.data.dropped };
          this.note(stream, { id: `lagged/${message.data.to_seq}`, t, epoch: message.epoch, data });
        }
        return [];
      }
      default:
        return [];
    }
  }

  /** Put the past in front of what came since. */
  seed(history: HistoryView): void {
    const stream = this.all.get(history.stream);
    if (!stream) return;
    stream.points = before(pointsOf(history), stream.points);
    stream.pulses = before(pulsesOf(history), stream.pulses);
    const seen = new Set(history.events.map((event) => event.data.id));
    const older = history.events.map(happening);
    const newer = stream.events.filter((event) => !seen.has(event.id));
    stream.events = [...older, ...newer].slice(-MAX_EVENTS);
    stream.seeded = true;
    stream.version += 1;
  }

  private begin(there: string[]): string[] {
    this.answered = true;
    const kept = new Set(there);
    this.awaited = new Set(there.filter((id) => !this.all.has(id)));
    const gone = [...this.all.keys()].filter((id) => !kept.has(id));
    for (const id of gone) this.all.delete(id);
    return gone;
  }

  private make(id: string): Stream {
    const made: Stream = {
      id,
      name: id,
      tags: [],
      demo: false,
      notice: "",
      models: [],
      status: null,
      frameAt: null,
      faces: new Map(),
      points: [],
      pulses: [],
      events: [],
      epoch: 0,
      seeded: false,
      version: 0,
    };
    this.all.set(id, made);
    return made;
  }

  private snapshot(id: string, data: SnapshotData, message: { ts_emit: string; epoch: number }): void {
    const stream = this.all.get(id) ?? this.make(id);
    this.awaited.delete(id);
    stream.models = data.models;
    stream.epoch = message.epoch;
    stream.faces.clear();
    for (const score of data.scores) keep(stream, score);
    this.status(id, data.status, message);
  }

  private status(id: string, data: StatusData, message: { ts_emit: string }): void {
    const stream = this.all.get(id);
    if (!stream) return;
    const t = Date.parse(message.ts_emit);
    stream.status = data;
    if (data.age_s !== null) stream.frameAt = Math.max(stream.frameAt ?? 0, t - data.age_s * 1000);
    stream.name = data.name;
    stream.tags = data.tags;
    stream.demo = data.demo;
    stream.notice = data.notice;
    if (data.state === "live") {
      // In a call, packets that were repaired in time still say how good the way is.
      const loss = Math.max(data.loss ?? 0, data.link?.loss ?? 0);
      push(stream.pulses, { t, fps: data.fps, loss: data.loss === null ? null : loss });
    }
    stream.version += 1;
  }

  private score(
    id: string,
    data: ScoreData,
    message: { ts_emit: string; ts_capture: string | null; epoch: number },
  ): void {
    const stream = this.all.get(id);
    if (!stream) return;
    keep(stream, data);
    stream.epoch = message.epoch;
    const t = Date.parse(message.ts_capture ?? message.ts_emit);
    stream.frameAt = Math.max(stream.frameAt ?? 0, t);
    push(stream.points, {
      t,
      epoch: message.epoch,
      track: data.track,
      detector: data.detector,
      p: data.p,
      lo: data.lo,
      hi: data.hi,
      state: data.state,
      facePx: data.quality.face_px,
      sharpness: data.quality.sharpness,
    });
    stream.version += 1;
  }

  private event(message: EventMessage): string[] {
    const { stream: id, data } = message;
    if (data.kind === "stream_removed") {
      this.awaited.delete(id);
      this.all.delete(id);
      return [id];
    }
    let stream = this.all.get(id);
    if (!stream) {
      if (data.kind !== "stream_added") return [];
      stream = this.make(id);
    }
    if (data.kind === "stream_added") {
      stream.name = data.name;
      stream.tags = data.tags;
      stream.demo = data.demo;
      stream.notice = data.notice;
      stream.models = data.models;
    } else if (data.kind === "stream_described") {
      stream.name = data.name;
      stream.tags = data.tags;
    } else if (data.kind === "track_ended") {
      stream.faces.delete(data.track);
    } else if (data.kind === "epoch_started") {
      stream.faces.clear();
      stream.epoch = message.epoch;
    }
    this.note(stream, happening(message));
    return [];
  }

  private note(stream: Stream, entry: Happening): void {
    if (!stream.events.some((event) => event.id === entry.id)) {
      stream.events.push(entry);
      if (stream.events.length > MAX_EVENTS) stream.events.shift();
    }
    stream.version += 1;
  }
}

/** The scores of a history, oldest first. Where a point stands for a while, its band is what was there. */
export function pointsOf({ scores }: Pick<HistoryView, "scores">): Point[] {
  const { p_min: lowest, p_max: highest } = scores;
  return scores.t.map((t, n) => ({
    t: t * 1000,
    epoch: scores.epoch[n] ?? 0,
    track: scores.track[n] ?? 0,
    detector: scores.detector[n] ?? "",
    p: scores.p[n] ?? null,
    lo: lowest?.[n] ?? scores.lo[n] ?? null,
    hi: highest?.[n] ?? scores.hi[n] ?? null,
    state: scores.state[n] ?? "warming",
    facePx: scores.face_px[n] ?? null,
    sharpness: scores.sharpness[n] ?? null,
  }));
}

/** How the stream was doing, oldest first. */
export function pulsesOf({ pulses }: HistoryView): Pulse[] {
  return pulses.t.map((t, n) => ({
    t: t * 1000,
    fps: pulses.fps[n] ?? null,
    loss: pulses.loss[n] ?? null,
  }));
}

export function happening(message: EventMessage): Happening {
  const { data, epoch, ts_emit } = message;
  return { id: data.id, t: Date.parse(ts_emit), epoch, data };
}

function push<T>(ring: T[], entry: T): void {
  ring.push(entry);
  if (ring.length > MAX_POINTS) ring.splice(0, ring.length - MAX_POINTS);
}

function before<T extends { t: number }>(older: T[], newer: T[]): T[] {
  const first = newer[0]?.t ?? Number.POSITIVE_INFINITY;
  return [...older.filter((entry) => entry.t < first), ...newer].slice(-MAX_POINTS);
}

function keep(stream: Stream, score: ScoreData): void {
  const scores = stream.faces.get(score.track) ?? new Map<string, ScoreData>();
  scores.set(score.detector, score);
  stream.faces.set(score.track, scores);
}

const RANK: Record<FaceState, number> = { suspect: 3, ok: 2, abstain: 1, warming: 0 };

/** The detector that speaks for a stream with several: their ensemble, or else the first. */
export function primary(stream: Stream): string | null {
  const names = stream.models.map((model) => model.name);
  return names.includes(ENSEMBLE) ? ENSEMBLE : (names[0] ?? null);
}

/**
 * The score that speaks for a face: the primary detector's, or any that there is. Where no ensemble
 * weighs them against each other, one detector that finds the face suspect is enough to be heard.
 */
export function speaking(stream: Stream, track: number): ScoreData | null {
  const scores = stream.faces.get(track);
  if (!scores) return null;
  const name = primary(stream);
  if (name !== ENSEMBLE) {
    for (const score of scores.values()) {
      if (score.state === "suspect" && doubt(stream, score.model) === null) return score;
    }
  }
  return scores.get(name ?? "") ?? scores.values().next().value ?? null;
}

/** The score that a tile speaks of: the most telling state first, then the highest score. */
export function leading(stream: Stream): ScoreData | null {
  let lead: ScoreData | null = null;
  for (const track of stream.faces.keys()) {
    const face = speaking(stream, track);
    if (face === null) continue;
    if (
      lead === null ||
      RANK[face.state] > RANK[lead.state] ||
      (RANK[face.state] === RANK[lead.state] && (face.p ?? -1) > (lead.p ?? -1))
    ) {
      lead = face;
    }
  }
  return lead;
}

/** The model that speaks for a stream. */
export function speaker(stream: Stream): Model | null {
  return stream.models.find((model) => model.name === primary(stream)) ?? null;
}

/** Why a model's numbers about a stream are no findings; null when they may be. */
export function doubt(
  stream: Stream,
  model: Model | null = speaker(stream),
): "untrained" | "demo" | null {
  if (model?.status === "untrained") return "untrained";
  return stream.demo ? "demo" : null;
}

/** The status of the models that all streams have in common, which need not be said of each. */
export function shared(streams: Iterable<Stream>): Model["status"] | null {
  const found = new Set([...streams].map((stream) => speaker(stream)?.status ?? null));
  const [only = null] = found;
  return found.size === 1 ? only : null;
}

/** Milliseconds since the newest frame arrived; null when none ever did. */
export function frameAge(stream: Stream, serverNow: number): number | null {
  return stream.frameAt === null ? null : Math.max(serverNow - stream.frameAt, 0);
}
