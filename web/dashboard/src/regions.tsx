// Regions of a face that stand out to a detector, drawn over its picture.

import type { FaceExplanation } from "./protocol";
import "./regions.css";

/** The regions of one face, in the source's pixels: dashed, unlike the box around the face. */
export function Regions({ face }: { face: FaceExplanation }) {
  return (
    <g class="regions" transform={matrix(face.crop)}>
      {(["halo", "edge"] as const).map((layer) =>
        face.patches.map(([x0, y0, x1, y1, strength], n) => {
          const [left, top, right, bottom] = [x0, y0, x1, y1].map(inCrop) as Four;
          return (
            <rect
              key={`${layer}${n}`}
              class={`${layer} ${emphasis(strength)} ${face.kinds[n] ?? ""}`}
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

function emphasis(strength: number): string {
  return strength >= 750 ? "strong" : strength >= 500 ? "middle" : "weak";
}

/** From parts of the crop's side to the source's pixels; no detector's crop is skewed. */
export function matrix(crop: FaceExplanation["crop"]): string {
  const [[x, y], [acrossX, acrossY], , [downX, downY]] = crop;
  return `matrix(${[acrossX - x, acrossY - y, downX - x, downY - y, x, y].join(" ")})`;
}
