// Messages as the server would send them.

import type { EventData, Message, Model, ScoreData, SnapshotData, StatusData } from "../src/protocol";

export const TRAINED: Model = {
  name: "styleflow-live",
  version: "0.1",
  mode: "causal",
  status: "trained",
  sha256: "ab",
};
export const UNTRAINED: Model = { ...TRAINED, status: "untrained" };
export const T0 = Date.parse("2026-11-21T09:30:00Z");

let seq = 0;

export function status(more: Partial<StatusData> = {}): StatusData {
  return {
    name: "Lobby",
    state: "live",
    code: null,
    detail: "",
    retry_in_s: null,
    fps: 25,
    loss: 0,
    tracks: 1,
    reasons: [],
    age_s: 0.1,
    summary: "live",
    hint: "",
    demo: false,
    notice: "",
    ...more,
  };
}

export function score(more: Partial<ScoreData> = {}): ScoreData {
  return {
    track: 1,
    p: 0.2,
    lo: 0.1,
    hi: 0.3,
    state: "ok",
    reasons: [],
    summary: "",
    quality: { face_px: 140, sharpness: 90, brightness: 120, yaw_deg: 4 },
    model: TRAINED,
    latency_ms: 60,
    demo: false,
    notice: "",
    ...more,
  };
}

export function snapshot(more: Partial<SnapshotData> = {}): SnapshotData {
  return {
    name: "Lobby",
    model: TRAINED,
    demo: false,
    notice: "",
    status: status(),
    scores: [],
    ...more,
  };
}

function envelope(stream: string, ms: number) {
  const at = new Date(T0 + ms).toISOString();
  return { stream, epoch: 1, seq: (seq += 1), ts_capture: at, ts_emit: at };
}

export const say = {
  subscribed: (...streams: string[]): Message => ({
    type: "subscribed",
    stream: null,
    ts_emit: new Date(T0).toISOString(),
    data: { id: "dashboard", snapshot: true, streams, resumed: [] },
  }),
  snapshot: (stream = "lobby", more: Partial<SnapshotData> = {}, ms = 0): Message => ({
    type: "snapshot",
    ...envelope(stream, ms),
    data: snapshot(more),
  }),
  status: (more: Partial<StatusData> = {}, ms = 0, stream = "lobby"): Message => ({
    type: "status",
    ...envelope(stream, ms),
    data: status(more),
  }),
  score: (more: Partial<ScoreData> = {}, ms = 0, stream = "lobby"): Message => ({
    type: "score",
    ...envelope(stream, ms),
    data: score(more),
  }),
  event: (data: EventData, ms = 0, stream = "lobby"): Message => ({
    type: "event",
    ...envelope(stream, ms),
    data,
  }),
};
