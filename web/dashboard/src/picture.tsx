// A live picture with the faces that were scored in it. Boxes and scores come with the picture, so
// what is drawn always belongs to what is shown.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { App } from "./app";
import type { Picture } from "./pictures";
import type { Problem } from "./api";
import type { PictureFace, PictureOverlay } from "./protocol";
import { Regions } from "./regions";
import { number } from "./words";
import "./picture.css";

interface Props {
  app: App;
  stream: string;
  width: number;
  label: string;
  /** Draw numbers of faces and scores beside the boxes. */
  detailed: boolean;
  /** Whose scores are drawn. */
  detector: string | null;
  /** The numbers are no findings. */
  doubtful: boolean;
  stale: boolean;
  /** The detector whose explanation is drawn. */
  explained?: string | null;
  /** Told the explanation of the picture that is shown now. */
  onExplanation?: (overlay: PictureOverlay | null) => void;
  /** Told that the server gives no explanation. */
  onRefused?: (problem: Problem) => void;
}

export function LivePicture(props: Props) {
  const { app, stream, width, label, detailed, detector, doubtful, stale } = props;
  const { explained = null, onExplanation, onRefused } = props;
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [picture, setPicture] = useState<Picture | null>(null);
  const visible = useVisible(frame);

  useEffect(() => {
    if (!visible) return;
    const wishes = explained && onRefused ? { overlay: explained, refused: onRefused } : {};
    return app.pictures.watch(stream, width, setPicture, wishes);
  }, [app, stream, width, visible, explained, onRefused]);

  useEffect(() => onExplanation?.(picture?.overlay ?? null), [picture, onExplanation]);

  useLayoutEffect(() => {
    const at = canvas.current;
    if (!at || !picture) return;
    if (at.width !== picture.bitmap.width || at.height !== picture.bitmap.height) {
      at.width = picture.bitmap.width;
      at.height = picture.bitmap.height;
    }
    at.getContext("2d")?.drawImage(picture.bitmap, 0, 0);
    return () => picture.bitmap.close();
  }, [picture]);

  return (
    <div class={`picture${stale ? " stale" : ""}`} ref={frame}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={picture ? label : `${label}: no picture`}
        hidden={!picture}
      />
      {picture && picture.width > 0 && (
        <svg
          class="overlay"
          viewBox={`0 0 ${picture.width} ${picture.height}`}
          preserveAspectRatio="xMidYMid meet"
          aria-hidden="true"
        >
          {picture.overlay?.detector === explained &&
            picture.overlay.faces.map((face) => <Regions key={`p${face.track}`} face={face} />)}
          {picture.faces.map((face) => (
            <FaceBox
              key={face.track}
              face={face}
              unit={picture.width / (detailed ? 100 : 60)}
              detailed={detailed}
              detector={detector}
              doubtful={doubtful}
            />
          ))}
        </svg>
      )}
      {!picture && <p class="no-picture">No picture</p>}
    </div>
  );
}

interface BoxProps {
  face: PictureFace;
  unit: number;
  detailed: boolean;
  detector: string | null;
  doubtful: boolean;
}

function FaceBox({ face, unit, detailed, detector, doubtful }: BoxProps) {
  const { x0, y0, x1, y1 } = face.box;
  const score = face.scores.find((one) => one.detector === detector) ?? null;
  const state = doubtful ? "doubtful" : (score?.state ?? "unrated");
  const text = `#${face.track}${score?.p == null ? "" : `  ${number(score.p)}`}`;
  const size = unit * 2.1;
  const width = (text.length * 0.56 + 0.9) * size;
  const above = y0 > size * 1.6;
  const y = above ? y0 - size * 1.5 : y1;
  return (
    <g class={`box ${state}`}>
      <rect class="halo" x={x0} y={y0} width={x1 - x0} height={y1 - y0} rx={unit * 0.8} />
      <rect class="edge" x={x0} y={y0} width={x1 - x0} height={y1 - y0} rx={unit * 0.8} />
      {detailed && (
        <>
          <rect class="plate" x={x0} y={y} width={width} height={size * 1.5} rx={unit * 0.5} />
          <text x={x0 + size * 0.45} y={y + size * 1.1} font-size={size}>
            {text}
          </text>
        </>
      )}
    </g>
  );
}

/** Whether an element is on the screen, or nearly so. */
export function useVisible(element: { current: Element | null }): boolean {
  const [visible, set] = useState(false);
  useEffect(() => {
    const at = element.current;
    if (!at) return;
    const observer = new IntersectionObserver(
      (entries) => set(entries.some((entry) => entry.isIntersecting)),
      { rootMargin: "120px" },
    );
    observer.observe(at);
    return () => observer.disconnect();
  }, [element]);
  return visible;
}
