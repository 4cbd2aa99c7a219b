// What is asked of people, in words, and where it stands. Pure.

import type { ChallengeData, ChallengeStepData, Task } from "../protocol";
import type { Happening } from "../streams";

export const TASKS: readonly { task: Task; label: string }[] = [
  { task: "random", label: "Something random" },
  { task: "turn", label: "Turn the head" },
  { task: "look_up", label: "Look up" },
  { task: "closer", label: "Come closer" },
  { task: "cover", label: "Cover the mouth" },
  { task: "flash", label: "Colours on the caller's screen" },
];

const OUTCOMES: Record<NonNullable<ChallengeData["outcome"]>, string> = {
  followed: "Followed",
  not_followed: "Not followed",
  early: "Came before it was asked",
  other_first: "Something else came first",
  unjudged: "Could not be judged",
};

/** Where a challenge stands, in few words. */
export function standing(challenge: ChallengeData): string {
  if (challenge.outcome !== null) return OUTCOMES[challenge.outcome];
  if (challenge.phase === "watching") return "Watching the face at rest";
  if (challenge.phase === "resting") return "Between two prompts";
  return challenge.shown === "caller" ? "The caller is asked" : "Read this out";
}

/** How far to trust that it is what it seems: nothing here is a verdict. */
export function tone({ outcome }: ChallengeData | ChallengeStepData): "good" | "warn" | "quiet" {
  if (outcome === "followed") return "good";
  return outcome === null || outcome === "unjudged" ? "quiet" : "warn";
}

/** The newest challenge that events tell of. */
export function newest(events: readonly Happening[]): ChallengeData | null {
  for (let n = events.length - 1; n >= 0; n -= 1) {
    const data = events[n]?.data;
    if (data?.kind === "challenge_changed") return data.challenge;
  }
  return null;
}

/** Whole seconds that are left of what is asked now; null while nothing is. */
export function left(challenge: ChallengeData, now: number): number | null {
  const step = challenge.steps.at(-1);
  if (challenge.phase !== "asking" || !step) return null;
  return Math.max(Math.ceil((Date.parse(step.until) - now) / 1000), 0);
}
