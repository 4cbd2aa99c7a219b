// Messages as the server would send them.

import type { IncidentChangedData, IncidentData, Model, ScoreData, ServerMessage, SnapshotData, StatusData } from "../src/protocol";
import type { EventData } from "../src/streams";

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
    source: "camera",
    state: "live",
    code: null,
    detail: "",
    retry_in_s: null,
    fps: 25,
    loss: 0,
    tracks: 1,
    faces_waiting: 0,
    notices: [],
    drift: [],
    reasons: [],
    age_s: 0.1,
    link: null,
    overload: "none",
    summary: "live",
    hint: "",
    demo: false,
    notice: "",
    tags: [],
    baseline: null,
    ...more,
  };
}

export function score(more: Partial<ScoreData> = {}): ScoreData {
  return {
    track: 1,
    detector: TRAINED.name,
    window: { pts_start: 0, pts_end: 1.28, frames: 32, missing: 0 },
    p: 0.2,
    lo: 0.1,
    hi: 0.3,
    raw: -1.4,
    probability: 0.2,
    state: "ok",
    reasons: [],
    summary: "",
    quality: { face_px: 140, sharpness: 90, brightness: 120, yaw_deg: 4 },
    box: { x0: 10, y0: 20, x1: 150, y1: 160 },
    model: TRAINED,
    calibration: { fitted: true },
    latency_ms: 60,
    demo: false,
    notice: "",
    decision: null,
    baseline: null,
    second_look: null,
    ...more,
  };
}

export function snapshot(more: Partial<SnapshotData> = {}): SnapshotData {
  return {
    name: "Lobby",
    model: TRAINED,
    models: [TRAINED],
    calibration: { fitted: true },
    demo: false,
    notice: "",
    status: status(),
    scores: [],
    ...more,
  };
}

function envelope(stream: string, ms: number) {
  const at = new Date(T0 + ms).toISOString();
  return { v: 1 as const, stream, epoch: 1, seq: (seq += 1), ts_capture: at, ts_emit: at };
}

export const say = {
  subscribed: (...streams: string[]): ServerMessage => ({
    v: 1,
    type: "subscribed",
    stream: null,
    epoch: null,
    seq: null,
    ts_capture: null,
    ts_emit: new Date(T0).toISOString(),
    data: { id: "dashboard", snapshot: true, streams, resumed: [] },
  }),
  snapshot: (stream = "lobby", more: Partial<SnapshotData> = {}, ms = 0): ServerMessage => ({
    type: "snapshot",
    ...envelope(stream, ms),
    data: snapshot(more),
  }),
  status: (more: Partial<StatusData> = {}, ms = 0, stream = "lobby"): ServerMessage => ({
    type: "status",
    ...envelope(stream, ms),
    data: status(more),
  }),
  score: (more: Partial<ScoreData> = {}, ms = 0, stream = "lobby"): ServerMessage => ({
    type: "score",
    ...envelope(stream, ms),
    data: score(more),
  }),
  event: (data: EventData, ms = 0, stream = "lobby"): ServerMessage => ({
    type: "event",
    ...envelope(stream, ms),
    data,
  }),
};

export function incident(more: Partial<IncidentData> = {}): IncidentData {
  return {
    id: "n-1",
    stream: "lobby",
    name: "Lobby",
    epoch: 1,
    tracks: [4],
    model: TRAINED,
    severity: "high",
    status: "open",
    opened: new Date(T0).toISOString(),
    last_at: new Date(T0 + 12_000).toISOString(),
    closed: null,
    suspect_s: 11.5,
    peak: { p: 0.93, lo: 0.88, hi: 0.97, at: new Date(T0 + 4_000).toISOString() },
    acknowledged: null,
    label: null,
    labelled: null,
    notes: 0,
    second_look: null,
    evidence: { state: "pending", start: null, end: null, bytes: 0, sha256: "" },
    summary: "face 4 looked synthesised for 12 s, score 0.93",
    notice: "",
    ...more,
  };
}

export function changed(
  step: IncidentChangedData["step"],
  more: Partial<IncidentData> = {},
): IncidentChangedData {
  return { kind: "incident_changed", id: "1-1", step, by: "", text: "", incident: incident(more) };
}
