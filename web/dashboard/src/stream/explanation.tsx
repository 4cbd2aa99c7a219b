// Explanations of scores: the switch that shows a detector's, and what its regions mean.

import { useCallback, useState } from "preact/hooks";
import type { Problem } from "../api";
import type { OverlayView, PictureOverlay } from "../protocol";
import { sentence } from "../words";
import "./explanation.css";

/** The explanation over the picture: whose it is, what it shows, and why not if refused. */
export function useExplanation() {
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
  /** Whose explanation is shown; null while the switch is off. */
  chosen: string | null;
  /** What the picture that is shown came with. */
  shown: PictureOverlay | null;
  /** Why the server did not give it. */
  refusal: Problem | null;
  onChoose: (detector: string | null) => void;
}

/** One button per detector that can explain its scores; the others say that they cannot. */
export function ExplanationSwitch({ overlays, chosen, shown, refusal, onChoose }: SwitchProps) {
  const able = overlays.filter(({ points_at }) => points_at !== null);
  const unable = overlays.filter(({ points_at }) => points_at === null);
  const current = able.find(({ detector }) => detector === chosen);
  return (
    <div class="explanation">
      {able.length > 0 && (
        <>
          <p class="ask" id="explanation-title">
            Show explanation of
          </p>
          <div class="spans" role="group" aria-labelledby="explanation-title">
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
          <p>A region to look at, not a finding; it never changes a score.</p>
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
  return `${count} ${count === 1 ? "region" : "regions"} in the frame shown${more}`;
}

/** Whether regions of two maps are shown, so that a reader must be told which is which. */
export function hasBoth(shown: PictureOverlay): boolean {
  return shown.faces.some(({ kinds }) => kinds.includes("spatial"));
}

function DottedKey() {
  return (
    <svg class="regions key" viewBox="0 0 40 16" width="40" height="16" aria-hidden="true">
      <rect class="edge middle spatial" x="2" y="2" width="14" height="12" />
      <rect class="edge middle" x="22" y="2" width="14" height="12" />
    </svg>
  );
}

function Key() {
  return (
    <svg class="regions key" viewBox="0 0 40 16" width="40" height="16" aria-hidden="true">
      <rect class="edge weak" x="2" y="2" width="14" height="12" />
      <rect class="edge strong" x="22" y="2" width="14" height="12" />
    </svg>
  );
}
