// How a wall of tiles is laid out: the columns and rows in which the tiles are largest. Pure.

/** How much a tile has room to say. */
export type Tier = "roomy" | "compact" | "crowd";

/** A grid of equal tiles, each a picture with a panel of facts below it; pixels. */
export interface Layout {
  columns: number;
  rows: number;
  /** The width of a tile. */
  tile: number;
  tier: Tier;
  /** Whether the wall is higher than the room for it. */
  scrolls: boolean;
}

interface Look {
  tier: Tier;
  /** The narrowest tile that still can be read. */
  least: number;
  /** The height of the facts, as in tile.css. */
  facts: number;
  gap: number;
}

export const LOOKS: readonly Look[] = [
  { tier: "roomy", least: 400, facts: 128, gap: 16 },
  { tier: "compact", least: 226, facts: 88, gap: 12 },
  { tier: "crowd", least: 150, facts: 66, gap: 10 },
];

/** Below this width a window is a phone's, where one scrolls anyway. */
const NARROW = 640;
const ONE_BY_ONE = 4;

/**
 * Return the layout in which `count` tiles are largest in `width` × `height`, without an empty row.
 * Where even the smallest tiles do not fit, or on a phone, the wall is as wide as its room and
 * scrolls. `shape` is width over height of a picture.
 */
export function layout(count: number, width: number, height: number, shape = 16 / 9): Layout {
  const tiles = Math.max(count, 1);
  if (width < NARROW) return scrolling(tiles, width, tiles <= ONE_BY_ONE ? 1 : 2);
  for (const look of LOOKS) {
    const found = largest(tiles, width, height, shape, look);
    if (found.tile >= look.least) return found;
  }
  const { least, gap } = looks("crowd");
  return scrolling(tiles, width, Math.max(Math.floor((width + gap) / (least + 18 + gap)), 1));
}

function looks(tier: Tier): Look {
  return LOOKS.find((look) => look.tier === tier) as Look;
}

function largest(count: number, width: number, height: number, shape: number, look: Look): Layout {
  const { tier, facts, gap } = look;
  let best: Layout = { columns: 1, rows: count, tile: 0, tier, scrolls: false };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const wide = (width - gap * (columns - 1)) / columns;
    const high = (height - gap * (rows - 1)) / rows - facts;
    const tile = Math.floor(Math.min(wide, high * shape));
    if (tile > best.tile) best = { ...best, columns, rows, tile };
  }
  return best;
}

function scrolling(count: number, width: number, most: number): Layout {
  const columns = Math.min(most, count);
  const gap = looks("crowd").gap;
  const tile = Math.floor((width - gap * (columns - 1)) / columns);
  const tier = LOOKS.find((look) => tile >= look.least)?.tier ?? "crowd";
  return { columns, rows: Math.ceil(count / columns), tile, tier, scrolls: true };
}

/** The width of the pictures to ask for: one of few, so that neighbours share the server's work. */
export function pictureWidth(tile: number): number {
  return [320, 640, 960].find((width) => tile <= width * 1.1) ?? 1280;
}
