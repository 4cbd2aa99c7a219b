// How far a face is from being decided, where a budget of false alarms decides.

import type { DecisionData } from "../protocol";
import "./decision.css";

/** What a decision says, in one sentence; `relative`: compared with a baseline of the stream. */
export function decisionWords(decision: DecisionData, suspect: boolean, relative = false): string {
  const { as_high, stake, needs_s, gave_up } = decision;
  if (suspect) return `Decided: as high as hardly any ${relative ? "real video of this camera" : "known real video"}`;
  const those = relative ? "real videos of this camera and others" : "known real videos";
  const found = as_high !== null && as_high < 1 ? `${oneIn(as_high)} ${those} gets as high; ` : "";
  const wait = needs_s === null ? "" : waiting(needs_s);
  if (!stake) return `${found}the budget allows no alarm now${wait && `, but in ${wait}`}`;
  if (gave_up) return `${found}an alarm needs ${oneIn(stake)}, and more of the same brings none`;
  return `${found}an alarm needs ${oneIn(stake)}${wait && `, decided within ${wait}`}`;
}

/** A share of 0.05 as "one in 20". */
export function oneIn(share: number): string {
  return share >= 1 ? "every one" : `one in ${Math.max(Math.round(1 / share), 2)}`;
}

function waiting(seconds: number): string {
  if (seconds < 90) return `${Math.max(Math.ceil(seconds), 1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

interface DecisionBarProps {
  decision: DecisionData;
  suspect: boolean;
  /** Whether trials are compared with a baseline of the stream. */
  relative: boolean;
}

/** The evidence so far as a bar: full is an alarm. */
export function DecisionBar({ decision, suspect, relative }: DecisionBarProps) {
  const evidence = decision.evidence ?? 0;
  const words = decisionWords(decision, suspect, relative);
  return (
    <div class="decision">
      <meter aria-label="Evidence for an alarm" min={0} max={1} value={evidence}>
        {Math.round(evidence * 100)} %
      </meter>
      <p>{words.charAt(0).toUpperCase() + words.slice(1)}.</p>
    </div>
  );
}
