// The picture of an incident's peak, small; fetched when it comes into view.

import { useRef, useState } from "preact/hooks";
import type { App } from "../app";
import { useVisible } from "../picture";
import type { IncidentData } from "../protocol";
import { isKept, pathOf, useMedia } from "./media";

export function Thumbnail({ app, incident }: { app: App; incident: IncidentData }) {
  const frame = useRef<HTMLDivElement>(null);
  const visible = useVisible(frame);
  const [seen, setSeen] = useState(false);
  const [broken, setBroken] = useState(false);
  if (visible && !seen) setSeen(true);
  const url = useMedia(app, seen && isKept(incident) ? pathOf(incident.id, "picture") : null);
  return (
    <div class="thumbnail" ref={frame}>
      {url !== null && !broken ? (
        <img src={url} alt="" onError={() => setBroken(true)} />
      ) : (
        <span>{incident.evidence.state === "pending" ? "Picture follows" : "No picture"}</span>
      )}
    </div>
  );
}
