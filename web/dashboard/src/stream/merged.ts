// A stretch of a stream's past: what the page has seen itself, and before that what is stored.

import { useEffect, useMemo } from "preact/hooks";
import type { App } from "../app";
import type { Past } from "../past";
import type { Stretch } from "../stretch";
import type { Happening, Point, Stream } from "../streams";

const NOTHING: Past = { points: [], pulses: [], events: [], stepMs: 0, loading: false, problem: null };

/** Since when a page knows every score of a stream by itself. */
export function knownSince(stream: Stream | undefined, detector: string | null): number {
  if (!stream?.seeded) return Number.POSITIVE_INFINITY;
  const oldest = stream.points.find((point) => point.detector === detector);
  return oldest?.t ?? Number.POSITIVE_INFINITY;
}

/** Put what is stored before what was seen; each event once. */
export function merged(past: Past, stream: Stream | undefined, detector: string | null, since: number): Past {
  const mine = (point: Point) => point.detector === detector;
  const points = past.points.filter((point) => mine(point) && point.t < since);
  const events = new Map(past.events.map((event) => [event.id, event] as [string, Happening]));
  for (const event of stream?.events ?? []) events.set(event.id, event);
  return {
    ...past,
    points: points.concat(stream?.points.filter((point) => mine(point) && point.t >= since) ?? []),
    pulses: past.pulses.filter(({ t }) => t < since).concat(stream?.pulses.filter(({ t }) => t >= since) ?? []),
    events: [...events.values()].sort((a, b) => a.t - b.t),
  };
}

/** What is known of a stretch; fetched where it is not, once the view rests. */
export function usePast(app: App, id: string, detector: string | null, [from, to]: Stretch, now: number): Past {
  const stream = app.streams.all.get(id);
  const since = knownSince(stream, detector);
  const end = Math.min(to, since);
  const stored = from < end && (stream === undefined || stream.seeded);
  const past = stored ? app.past.see(id, from, end, now, to - from) : NOTHING;
  useEffect(() => {
    if (!stored) app.past.leave();
  }, [app, stored]);
  return useMemo(
    () => merged(past, stream, detector, since),
    [past, stream, stream?.version, detector, since],
  );
}
