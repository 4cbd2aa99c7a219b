// The wire format `styleflow.v1.json`, as far as this page reads it. docs/protocol.md explains it.

export const SUBPROTOCOL = "styleflow.v1.json";

export type FaceState = "warming" | "abstain" | "ok" | "suspect";

export type ConnectionState =
  | "connecting"
  | "waiting_for_keyframe"
  | "live"
  | "stalled"
  | "backing_off"
  | "failed"
  | "ended";

export interface Box {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export interface Model {
  name: string;
  version: string;
  mode: string;
  status: "untrained" | "uncalibrated" | "experimental" | "trained";
  sha256: string;
}

export interface Quality {
  face_px: number | null;
  sharpness: number | null;
  brightness: number | null;
  yaw_deg: number | null;
}

export interface ScoreData {
  track: number;
  /** Whose score it is: a face has one per detector. */
  detector: string;
  p: number | null;
  lo: number | null;
  hi: number | null;
  state: FaceState;
  reasons: string[];
  summary: string;
  quality: Quality;
  model: Model;
  latency_ms: number | null;
  demo: boolean;
  notice: string;
}

export interface StatusData {
  name: string;
  state: ConnectionState;
  code: string | null;
  detail: string;
  retry_in_s: number | null;
  fps: number | null;
  loss: number | null;
  tracks: number;
  reasons: string[];
  age_s: number | null;
  /** How a caller's packets arrive; only in a call. */
  link?: { loss: number | null } | null;
  summary: string;
  hint: string;
  demo: boolean;
  notice: string;
}

export interface SnapshotData {
  name: string;
  /** Every model that scores it, the first one first. */
  models: Model[];
  demo: boolean;
  notice: string;
  status: StatusData;
  scores: ScoreData[];
}

export type EventData =
  | { kind: "stream_added"; id: string; name: string; models: Model[]; demo: boolean; notice: string }
  | { kind: "stream_removed"; id: string }
  | {
      kind: "stream_changed";
      id: string;
      state: ConnectionState;
      code: string | null;
      detail: string;
      retry_in_s: number | null;
      summary: string;
    }
  | { kind: "epoch_started"; id: string; cause: string }
  | { kind: "track_started"; id: string; track: number; at: number | null }
  | { kind: "track_ended"; id: string; track: number; at: number | null; reason: string }
  | { kind: "capacity_reached"; id: string; track: number; detector: string; slots: number }
  | {
      kind: "verdict_changed";
      id: string;
      track: number;
      detector: string;
      previous: string;
      verdict: string;
      score: number | null;
      demo: boolean;
      notice: string;
    };

interface Envelope {
  stream: string;
  epoch: number;
  seq: number;
  ts_capture: string | null;
  ts_emit: string;
}

export interface EventMessage extends Envelope {
  type: "event";
  data: EventData;
}

export type Message =
  | (Envelope & { type: "score"; data: ScoreData })
  | (Envelope & { type: "status"; data: StatusData })
  | (Envelope & { type: "snapshot"; data: SnapshotData })
  | EventMessage
  | {
      type: "subscribed";
      stream: null;
      ts_emit: string;
      data: { id: string; snapshot: boolean; streams: string[]; resumed: string[] };
    }
  | {
      type: "lagged";
      stream: string;
      epoch: number;
      seq: null;
      ts_emit: string;
      data: { subscription: string; dropped: number; from_seq: number; to_seq: number };
    }
  | {
      type: "error";
      stream: string | null;
      seq: null;
      ts_emit: string;
      data: { code: number; title: string; detail: string; hint: string };
    }
  | { type: "unsubscribed"; stream: null; ts_emit: string; data: { id: string } };

export interface ResumePoint {
  epoch: number;
  seq: number;
}

/** What one detector made of a face, up to the very frame that is shown. */
export interface PictureScore {
  detector: string;
  p: number | null;
  state: FaceState;
}

/** A face in a picture; without scores when that frame was not rated. */
export interface PictureFace {
  track: number;
  box: Box;
  scores: PictureScore[];
}

/** What one detector points at in one face of a picture. */
export interface PointedFace {
  track: number;
  /** Corners of the crop that the detector saw, clockwise from its top left, source's pixels. */
  crop: [[number, number], [number, number], [number, number], [number, number]];
  /** Left, top, right, bottom and strength, in thousandths of the crop's side. */
  patches: [number, number, number, number, number][];
  /** Of each patch: "spatial" (this frame), "temporal" (a change), or empty. */
  kinds: string[];
}

/** What one detector points at in the very picture that it comes with. */
export interface PictureOverlay {
  detector: string;
  /** False when the detector has not rated this frame. */
  explained: boolean;
  left_out: number;
  faces: PointedFace[];
}

/** Whether one detector can say what it points at; `summary` says what it means, or why not. */
export interface OverlayView {
  detector: string;
  points_at: string | null;
  summary: string;
}

export interface History {
  stream: string;
  now: number;
  scores: {
    t: number[];
    epoch: number[];
    track: number[];
    detector: string[];
    p: (number | null)[];
    lo: (number | null)[];
    hi: (number | null)[];
    state: FaceState[];
    face_px: (number | null)[];
    sharpness: (number | null)[];
  };
  pulses: {
    t: number[];
    epoch: number[];
    fps: (number | null)[];
    loss: (number | null)[];
    tracks: number[];
  };
  events: EventMessage[];
}

export interface Thresholds {
  enter: number;
  leave: number;
  dwell_s: number;
  half_life_s: number;
  max_loss: number;
  min_face_px: number;
  min_sharpness: number;
  min_brightness: number;
  max_yaw_deg: number;
}

export interface ThresholdsView {
  current: Thresholds;
  configured: Thresholds;
}

/** An RFC 9457 problem as this server tells it. */
export interface Problem {
  title: string;
  detail: string;
  hint: string;
  status: number;
  code: string;
  faults: { where: string; what: string }[];
}
