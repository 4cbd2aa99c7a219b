// What was asked of somebody and what was seen of it: context beside the score, and no verdict.

import type { ChallengeData } from "../protocol";
import { clock, sentence } from "../words";
import { standing, tone } from "./words";
import "./challenge.css";

export function ChallengeResult({ challenge }: { challenge: ChallengeData }) {
  const { started, by, steps, rise } = challenge;
  return (
    <div class={`challenge-result tone-${tone(challenge)}`}>
      <p>
        <strong>{standing(challenge)}</strong>{" "}
        <span class="quiet">
          <time dateTime={started}>{clock(Date.parse(started))}</time>, asked by {by}
        </span>
      </p>
      <ul>
        {steps.map((step) => (
          <li key={step.asked} class={`tone-${tone(step)}`}>
            {step.sentence || sentence(step.prompt)}
          </li>
        ))}
        {rise && <li>{rise.sentence}</li>}
      </ul>
      {challenge.sentence && <p>{challenge.sentence}</p>}
    </div>
  );
}
