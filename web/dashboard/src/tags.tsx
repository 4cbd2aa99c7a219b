// What must stand beside every score of a stream that is no finding.

import type { Model } from "./protocol";
import { speaker, type Stream } from "./streams";
import "./tags.css";

interface Props {
  stream: Stream;
  /** What is said once for all of them and need not be said here. */
  noticed?: Model["status"] | null;
}

export function Tags({ stream, noticed = null }: Props) {
  const own = speaker(stream)?.status;
  const status = own === noticed ? undefined : own;
  return (
    <>
      {stream.demo && <span class="tag">Demo</span>}
      {status === "untrained" && <span class="tag">Untrained</span>}
      {status === "uncalibrated" && <span class="tag">Uncalibrated</span>}
      {status === "experimental" && <span class="tag">Experimental</span>}
    </>
  );
}
