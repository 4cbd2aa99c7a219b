// What the page knows of incidents: the list that somebody looks at, and those that wait for somebody.
// Told by the server's events as they happen. No DOM, no clock.

import { asProblem, type Problem } from "../api";
import type { IncidentChangedData, IncidentData } from "../protocol";
import { EVERY, type Filter, queryOf, wants } from "./filter";
import type { IncidentChange, IncidentPage } from "./wire";

export const PAGE = 50;
/** Rows that are kept at most; older ones are a narrower filter away. */
export const MOST_ROWS = 1_000;
const MOST_WAITING = 500;
/** Closed ones that nobody has acknowledged, the newest of all streams. */
const MOST_UNSEEN = 500;

/** The part of the API that is needed here. */
export interface Source {
  incidents(
    query: URLSearchParams,
    limit: number,
    cursor?: string | null,
    signal?: AbortSignal,
  ): Promise<IncidentPage>;
  changeIncident(id: string, change: IncidentChange): Promise<IncidentData>;
}

/** Incidents of one stream that nobody has acknowledged. */
export interface Unseen {
  newest: IncidentData;
  count: number;
}

export type Progress = "loading" | "ready" | "failed" | "off";

export class IncidentDesk {
  filter: Filter = EVERY;
  /** Newest first. */
  rows: IncidentData[] = [];
  progress: Progress = "loading";
  problem: Problem | null = null;
  /** Where older ones begin; null when all are shown. */
  next: string | null = null;
  more = false;
  /** Open and acknowledged by nobody, newest first by id. */
  private readonly waiting = new Map<string, IncidentData>();
  private readonly unseen = new Map<string, IncidentData>();
  private marks: Map<string, Unseen> | null = null;
  private readonly changes = new Map<string, number>();
  private readonly ofStream = new Map<string, number>();
  private full = false;
  private asked: AbortController | null = null;
  /** What was told since the list was asked for: newer than its answer. */
  private readonly fresh = new Map<string, IncidentData>();
  private counting: Set<string> | null = null;

  constructor(
    private readonly source: Source,
    private readonly changed: () => void,
  ) {}

  /** How many wait for somebody; `more` when there may be others. */
  get open(): { count: number; alarms: number; more: boolean } {
    const all = [...this.waiting.values()];
    const alarms = all.filter((incident) => incident.severity !== "hint").length;
    return { count: all.length, alarms, more: this.full };
  }

  /** Open incidents of one stream that nobody has acknowledged. */
  openOf(stream: string): IncidentData[] {
    return [...this.waiting.values()].filter((incident) => incident.stream === stream);
  }

  /** What happened at a stream and was acknowledged by nobody; null when there is nothing. */
  unseenOf(stream: string): Unseen | null {
    this.marks ??= marksOf([...this.unseen.values(), ...this.waiting.values()]);
    return this.marks.get(stream) ?? null;
  }

  /** How often this page was told of an incident: whoever shows it asks again when that rises. */
  told(id: string): number {
    return this.changes.get(id) ?? 0;
  }

  /** The same of the incidents of a stream, all together. */
  toldOf(stream: string): number {
    return this.ofStream.get(stream) ?? 0;
  }

  /** Count anew what waits, after a connection was made. */
  async recount(): Promise<void> {
    const told = new Set<string>();
    this.counting = told;
    try {
      const query = queryOf({ ...EVERY, status: "open", acknowledged: "false" });
      const { incidents, next } = await this.source.incidents(query, MOST_WAITING);
      if (this.counting !== told) return;
      // What was told meanwhile is newer than the answer.
      for (const id of [...this.waiting.keys()]) if (!told.has(id)) this.waiting.delete(id);
      for (const incident of incidents) {
        if (!told.has(incident.id)) this.waiting.set(incident.id, incident);
      }
      this.full = next !== null;
      const past = queryOf({ ...EVERY, status: "closed", acknowledged: "false" });
      const closed = (await this.source.incidents(past, MOST_UNSEEN)).incidents;
      if (this.counting !== told) return;
      for (const id of [...this.unseen.keys()]) if (!told.has(id)) this.unseen.delete(id);
      // Oldest first, so that what gives way is the oldest.
      for (const incident of closed.toReversed()) {
        if (!told.has(incident.id)) this.unseen.set(incident.id, incident);
      }
      this.marks = null;
      this.counting = null;
      this.changed();
    } catch {
      if (this.counting === told) this.counting = null; // the list's own view says what is wrong
    }
  }

