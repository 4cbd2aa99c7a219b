// What is stored of a stream's past, fetched in blocks: those that are seen, once the view rests, and
// a bounded number of them is kept. No DOM.

import { asProblem, type Problem } from "./api";
import type { HistoryView } from "./protocol";
import { happening, type Happening, pointsOf, type Point, type Pulse, pulsesOf } from "./streams";

export interface Past {
  points: Point[];
  pulses: Pulse[];
  events: Happening[];
  /** How long a point stands for; 0 where every score is there. */
  stepMs: number;
  loading: boolean;
  problem: Problem | null;
}

type Fetch = (
  stream: string,
  from: number,
  to: number,
  resolution: number,
  signal: AbortSignal,
) => Promise<HistoryView>;

interface Block {
  key: string;
  stream: string;
  resolution: number;
  /** Seconds since 1970. */
  from: number;
  to: number;
}

interface Loaded {
  points: Point[];
  pulses: Pulse[];
  events: Happening[];
  stepMs: number;
  /** How far it reaches, seconds since 1970: less than its block's end while that is to come. */
  until: number;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];
const POINTS_PER_VIEW = 900;
const POINTS_PER_BLOCK = 300;
const FULL_RATE_SPAN_MS = 900_000;
const REST_MS = 180;
const IN_FLIGHT = 2;
export const MOST_BLOCKS = 96;
export const MOST_POINTS = 300_000;
const AGAIN_MS = 5_000;
const FRESH_S = 5;

/** Seconds that a point of a view of this length stands for; 0 for every score. */
export function resolutionFor(spanMs: number): number {
  if (spanMs <= FULL_RATE_SPAN_MS) return 0;
  const wanted = spanMs / 1000 / POINTS_PER_VIEW;
  return STEPS_S.find((step) => step >= wanted) ?? STEPS_S.at(-1) ?? 1;
}

/** The blocks that a stretch touches, none of them ahead of now, for a view that is so long. */
export function blocksOf(stream: string, from: number, to: number, now: number, spanMs: number): Block[] {
  const resolution = resolutionFor(spanMs);
  const size = (resolution || 1) * POINTS_PER_BLOCK;
  const blocks: Block[] = [];
  const last = Math.min(to, now) / 1000;
  for (let begin = Math.floor(from / 1000 / size) * size; begin < last; begin += size) {
    blocks.push({ key: `${stream} ${resolution} ${begin}`, stream, resolution, from: begin, to: begin + size });
  }
  return blocks;
}

export class PastDesk {
  private readonly kept = new Map<string, Loaded>();
  private readonly failed = new Map<string, { problem: Problem; at: number }>();
  private readonly flying = new Map<string, AbortController>();
  private wanted: Block[] = [];
  private wantedTo = 0;
  private resting: ReturnType<typeof setTimeout> | null = null;
  private version = 0;
  private last: { key: string; past: Past } | null = null;

  constructor(
    private readonly fetch: Fetch,
    private readonly changed: () => void,
    private readonly clock: () => number = () => Date.now(),
  ) {}

  /**
   * Return what is known of a stretch, and have the rest fetched once the view rests. `spanMs` is how
   * long the view is of which it is a part.
   */
  see(stream: string, from: number, to: number, now: number, spanMs = to - from): Past {
    const blocks = blocksOf(stream, from, to, now, spanMs);
    this.wantedTo = Math.min(to, now) / 1000;
    const keys = blocks.map(({ key }) => key).join(",");
    const moved = keys !== this.wanted.map(({ key }) => key).join(",");
    this.wanted = blocks;
    if (moved) this.rest();
    else if (this.resting === null && this.missing(now).length > 0) this.load(now);
    const key = `${keys} ${this.version}`;
    if (this.last?.key === key) return this.last.past;
    const past = this.assemble(blocks);
    this.last = { key, past };
    return past;
  }

  /** Nobody looks any longer. */
  leave(): void {
    this.wanted = [];
    if (this.resting !== null) clearTimeout(this.resting);
    this.resting = null;
    for (const controller of this.flying.values()) controller.abort();
  }

  private rest(): void {
    if (this.resting !== null) clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.resting = null;
      this.load(this.clock());
    }, REST_MS);
  }

  private missing(now: number): Block[] {
    return this.wanted.filter((block) => {
      if (this.flying.has(block.key)) return false;
      const failure = this.failed.get(block.key);
      if (failure && this.clock() - failure.at < AGAIN_MS) return false;
      const found = this.kept.get(block.key);
      if (!found) return true;
      const short = found.until < Math.min(block.to, this.wantedTo);
      return short && now / 1000 - found.until > Math.max(block.resolution, FRESH_S);
    });
  }

  private load(now: number): void {
    const seen = new Set(this.wanted.map(({ key }) => key));
    for (const [key, controller] of this.flying) if (!seen.has(key)) controller.abort();
    for (const block of this.missing(now).reverse()) {
      if (this.flying.size >= IN_FLIGHT) return; // the next to land takes a turn
      void this.fly(block, now);
    }
  }

  private async fly(block: Block, now: number): Promise<void> {
    const controller = new AbortController();
    this.flying.set(block.key, controller);
    const until = Math.min(block.to, Math.ceil(now / 1000));
    try {
      const { stream, from, resolution } = block;
      const found = await this.fetch(stream, from, until, resolution, controller.signal);
      this.keep(block.key, loaded(found, block, until));
      this.failed.delete(block.key);
    } catch (error) {
      if (!controller.signal.aborted) {
        this.failed.set(block.key, { problem: asProblem(error), at: this.clock() });
        if (this.failed.size > MOST_BLOCKS) this.failed.delete(this.failed.keys().next().value ?? "");
      }
    } finally {
      this.flying.delete(block.key);
    }
    this.version += 1;
    this.changed();
    if (this.resting === null) this.load(this.clock());
  }

  private keep(key: string, block: Loaded): void {
    this.kept.delete(key);
    this.kept.set(key, block);
    let points = 0;
    for (const one of this.kept.values()) points += one.points.length;
    const seen = new Set(this.wanted.map((wanted) => wanted.key));
    for (const [old, one] of this.kept) {
      if (this.kept.size <= MOST_BLOCKS && points <= MOST_POINTS) break;
      if (seen.has(old)) continue;
      points -= one.points.length;
      this.kept.delete(old);
    }
  }

  private assemble(blocks: Block[]): Past {
    const found = blocks.map(({ key }) => this.kept.get(key));
    for (const { key } of blocks) {
      const block = this.kept.get(key); // the newest used lie last
      if (block) {
        this.kept.delete(key);
        this.kept.set(key, block);
      }
    }
    const there = found.filter((block) => block !== undefined);
    const events = new Map(there.flatMap(({ events }) => events).map((event) => [event.id, event]));
    const problems = blocks.map(({ key }) => this.failed.get(key)?.problem).filter((one) => one !== undefined);
    return {
      points: there.flatMap(({ points }) => points),
      pulses: there.flatMap(({ pulses }) => pulses),
      events: [...events.values()].sort((a, b) => a.t - b.t),
      stepMs: Math.max(0, ...there.map(({ stepMs }) => stepMs)),
      loading: there.length < blocks.length && problems.length === 0,
      problem: problems[0] ?? null,
    };
  }
}

function loaded(history: HistoryView, block: Block, until: number): Loaded {
  const said = Number(history.resolution ?? block.resolution);
  const stepMs = (Number.isFinite(said) ? said : 0) * 1000;
  return {
    points: pointsOf(history),
    pulses: pulsesOf(history),
    events: history.events.map(happening),
    stepMs,
    until,
  };
}
