// What stood out to the detector in a frame of the incident, drawn as on a stream's page.

import { useEffect, useState } from "preact/hooks";
import type { App } from "../app";
import type { ExplanationView, IncidentData } from "../protocol";
import { Regions } from "../regions";
import { hasBoth, told } from "../stream/explanation";
import { clock, number, sentence } from "../words";
import { pathOf, useMedia } from "./media";

export type Frame = NonNullable<ExplanationView["frame"]>;

const AGAIN_MS = 2_000;

/** What is known of it by now; null until that is known, or where this analyzer knows no such thing. */
export function useExplanationOf(app: App, incident: IncidentData): ExplanationView | null {
  const [view, setView] = useState<ExplanationView | null>(null);
  const [again, ask] = useState(0);
  const { id, evidence } = incident;
  const live = app.live.link.phase === "live";
  useEffect(() => {
    let current = true;
    let timer = 0;
    app.api.explanation(id).then(
      (found) => {
        if (!current) return;
        setView(found);
        if (found.state === "looking") timer = window.setTimeout(() => ask((count) => count + 1), AGAIN_MS);
      },
      () => current && setView(null),
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [app, id, evidence.state, live, again]);
  return view;
}

/** The frame with the regions over it. */
export function Pointed({ app, incident, frame }: { app: App; incident: IncidentData; frame: Frame }) {
  const { width, height, boxes, overlay } = frame;
  const picture = useMedia(app, pathOf(incident.id, "explanation.jpg"));
  return (
    <svg
      class="pointed"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={`${incident.name} at ${clock(Date.parse(frame.captured))}, with what ${overlay.detector} points at`}
    >
      {picture !== null && <image href={picture} width={width} height={height} />}
      {boxes.map(({ x0, y0, x1, y1 }) => (
        <g class="box suspect" key={`${x0},${y0}`}>
          <rect class="halo" x={x0} y={y0} width={x1 - x0} height={y1 - y0} />
          <rect class="edge" x={x0} y={y0} width={x1 - x0} height={y1 - y0} />
        </g>
      ))}
      {overlay.faces.map((face) => (
        <Regions key={face.track} face={face} />
      ))}
    </svg>
  );
}

/** What the regions mean, or why there are none, in words. */
export function PointedWords({ view }: { view: ExplanationView }) {
  const { frame } = view;
  if (frame === null) {
    return <p class="quiet">What the detector points at is not shown: {view.reason}.</p>;
  }
  return (
    <div class="pointed-words">
      <p>
        Frame of {clock(Date.parse(frame.captured))}
        {frame.p !== null && `, score ${number(frame.p)}`}. {told(frame.overlay)}.
      </p>
      <p class="quiet">
        {sentence(frame.summary)}. The thicker the line, the more it stands out.
        {hasBoth(frame.overlay) && " Dotted: in this frame itself. Dashed: what changes from frame to frame."} A
        region to look at, not a finding; it never changes a score.
      </p>
    </div>
  );
}