  /** Show the incidents of a filter, from the newest on. */
  async show(filter: Filter): Promise<void> {
    const same = this.progress === "ready" && queryOf(filter).toString() === queryOf(this.filter).toString();
    this.filter = filter;
    if (!same) {
      this.rows = [];
      this.progress = "loading";
    }
    this.next = null;
    await this.load(null);
  }

  /** Show the next page too. */
  async showMore(): Promise<void> {
    if (this.next === null || this.more || this.rows.length >= MOST_ROWS) return;
    await this.load(this.next);
  }

  private async load(cursor: string | null): Promise<void> {
    this.asked?.abort();
    const asked = new AbortController();
    this.asked = asked;
    this.fresh.clear();
    this.more = cursor !== null;
    this.changed();
    try {
      const found = await this.source.incidents(queryOf(this.filter), PAGE, cursor, asked.signal);
      if (this.asked !== asked) return;
      const kept = cursor === null ? [] : this.rows;
      const known = new Set(kept.map(({ id }) => id));
      const added = found.incidents.filter(({ id }) => !known.has(id));
      this.rows = [...kept, ...added.map((one) => this.fresh.get(one.id) ?? one)].slice(0, MOST_ROWS);
      this.next = found.next;
      for (const one of this.fresh.values()) {
        const shown = this.rows.some(({ id }) => id === one.id);
        if (!shown && wants(this.filter, one)) this.insert(one);
      }
      this.progress = "ready";
      this.problem = null;
    } catch (error) {
      if (this.asked !== asked) return;
      this.problem = asProblem(error);
      // A server without a store knows no such address.
      this.progress = this.problem.status === 404 ? "off" : "failed";
    }
    this.more = false;
    this.changed();
  }

  /** Take in what the server tells of an incident. */
  take({ incident }: Pick<IncidentChangedData, "incident">): void {
    this.counting?.add(incident.id);
    count(this.changes, incident.id);
    count(this.ofStream, incident.stream);
    this.mark(incident);
    if (this.fresh.size < MOST_ROWS) this.fresh.set(incident.id, incident);
    const place = this.rows.findIndex(({ id }) => id === incident.id);
    if (place >= 0) {
      // What is shown stays where it is, even if the filter no longer asks for it.
      this.rows = this.rows.with(place, incident);
    } else if (this.progress === "ready" && wants(this.filter, incident)) {
      this.insert(incident);
    }
    this.changed();
  }

  /** Change an incident, and show it as the server then has it. Raises `Refused`. */
  async change(id: string, change: IncidentChange): Promise<IncidentData> {
    const incident = await this.source.changeIncident(id, change);
    this.take({ incident });
    return incident;
  }

  private insert(incident: IncidentData): void {
    const opened = Date.parse(incident.opened);
    const place = this.rows.findIndex((row) => Date.parse(row.opened) <= opened);
    // Below the last row only where nothing older is still to be loaded.
    if (place < 0 && this.next !== null) return;
    const at = place < 0 ? this.rows.length : place;
    this.rows = this.rows.toSpliced(at, 0, incident).slice(0, MOST_ROWS);
  }

  private mark(incident: IncidentData): void {
    this.marks = null;
    this.unseen.delete(incident.id);
    if (incident.status === "closed" && incident.acknowledged === null) {
      this.unseen.set(incident.id, incident);
      if (this.unseen.size > MOST_UNSEEN) this.unseen.delete(this.unseen.keys().next().value ?? "");
    }
    if (incident.status === "open" && incident.acknowledged === null) {
      if (this.waiting.size < MOST_WAITING || this.waiting.has(incident.id)) {
        this.waiting.set(incident.id, incident);
      } else {
        this.full = true;
      }
    } else {
      this.waiting.delete(incident.id);
    }
  }
}

function marksOf(incidents: readonly IncidentData[]): Map<string, Unseen> {
  const found = new Map<string, Unseen>();
  for (const incident of incidents) {
    const { newest, count } = found.get(incident.stream) ?? { newest: incident, count: 0 };
    const later = Date.parse(incident.opened) >= Date.parse(newest.opened);
    found.set(incident.stream, { newest: later ? incident : newest, count: count + 1 });
  }
  return found;
}

/** Count up, in a map that keeps the newest. */
function count(counts: Map<string, number>, key: string): void {
  const times = (counts.get(key) ?? 0) + 1;
  counts.delete(key);
  counts.set(key, times);
  if (counts.size > MOST_ROWS) counts.delete(counts.keys().next().value ?? "");
}
