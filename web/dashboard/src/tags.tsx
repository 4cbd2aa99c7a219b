// What must stand beside every score of a stream that is no finding.

import { speaker, type Stream } from "./streams";
import "./tags.css";

export function Tags({ stream }: { stream: Stream }) {
  const status = speaker(stream)?.status;
  return (
    <>
      {stream.demo && <span class="tag">Demo</span>}
      {status === "untrained" && <span class="tag">Untrained</span>}
      {status === "uncalibrated" && <span class="tag">Uncalibrated</span>}
      {status === "experimental" && <span class="tag">Experimental</span>}
    </>
  );
}
