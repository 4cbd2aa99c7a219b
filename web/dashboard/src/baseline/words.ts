// What is said of a stream's baseline: known-real video of its own.

import type { BaselineData, BaselineView } from "../protocol";

/** A baseline in short: "Baseline: lobby, 12 min, 2026-11-30". */
export function baselineName({ name, minutes, made }: Pick<BaselineData, "name" | "minutes" | "made">): string {
  const long = minutes === null ? "" : `, ${Math.max(Math.round(minutes), 1)} min`;
  return `Baseline: ${name}${long}, ${made.slice(0, 10)}`;
}

/** Whether trials are compared with it now, and why not. */
export function baselineState({ state, reason }: Pick<BaselineData, "state" | "reason">): string {
  const why = reason ? `: ${reason}` : "";
  switch (state) {
    case "active":
      return "Faces are compared with it, and with all known real video the less the longer it is.";
    case "changed":
      return `Not used now, because the picture has changed${why}. Faces are compared with all known real video.`;
    case "expired":
      return `No longer used${why}. Faces are compared with all known real video.`;
    default:
      return `Not used${why}.`;
  }
}

/** What it means that there is none. */
export function noneWords({ decides }: BaselineView): string {
  const made = "If everybody in the last ten minutes was real, say so";
  return decides
    ? `None: faces are compared with all known real video. ${made}, and they are compared with this camera.`
    : `None. ${made}; it is kept, and used once verdicts come of a budget (decision.by).`;
}

/** Whether the last ten minutes hold enough evidence to be a baseline. */
export function enough({ recent_minutes, least_minutes }: BaselineView): boolean {
  return recent_minutes !== null && least_minutes !== null && recent_minutes >= least_minutes;
}

/** What the last ten minutes hold. */
export function recentWords(view: BaselineView): string {
  const found = (view.recent_minutes ?? 0).toFixed(1);
  if (enough(view)) return `The last ten minutes hold ${found} min of a face's usable evidence.`;
  return `The last ten minutes hold ${found} min of a face's usable evidence; ${view.least_minutes} are needed.`;
}
