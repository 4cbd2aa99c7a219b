// A problem, as the server or the page puts it.

import { sentence } from "./words";
import "./problem.css";

interface ProblemProps {
  title: string;
  detail?: string;
  hint: string;
  faults?: string[];
}

/** A problem in three parts: what, how exactly, and what to do. */
export function ProblemText({ title, detail = "", hint, faults = [] }: ProblemProps) {
  return (
    <div class="problem">
      <p class="title">{sentence(title)}</p>
      {faults.length > 0 ? (
        <ul>
          {faults.map((fault) => (
            <li key={fault}>{fault}</li>
          ))}
        </ul>
      ) : (
        detail && <p>{sentence(detail)}</p>
      )}
      {hint && <p class="hint">{hint}</p>}
    </div>
  );
}
