// How much an incident asks for attention, and where it stands: in shape, words and colour.

import { Shape } from "../icons";
import type { IncidentData } from "../protocol";
import { LABEL_WORDS, SEVERITY_WORDS } from "../words";
import "./severity.css";

/** Bars that rise with the severity; a hint is a hollow circle. */
export function SeverityTag({ of }: { of: IncidentData["severity"] }) {
  const bars = { hint: 0, low: 1, medium: 2, high: 3 }[of];
  return (
    <span class={`severity is-${of}`}>
      <Shape>
        {bars === 0 ? (
          <circle cx="8" cy="8" r="5" stroke-dasharray="2.4 2.2" />
        ) : (
          [1, 2, 3].map((bar) => (
            <path
              key={bar}
              d={`M${bar * 5 - 2} 14V${14 - bar * 3.8}`}
              stroke-width="3"
              opacity={bar <= bars ? 1 : 0.28}
            />
          ))
        )}
      </Shape>
      {SEVERITY_WORDS[of]}
    </span>
  );
}

/** Whether it goes on, and what people said of it. */
export function Standing({ incident }: { incident: IncidentData }) {
  const { status, acknowledged, label } = incident;
  return (
    <p class="standing">
      <span class={`chip ${status === "open" && acknowledged === null ? "wants" : status}`}>
        {status === "open" ? "Open" : "Closed"}
      </span>
      {acknowledged && <span class="chip">Acknowledged</span>}
      {label && <span class={`chip label-${label}`}>{LABEL_WORDS[label]}</span>}
    </p>
  );
}
