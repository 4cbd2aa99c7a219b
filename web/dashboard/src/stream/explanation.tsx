// What a detector points at: the switch, what its places mean, and the places over the picture.

import { useCallback, useState } from "preact/hooks";
import type { Problem } from "../api";
import type { FaceExplanation, OverlayView, PictureOverlay } from "../protocol";
import { sentence } from "../words";
import "./explanation.css";

/** Whose places are shown over the picture, what there is to see, and why not if refused. */
export function usePointing() {
  const [chosen, setChosen] = useState<string | null>(null);
  const [shown, show] = useState<PictureOverlay | null>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const choose = useCallback((detector: string | null) => {
    setChosen(detector);
    setRefusal(null);
  }, []);
  const refuse = useCallback((problem: Problem) => {
    setChosen(null); // the picture alone goes on
    setRefusal(problem);
  }, []);
  return { chosen, shown, refusal, choose, show, refuse };
}

interface SwitchProps {
  overlays: readonly OverlayView[];
  /** Whose places are shown; null while the switch is off. */
  chosen: string | null;
  /** What the picture that is shown came with. */
  shown: PictureOverlay | null;
  /** Why the server did not show them. */
  refusal: Problem | null;
  onChoose: (detector: string | null) => void;
}

/** One button per detector that can point at places; the others say that they cannot. */
export function PointingSwitch({ overlays, chosen, shown, refusal, onChoose }: SwitchProps) {
  const able = overlays.filter(({ points_at }) => points_at !== null);
  const unable = overlays.filter(({ points_at }) => points_at === null);
  const current = able.find(({ detector }) => detector === chosen);
  return (
    <div class="pointing">
      {able.length > 0 && (
        <>
          <p class="ask" id="pointing-title">
            Show what the detector points at
          </p>
          <div class="spans" role="group" aria-labelledby="pointing-title">
            {able.map(({ detector }) => (
              <button
                key={detector}
                type="button"
                aria-pressed={detector === chosen}
                onClick={() => onChoose(detector === chosen ? null : detector)}
              >
                {detector}
              </button>
            ))}
          </div>
        </>
      )}
      {current && (
        <div class="meaning">
          <p class="now">{told(shown?.detector === chosen ? shown : null)}</p>
          <p>
            <Key /> {sentence(current.summary)}. The thicker the line, the more it stands out.
          </p>
          {shown?.detector === chosen && hasBoth(shown) && (
            <p>
              <DottedKey /> Dotted: in this frame itself. Dashed: what changes from frame to frame.
            </p>
          )}
          <p>A place to look at, not a finding; it never changes a score.</p>
        </div>
      )}
      {refusal && (
        <p class="refused" role="status">
          {refusal.title}. {refusal.hint}
        </p>
      )}
      {unable.length > 0 && (
        <p class="unable">
          {unable.map(({ detector }) => detector).join(", ")}: {unable[0]?.summary}
        </p>
      )}
    </div>
  );
}

/** What there is to see in the frame that is shown. */
export function told(shown: PictureOverlay | null): string {
  if (!shown?.explained) return "Waiting for a frame that this detector has rated";
  const count = shown.faces.reduce((sum, face) => sum + face.patches.length, 0);
  if (count === 0) return "Nothing stands out in the frame shown";
  const more = shown.left_out > 0 ? `, ${shown.left_out} weaker ones left out` : "";
  return `${count} ${count === 1 ? "place" : "places"} in the frame shown${more}`;
}

/** Whether places of two maps are shown, so that a reader must be told which is which. */
export function hasBoth(shown: PictureOverlay): boolean {
  return shown.faces.some(({ kinds }) => kinds.includes("spatial"));
}

function DottedKey() {
  return (
    <svg class="places key" viewBox="0 0 40 16" width="40" height="16" aria-hidden="true">
      <rect class="edge middle spatial" x="2" y="2" width="14" height="12" />
      <rect class="edge middle" x="22" y="2" width="14" height="12" />
    </svg>
  );
}

function Key() {
  return (
    <svg class="places key" viewBox="0 0 40 16" width="40" height="16" aria-hidden="true">
      <rect class="edge weak" x="2" y="2" width="14" height="12" />
      <rect class="edge strong" x="22" y="2" width="14" height="12" />
    </svg>
  );
}

/** The places in one face, in the source's pixels: dashed, unlike the box around the face. */
export function Places({ face }: { face: FaceExplanation }) {
  return (
    <g class="places" transform={matrix(face.crop)}>
      {(["halo", "edge"] as const).map((layer) =>
        face.patches.map(([x0, y0, x1, y1, strength], n) => {
          const [left, top, right, bottom] = [x0, y0, x1, y1].map(inCrop) as Four;
          return (
            <rect
              key={`${layer}${n}`}
              class={`${layer} ${weight(strength)} ${face.kinds[n] ?? ""}`}
              x={left}
              y={top}
              width={right - left}
              height={bottom - top}
            />
          );
        }),
      )}
    </g>
  );
}

type Four = [number, number, number, number];

/** Thousandths of the crop's side as a part of it; what reaches beyond it ends at its edge. */
function inCrop(thousandths: number): number {
  return Math.min(Math.max(thousandths / 1000, 0), 1);
}

function weight(strength: number): string {
  return strength >= 750 ? "strong" : strength >= 500 ? "middle" : "weak";
}

/** From parts of the crop's side to the source's pixels; no detector's crop is skewed. */
export function matrix(crop: FaceExplanation["crop"]): string {
  const [[x, y], [acrossX, acrossY], , [downX, downY]] = crop;
  return `matrix(${[acrossX - x, acrossY - y, downX - x, downY - y, x, y].join(" ")})`;
}
