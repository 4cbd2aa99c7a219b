// Which view an address names. Everything that a shared link should restore is in the address.

import { ROOT } from "./root";

export type Route =
  | { page: "wall" }
  | { page: "stream"; id: string; from: number | null; to: number | null };

export type StreamRoute = Extract<Route, { page: "stream" }>;

/** Return the view at a path of this host; `root` is the path of the wall. */
export function parse(path: string, query: string, root = ROOT.pathname): Route {
  const below = path.startsWith(root) ? path.slice(root.length) : "";
  const id = /^streams\/([^/]+)\/?$/.exec(below)?.[1];
  if (id === undefined) return { page: "wall" };
  const params = new URLSearchParams(query);
  const from = time(params.get("from"));
  const to = time(params.get("to"));
  const both = from !== null && to !== null && from < to;
  return { page: "stream", id: decode(id), from: both ? from : null, to: both ? to : null };
}

/** Return the path and query of a view. */
export function address(route: Route, root = ROOT.pathname): string {
  if (route.page === "wall") return root;
  const path = `${root}streams/${encodeURIComponent(route.id)}`;
  if (route.from === null || route.to === null) return path;
  return `${path}?from=${iso(route.from)}&to=${iso(route.to)}`;
}

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
