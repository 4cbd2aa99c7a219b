// What needs eyes first, and an order of tiles that does not jump.

import type { ConnectionState, ScoreData } from "./protocol";
import { type Stream, doubt, leading } from "./streams";

/** The one thing to know of a stream, most urgent first. */
export const CONDITIONS = [
  "suspect", // a face looks synthesised
  "failed", // not connected, and a person has to do something
  "lost", // not connected for now
  "hindered", // connected, but no verdict is possible as things are
  "demo-suspect", // looks synthesised, but nothing to act upon
  "connecting",
  "warming",
  "undecided", // enough evidence, but it leans neither way
  "clear",
  "demo-clear", // no sign of synthesis, but that is no finding either
  "untrained", // a model that knows nothing
  "empty", // nobody in the picture
  "ended",
] as const;

export type Condition = (typeof CONDITIONS)[number];

const CONNECTION: Record<ConnectionState, Condition | null> = {
  live: null,
  connecting: "connecting",
  waiting_for_keyframe: "connecting",
  stalled: "lost",
  backing_off: "lost",
  failed: "failed",
  ended: "ended",
};

export function condition(stream: Stream): Condition {
  const connection = CONNECTION[stream.status?.state ?? "connecting"];
  if (connection !== null) return connection;
  const lead = leading(stream);
  if (lead === null) return withoutFace(stream);
  const what = faceCondition(lead, doubt(stream, lead.model) !== null);
  // What is known of some faces does not speak for those that nobody has looked at.
  const calm = what === "clear" || what === "demo-clear";
  return calm && (stream.status?.faces_waiting ?? 0) > 0 ? "hindered" : what;
}

/** What there is to know of one face; `doubtful` when its score is no finding. */
export function faceCondition(face: ScoreData, doubtful: boolean): Condition {
  if (face.state === "suspect") return doubtful ? "demo-suspect" : "suspect";
  if (face.state === "ok") return doubtful ? "demo-clear" : "clear";
  if (face.reasons.includes("untrained")) {
    const calm = face.reasons.every((reason) => reason === "untrained" || reason === "warming");
    return calm ? "untrained" : "hindered";
  }
  if (face.reasons.length > 0 && face.reasons.every((reason) => reason === "undecided")) return "undecided";
  if (face.state !== "warming") return "hindered";
  return face.p === null || face.reasons.length > 0 ? "warming" : "undecided";
}

function withoutFace(stream: Stream): Condition {
  const reasons = stream.status?.reasons ?? [];
  const known = reasons.filter((reason) => reason !== "no_face" && reason !== "untrained");
  if (known.length > 0) return "hindered";
  return (stream.status?.tracks ?? 0) > 0 ? "warming" : "empty";
}

export function urgency(what: Condition): number {
  return CONDITIONS.indexOf(what);
}

export interface Placed {
  id: string;
  name: string;
  condition: Condition;
  /** Milliseconds since its newest frame; null when there never was one, or nobody knows. */
  silentMs?: number | null;
}

/** Conditions without a connection: for so long, a stream is dead and stands after the living. */
const APART: ReadonlySet<Condition> = new Set(["failed", "lost", "connecting"]);
const DEAD_MS = 600_000;
const CALM_MS = 8_000;
const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/**
 * Orders tiles by urgency, then by name; the long dead come last.
 *
 * A tile rises at once, but sinks only after it has been calmer for a while, so that a score at the
 * edge of a threshold does not make the wall flicker. While the order is held (somebody points at
 * the wall or has a tile in focus) nothing moves at all; newcomers go to the end.
 */
export class Order {
  private ranks = new Map<string, { rank: number; calmerSince: number | null }>();
  private apartSince = new Map<string, number>();
  private last: string[] = [];
  /** Tiles that would stand elsewhere if the order were not held. */
  waiting = 0;

  arrange(tiles: Placed[], now: number, held: boolean): string[] {
    for (const tile of tiles) this.settle(tile, now);
    const there = new Set(tiles.map((tile) => tile.id));
    for (const id of this.ranks.keys()) if (!there.has(id)) this.ranks.delete(id);
    for (const id of this.apartSince.keys()) if (!there.has(id)) this.apartSince.delete(id);
    const sorted = [...tiles]
      .sort(
        (a, b) =>
          this.rank(a.id) - this.rank(b.id) ||
          byName.compare(a.name, b.name) ||
          byName.compare(a.id, b.id),
      )
      .map((tile) => tile.id);
    if (!held) {
      this.last = sorted;
      this.waiting = 0;
      return sorted;
    }
    const kept = this.last.filter((id) => there.has(id));
    const known = new Set(kept);
    this.last = [...kept, ...sorted.filter((id) => !known.has(id))];
    this.waiting = this.last.filter((id, place) => sorted[place] !== id).length;
    return this.last;
  }

  private rank(id: string): number {
    return this.ranks.get(id)?.rank ?? CONDITIONS.length;
  }

  private settle(tile: Placed, now: number): void {
    const dead = this.isDead(tile, now);
    const rank = dead ? CONDITIONS.length : urgency(tile.condition);
    const known = this.ranks.get(tile.id);
    if (dead || !known || rank <= known.rank) {
      this.ranks.set(tile.id, { rank, calmerSince: null });
      return;
    }
    known.calmerSince ??= now;
    if (now - known.calmerSince >= CALM_MS) {
      this.ranks.set(tile.id, { rank, calmerSince: null });
    }
  }

  private isDead(tile: Placed, now: number): boolean {
    if (!APART.has(tile.condition)) {
      this.apartSince.delete(tile.id);
      return false;
    }
    const since = this.apartSince.get(tile.id) ?? now;
    this.apartSince.set(tile.id, since);
    return Math.max(tile.silentMs ?? 0, now - since) >= DEAD_MS;
  }
}
