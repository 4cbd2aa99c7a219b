// Where in a picture a face is to be cut out, with some room around it.

import type { FaceBox } from "./protocol";

export interface Crop {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Framed {
  bitmap: { width: number; height: number };
  /** The source's pixels, in which boxes are. */
  width: number;
  height: number;
}

const ROOM = 1.5;

/** Return a square about a face in the bitmap's pixels, moved to lie inside; without a face, all. */
export function cropOf(box: FaceBox | null, { bitmap, width, height }: Framed): Crop {
  const whole = { x: 0, y: 0, width: bitmap.width, height: bitmap.height };
  if (box === null || width === 0 || height === 0) return whole;
  const { x0, y0, x1, y1 } = box;
  if (x0 === null || y0 === null || x1 === null || y1 === null) return whole;
  const scale = bitmap.width / width;
  const wanted = Math.max(x1 - x0, y1 - y0) * ROOM * scale;
  const side = Math.min(wanted, bitmap.width, bitmap.height);
  const place = (middle: number, limit: number) =>
    Math.min(Math.max(middle * scale - side / 2, 0), limit - side);
  return {
    x: place((x0 + x1) / 2, bitmap.width),
    y: place((y0 + y1) / 2, bitmap.height),
    width: side,
    height: side,
  };
}
