// What has changed of a stream against its own last seven days: a notice, and no alarm.

import type { StatusData } from "../protocol";
import { sentence } from "../words";
import "./notice.css";

/** What stands beside scores whose calibration no longer fits; empty when it may. */
export function staleWords(status: StatusData | null | undefined): string {
  return status?.notices.includes("drifted") ? "calibration is stale here" : "";
}

/** What has changed, a sentence each. */
export function DriftNotice({ status }: { status: StatusData | null | undefined }) {
  const stale = staleWords(status);
  if (!stale || !status) return null;
  return (
    <div class="drift" role="status">
      <p>
        <strong>{sentence(stale)}.</strong> Scores count as before, but what they promise was measured on other
        pictures.
      </p>
      <ul>
        {status.drift.map((said) => (
          <li key={said}>{sentence(said)}.</li>
        ))}
      </ul>
    </div>
  );
}
