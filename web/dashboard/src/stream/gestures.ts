// Wheel, fingers and dragging on a timeline. What they mean is in stretch.ts.

import { useEffect } from "preact/hooks";
import { panned, pinched, type Stretch, zoomed } from "../stretch";

/** Room beside the plot, in pixels. */
export const LEFT = 44;
export const RIGHT = 8;
const PER_NOTCH = 0.0016;

export interface Moving {
  from: number;
  to: number;
  now: number;
  onMove: (stretch: Stretch) => void;
}

/** Listen at an element; `latest` has what is shown at the time. */
export function useGestures(host: { current: HTMLElement | null }, latest: { current: Moving }): void {
  useEffect(() => {
    const at = host.current;
    if (!at) return;
    const undo = [wheel(at, latest), fingers(at, latest), dragging(at, latest)];
    return () => undo.forEach((call) => call());
  }, [host, latest]);
}

/** Where a pixel is on the plot, as a share of its width. */
function share(at: HTMLElement, x: number): number {
  const { left, width } = at.getBoundingClientRect();
  return (x - left - LEFT) / Math.max(width - LEFT - RIGHT, 1);
}

/**
 * Sideways it moves; up and down it zooms, with Ctrl (as a pinch on a touchpad comes) or once the
 * timeline has the focus, so that it does not catch a page that is being scrolled.
 */
function wheel(at: HTMLElement, latest: { current: Moving }): () => void {
  function turn(event: WheelEvent) {
    const { from, to, now, onMove } = latest.current;
    const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const width = Math.max(at.clientWidth - LEFT - RIGHT, 1);
      onMove(panned([from, to], ((sideways * unit) / width) * (to - from), now));
    } else if (event.ctrlKey || at.contains(document.activeElement)) {
      const about = from + Math.min(Math.max(share(at, event.clientX), 0), 1) * (to - from);
      onMove(zoomed([from, to], about, Math.exp(event.deltaY * unit * PER_NOTCH), now));
    } else {
      return;
    }
    event.preventDefault();
  }
  at.addEventListener("wheel", turn, { passive: false });
  return () => at.removeEventListener("wheel", turn);
}

/** One finger moves, two zoom. Up and down is the page's (`touch-action: pan-y`). */
function fingers(at: HTMLElement, latest: { current: Moving }): () => void {
  const down = new Map<number, number>();
  function press(event: PointerEvent) {
    if (event.pointerType === "touch" && down.size < 2) down.set(event.pointerId, share(at, event.clientX));
  }
  function move(event: PointerEvent) {
    const was = down.get(event.pointerId);
    if (was === undefined) return;
    const { from, to, now, onMove } = latest.current;
    const is = share(at, event.clientX);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, is);
    if (other === undefined) onMove(panned([from, to], (was - is) * (to - from), now));
    else onMove(pinched([from, to], [was, other], [is, other], now));
  }
  const lift = (event: PointerEvent) => down.delete(event.pointerId);
  at.addEventListener("pointerdown", press);
  addEventListener("pointermove", move);
  addEventListener("pointerup", lift);
  addEventListener("pointercancel", lift);
  return () => {
    at.removeEventListener("pointerdown", press);
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", lift);
    removeEventListener("pointercancel", lift);
  };
}

/** With Shift, dragging moves rather than chooses what to zoom to. */
function dragging(at: HTMLElement, latest: { current: Moving }): () => void {
  let was: number | null = null;
  function press(event: MouseEvent) {
    at.focus({ preventScroll: true });
    if (!event.shiftKey || event.button !== 0) return;
    was = share(at, event.clientX);
    event.stopPropagation(); // the chart would begin to choose
    event.preventDefault();
  }
  function move(event: MouseEvent) {
    if (was === null) return;
    const { from, to, now, onMove } = latest.current;
    const is = share(at, event.clientX);
    onMove(panned([from, to], (was - is) * (to - from), now));
    was = is;
  }
  const lift = () => {
    was = null;
  };
  at.addEventListener("mousedown", press, { capture: true });
  addEventListener("mousemove", move);
  addEventListener("mouseup", lift);
  return () => {
    at.removeEventListener("mousedown", press, { capture: true });
    removeEventListener("mousemove", move);
    removeEventListener("mouseup", lift);
  };
}
