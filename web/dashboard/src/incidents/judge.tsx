// Acknowledge an incident, and say what it was.

import { CheckIcon } from "../icons";
import type { IncidentData } from "../protocol";
import { LABEL_WORDS } from "../words";
import { LABELS } from "./filter";
import type { IncidentChange } from "./wire";

interface Props {
  incident: IncidentData;
  onChange: (change: IncidentChange) => Promise<boolean>;
}

export function Judge({ incident, onChange }: Props) {
  const { acknowledged, label } = incident;
  return (
    <div class="judge">
      <button
        type="button"
        class={acknowledged === null ? "primary" : ""}
        onClick={() => void onChange({ acknowledged: acknowledged === null })}
      >
        <CheckIcon /> {acknowledged === null ? "Acknowledge" : "Take back"}
        {acknowledged !== null && <span class="visually-hidden"> the acknowledgement</span>}
      </button>
      <div class="labels" role="group" aria-label="What it was">
        {LABELS.map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={label === one}
            onClick={() => void onChange({ label: label === one ? null : one })}
          >
            {LABEL_WORDS[one]}
          </button>
        ))}
      </div>
    </div>
  );
}
