// What keys do on the list of incidents. Pure.

import type { LabelWord } from "./filter";

export type Action =
  | { do: "move"; by: 1 | -1 }
  | { do: "acknowledge" }
  | { do: "label"; label: LabelWord }
  | { do: "help" };

export const HELP: readonly { keys: string; does: string }[] = [
  { keys: "j", does: "the next one below" },
  { keys: "k", does: "the one above" },
  { keys: "Enter", does: "open it" },
  { keys: "a", does: "acknowledge it, or take that back" },
  { keys: "1", does: "mark it true" },
  { keys: "2", does: "mark it a false alarm" },
  { keys: "3", does: "mark it unclear" },
  { keys: "?", does: "show or hide this" },
];

const ACTIONS: Record<string, Action> = {
  j: { do: "move", by: 1 },
  k: { do: "move", by: -1 },
  a: { do: "acknowledge" },
  "1": { do: "label", label: "true" },
  "2": { do: "label", label: "false" },
  "3": { do: "label", label: "unclear" },
  "?": { do: "help" },
};

export function actionOf(key: string): Action | null {
  return ACTIONS[key] ?? null;
}

/** The row that a step leads to: from none to the first, and no farther than the ends. */
export function step(at: number, by: 1 | -1, rows: number): number {
  if (at < 0) return 0;
  return Math.min(Math.max(at + by, 0), rows - 1);
}
