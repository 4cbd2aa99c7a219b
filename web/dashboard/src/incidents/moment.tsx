// What was to be seen: the picture of the highest score, and the video around it.

import { useRef, useState } from "preact/hooks";
import type { App } from "../app";
import type { IncidentData } from "../protocol";
import { bytes, clock, EVIDENCE_WORDS } from "../words";
import { isKept, pathOf, useMedia } from "./media";
import { Pointed, PointedWords, useExplanationOf } from "./pointed";
import "../picture.css";

interface Props {
  app: App;
  incident: IncidentData;
  /** Told the moment that the video shows. */
  onSeen: (t: number | null) => void;
}

export function Moment({ app, incident, onSeen }: Props) {
  const { id, evidence, peak, name } = incident;
  const video = useRef<HTMLVideoElement>(null);
  const kept = isKept(incident);
  // With a token the whole clip is fetched before it plays, so that waits for a click.
  const [loading, setLoading] = useState(false);
  const [broken, setBroken] = useState(false);
  const [pointing, point] = useState(false);
  const explanation = useExplanationOf(app, incident);
  const frame = pointing ? (explanation?.frame ?? null) : null;
  const open = app.api.open(pathOf(id, "clip")) !== null;
  const picture = useMedia(app, kept ? pathOf(id, "picture") : null);
  const clip = useMedia(app, kept && (open || loading) ? pathOf(id, "clip") : null);
  const start = evidence.start === null ? null : Date.parse(evidence.start);

  function seek(t: number) {
    const at = video.current;
    if (!at || start === null) return;
    at.currentTime = Math.max((t - start) / 1000, 0);
    onSeen(t);
  }

  return (
    <figure class="moment">
      <div class="stage">
        {frame !== null ? (
          <Pointed app={app} incident={incident} frame={frame} />
        ) : clip !== null && !broken ? (
          <video
            ref={video}
            src={clip}
            poster={picture ?? undefined}
            controls
            playsInline
            preload="metadata"
            aria-label={`Video of the incident at ${name}`}
            onTimeUpdate={(at) => start !== null && onSeen(start + at.currentTarget.currentTime * 1000)}
            onError={() => setBroken(true)}
          />
        ) : picture !== null ? (
          <img src={picture} alt={`${name} at the highest score, ${clock(Date.parse(peak.at))}`} />
        ) : (
          <p>{EVIDENCE_WORDS[evidence.state]}</p>
        )}
      </div>
      <figcaption>
        {broken && <p>This browser cannot play the video. Save it, and open it with another player.</p>}
        {kept && clip === null && (
          <button type="button" disabled={loading} onClick={() => setLoading(true)}>
            {loading ? "Loading the clip" : `Load the clip (${bytes(evidence.bytes)})`}
          </button>
        )}
        {clip !== null && frame === null && !broken && start !== null && (
          <div class="seek" role="group" aria-label="Go to">
            <button type="button" onClick={() => seek(start)}>
              Beginning
            </button>
            <button type="button" onClick={() => seek(Date.parse(incident.opened))}>
              Incident opens
            </button>
            <button type="button" onClick={() => seek(Date.parse(peak.at))}>
              Highest score
            </button>
          </div>
        )}
        {explanation?.frame && (
          <button type="button" aria-pressed={pointing} onClick={() => point(!pointing)}>
            What the detector points at
          </button>
        )}
        {kept && frame === null && <p class="quiet">{EVIDENCE_WORDS[evidence.state]}</p>}
        {explanation && (frame !== null || explanation.frame === null) && <PointedWords view={explanation} />}
      </figcaption>
    </figure>
  );
}
