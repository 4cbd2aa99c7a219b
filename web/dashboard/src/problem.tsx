// A problem, as the server or the page puts it.

import type { Problem } from "./api";
import { sentence } from "./words";
import "./problem.css";

type Fault = Problem["faults"][number];

interface ProblemProps {
  title: string;
  detail?: string;
  hint: string;
  faults?: string[];
}

/** What was wrong with single values, each by the label that its field has on the page. */
export function labelled(faults: readonly Fault[], labels: Readonly<Record<string, string>>): string[] {
  return faults.map(({ where, what }) => {
    const path = where.replace(/^body\./, "");
    const last = path.split(".").at(-1) ?? path;
    return `${labels[path] ?? labels[last] ?? path}: ${what}`;
  });
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
