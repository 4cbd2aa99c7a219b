// Which view an address names. Everything that a shared link should restore is in the address.

import { EVERY, type Filter, filterOf, queryOf } from "./incidents/filter";
import { ROOT } from "./root";
import { EVERYTHING, narrows, type WallFilter, wallFilterOf, wallQueryOf } from "./wall-filter";

export type Route =
  | { page: "wall"; filter?: WallFilter }
  | { page: "stream"; id: string; from: number | null; to: number | null }
  | { page: "incidents"; filter: Filter }
  | { page: "incident"; id: string }
  | { page: "alerts" }
  | { page: "machines" }
  | { page: "help" };

export type StreamRoute = Extract<Route, { page: "stream" }>;

/** Return the view at a path of this host; `root` is the path of the wall. */
export function parse(path: string, query: string, root = ROOT.pathname): Route {
  const below = path.startsWith(root) ? path.slice(root.length) : "";
  const params = new URLSearchParams(query);
  const incident = /^incidents(?:\/([^/]+))?\/?$/.exec(below);
  if (incident) {
    const [, id] = incident;
    if (id !== undefined) return { page: "incident", id: decode(id) };
    return { page: "incidents", filter: filterOf(params) };
  }
  if (/^help\/?$/.test(below)) return { page: "help" };
  if (/^alerts\/?$/.test(below)) return { page: "alerts" };
  if (/^machines\/?$/.test(below)) return { page: "machines" };
  const id = /^streams\/([^/]+)\/?$/.exec(below)?.[1];
  if (id === undefined) {
    const filter = wallFilterOf(params);
    return narrows(filter) || filter.grouped ? { page: "wall", filter } : { page: "wall" };
  }
  const from = time(params.get("from"));
  const to = time(params.get("to"));
  const both = from !== null && to !== null && from < to;
  return { page: "stream", id: decode(id), from: both ? from : null, to: both ? to : null };
}

/** Return the path and query of a view. */
export function address(route: Route, root = ROOT.pathname): string {
  switch (route.page) {
    case "wall": {
      const query = wallQueryOf(route.filter ?? EVERYTHING).toString();
      return query ? `${root}?${query}` : root;
    }
    case "incidents": {
      const query = queryOf(route.filter).toString();
      return `${root}incidents${query && `?${query}`}`;
    }
    case "help":
      return `${root}help`;
    case "alerts":
      return `${root}alerts`;
    case "machines":
      return `${root}machines`;
    case "incident":
      return `${root}incidents/${encodeURIComponent(route.id)}`;
    case "stream": {
      const path = `${root}streams/${encodeURIComponent(route.id)}`;
      if (route.from === null || route.to === null) return path;
      return `${path}?from=${iso(route.from)}&to=${iso(route.to)}`;
    }
  }
}

/** The list of all incidents. */
export const INCIDENTS: Route = { page: "incidents", filter: EVERY };

function time(text: string | null): number | null {
  const t = text === null ? Number.NaN : Date.parse(text);
  return Number.isFinite(t) ? t : null;
}

function iso(t: number): string {
  return new Date(Math.round(t / 1000) * 1000).toISOString().replace(".000Z", "Z");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
