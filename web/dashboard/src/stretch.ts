// The stretch of time that a timeline shows: how keys, the wheel and fingers move and zoom it. Pure;
// times are milliseconds.

export type Stretch = readonly [from: number, to: number];

const LEAST_MS = 5_000;
/** As long as scores are kept. */
export const MOST_MS = 90 * 86_400_000;
/** Nearer than this share of the span to now, and the timeline goes along with it. */
const NEAR = 0.02;

/** Return a stretch within what can be shown: not ahead of now, no farther back than is kept. */
export function within([from, to]: Stretch, now: number): Stretch {
  const size = Math.min(Math.max(to - from, LEAST_MS), MOST_MS);
  const middle = (from + to) / 2;
  const end = Math.min(Math.max(middle + size / 2, now - MOST_MS + size), now);
  return [end - size, end];
}

/** Make a stretch longer by a factor, or shorter, about a moment that stays where it is. */
export function zoomed([from, to]: Stretch, about: number, factor: number, now: number): Stretch {
  const size = Math.min(Math.max((to - from) * factor, LEAST_MS), MOST_MS);
  const share = (about - from) / (to - from);
  const begin = about - share * size;
  return within([begin, begin + size], now);
}

export function panned([from, to]: Stretch, by: number, now: number): Stretch {
  return within([from + by, to + by], now);
}

/** Return where two fingers put a stretch: the moments below them stay below them. */
export function pinched(
  [from, to]: Stretch,
  before: readonly [number, number],
  after: readonly [number, number],
  now: number,
): Stretch {
  const apart = Math.max(Math.abs(after[1] - after[0]), 0.02);
  const factor = Math.abs(before[1] - before[0]) / apart;
  const size = Math.min(Math.max((to - from) * factor, LEAST_MS), MOST_MS);
  const middle = from + ((before[0] + before[1]) / 2) * (to - from);
  const begin = middle - ((after[0] + after[1]) / 2) * size;
  return within([begin, begin + size], now);
}

/** Say whether a stretch ends at now, so that it may as well go along. */
export function isLive([from, to]: Stretch, now: number): boolean {
  return now - to <= (to - from) * NEAR;
}

/**
 * Return the stretch that a key on the timeline leads to: arrows move by a quarter, plus and minus
 * zoom about the middle, Escape and End go back to live ("live"); null for any other key.
 */
export function keyed(key: string, from: number, to: number, now: number): Stretch | "live" | null {
  const span = to - from;
  const middle = (from + to) / 2;
  switch (key) {
    case "ArrowLeft":
      return panned([from, to], -span / 4, now);
    case "ArrowRight":
      return to + span / 4 >= now ? "live" : [from + span / 4, to + span / 4];
    case "+":
    case "=":
      return zoomed([from, to], middle, 1 / 2, now);
    case "-":
      return zoomed([from, to], middle, 2, now);
    case "Escape":
    case "End":
      return "live";
    default:
      return null;
  }
}
