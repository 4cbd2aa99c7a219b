// Which streams the wall shows, and whether it groups them. In the address, so that it can be kept.
// Pure.

import type { Condition } from "./attention";
import type { ConnectionState } from "./protocol";

export const STATES = ["suspect", "eyes", "live", "waiting"] as const;
export type State = (typeof STATES)[number];

export const STATE_WORDS: Record<State, string> = {
  suspect: "Suspect",
  eyes: "Needs eyes",
  live: "Live",
  waiting: "Waiting",
};

/** What is wanted; without a state or tags, all. */
export interface WallFilter {
  state: State | "";
  /** Every one of them is wanted. */
  tags: readonly string[];
  /** Whether the wall is in sections, by each stream's first tag. */
  grouped: boolean;
}

export const EVERYTHING: WallFilter = { state: "", tags: [], grouped: false };

/** What is looked at of a stream. */
export interface Filterable {
  condition: Condition;
  connection: ConnectionState | null;
  tags: readonly string[];
}

const EYES: ReadonlySet<Condition> = new Set(["suspect", "failed", "lost", "hindered"]);
const WAITING: ReadonlySet<ConnectionState> = new Set([
  "connecting",
  "waiting_for_keyframe",
  "backing_off",
]);

/** Return the filter in an address; what is not understood is left out. */
export function wallFilterOf(params: URLSearchParams): WallFilter {
  const state = params.get("state") ?? "";
  return {
    state: STATES.find((known) => known === state) ?? "",
    tags: [...new Set(params.getAll("tag").filter(Boolean))],
    grouped: params.get("group") === "tag",
  };
}

/** Return a filter as the query of an address. */
export function wallQueryOf({ state, tags, grouped }: WallFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (state) query.set("state", state);
  for (const tag of tags) query.append("tag", tag);
  if (grouped) query.set("group", "tag");
  return query;
}

export function narrows({ state, tags }: WallFilter): boolean {
  return state !== "" || tags.length > 0;
}

/** Say whether a stream is in a state. */
export function isIn(state: State, { condition, connection }: Filterable): boolean {
  switch (state) {
    case "suspect":
      return condition === "suspect";
    case "eyes":
      return EYES.has(condition);
    case "live":
      return connection === "live";
    case "waiting":
      return connection === null || WAITING.has(connection);
  }
}

/** Say whether a stream is wanted. */
export function wanted(filter: WallFilter, stream: Filterable): boolean {
  const { state, tags } = filter;
  return (state === "" || isIn(state, stream)) && tags.every((tag) => stream.tags.includes(tag));
}

/** The same filter with a tag more or, when it is there, less. */
export function toggled(filter: WallFilter, tag: string): WallFilter {
  const { tags } = filter;
  return { ...filter, tags: tags.includes(tag) ? tags.filter((one) => one !== tag) : [...tags, tag] };
}

const inOrder = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** All tags of some streams, in human order, and how many streams have each. */
export function tally(streams: Iterable<Pick<Filterable, "tags">>): [tag: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { tags } of streams) for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => inOrder.compare(a, b));
}

/** Sort ids, in the order that they have, into sections by first tag; those without any come last. */
export function sections(
  ids: readonly string[],
  tagsOf: (id: string) => readonly string[],
): { tag: string; ids: string[] }[] {
  const found = new Map<string, string[]>();
  for (const id of ids) {
    const [tag = ""] = tagsOf(id);
    found.set(tag, [...(found.get(tag) ?? []), id]);
  }
  return [...found]
    .map(([tag, members]) => ({ tag, ids: members }))
    .sort((a, b) => Number(a.tag === "") - Number(b.tag === "") || inOrder.compare(a.tag, b.tag));
}

const KEYS: Record<string, State | ""> = { "0": "", "1": "suspect", "2": "eyes", "3": "live", "4": "waiting" };

/** Return the filter that a key asks for; null when it asks for none. */
export function pressed(key: string, filter: WallFilter): WallFilter | null {
  if (key === "g") return { ...filter, grouped: !filter.grouped };
  const state = KEYS[key];
  if (state === undefined) return null;
  return state === "" ? { ...EVERYTHING, grouped: filter.grouped } : { ...filter, state };
}
