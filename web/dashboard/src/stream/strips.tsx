// What limits the evidence, over time: size and sharpness of the face, frame rate, loss.

import { useMemo } from "preact/hooks";
import type { ThresholdsView } from "../protocol";
import type { Past } from "../past";
import { path, type Sample } from "../series";
import { leading, type Stream } from "../streams";
import "./strips.css";

interface StripsProps {
  stream: Stream;
  past: Past;
  from: number;
  to: number;
  thresholds: ThresholdsView | null;
}

export function Strips({ stream, past, from, to, thresholds }: StripsProps) {
  const { points: all, pulses, stepMs } = past;
  const track = leading(stream)?.track ?? all.at(-1)?.track ?? null;
  const points = useMemo(
    () => all.filter((point) => point.track === track),
    [all, track],
  );
  const { current } = thresholds ?? {};
  const gapMs = Math.max(3_500, 2.5 * stepMs);
  const size = points.map(({ t, facePx }) => ({ t, v: facePx }));
  const sharp = points.map(({ t, sharpness }) => ({ t, v: sharpness }));
  const rate = pulses.map(({ t, fps }) => ({ t, v: fps }));
  const lost = pulses.map(({ t, loss }) => ({ t, v: loss === null ? null : loss * 100 }));
  return (
    <div class="strips">
      <Strip name="Face size" unit="px" gapMs={gapMs} samples={size} from={from} to={to} limit={current?.min_face_px} />
      <Strip name="Sharpness" unit="" gapMs={gapMs} samples={sharp} from={from} to={to} limit={current?.min_sharpness} />
      <Strip name="Frame rate" unit="/s" gapMs={gapMs} samples={rate} from={from} to={to} />
      <Strip
        name="Loss"
        unit="%"
        gapMs={gapMs}
        samples={lost}
        from={from}
        to={to}
        least={10}
        limit={current && current.max_loss * 100}
      />
    </div>
  );
}

interface StripProps {
  name: string;
  unit: string;
  samples: Sample[];
  from: number;
  to: number;
  gapMs: number;
  limit?: number | undefined;
  /** The scale shows at least so much. */
  least?: number;
}

const STRIP_W = 240;
const STRIP_H = 36;

function Strip({ name, unit, samples, from, to, gapMs, limit, least = 1 }: StripProps) {
  const seen = samples.filter(({ t }) => t >= from && t <= to);
  const values = seen.map(({ v }) => v).filter((v) => v !== null);
  const top = Math.max(least, ...values, limit ?? 0) * 1.15;
  const newest = seen.at(-1)?.v ?? null;
  const y = limit === undefined ? null : STRIP_H * (1 - limit / top);
  return (
    <figure class="strip">
      <figcaption>
        <span>{name}</span>
        <strong>{newest === null ? "–" : `${Math.round(newest)}${unit && ` ${unit}`}`}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${STRIP_W} ${STRIP_H}`} preserveAspectRatio="none" aria-hidden="true">
        {y !== null && <path class="limit" d={`M0 ${y.toFixed(1)}H${STRIP_W}`} />}
        <path class="line" d={path(seen, from, to, top, STRIP_W, STRIP_H, gapMs)} />
      </svg>
    </figure>
  );
}
