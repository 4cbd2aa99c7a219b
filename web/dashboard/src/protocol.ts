// The wire format as the server's models define it. Generated: change the models, then run
// `make dashboard-protocol`. docs/protocol.md explains what everything means.

export const SUBPROTOCOL = "styleflow.v1.json";

/** Code of the `error` message that says a resume point is too old. */
export const RESUME_GAP = 4409;

/** Why no verdict is given. A closed list, most fundamental first. */
export type AbstainReason =
  | "untrained"
  | "warming"
  | "no_face"
  | "face_small"
  | "blurred"
  | "dark"
  | "profile"
  | "low_fps"
  | "packet_loss"
  | "contaminated"
  | "overloaded"
  | "faces_waiting"
  | "undecided";

/** One thing that the person is asked to do, sides as the person sees them. A closed list. */
export type Action = "turn_left" | "turn_right" | "look_up" | "closer" | "cover" | "flash";

/** Rules and channels. */
export interface AlertsView {
  rules: RuleView[];
  channels: ChannelView[];
}

/** Video of a stream that was real: its last minutes, or a stored stretch. */
export interface BaselineBody {
  /** the last minutes */
  minutes?: number;
  /** a stored stretch instead; needs the store */
  stretch?: StretchBody | null;
  /** what people call it; the stream's if empty */
  name?: string;
}

/** Known-real video of a stream, which trials are compared with; it never changes `p`. */
export interface BaselineData {
  /** what people call it */
  name: string;
  /** minutes of evidence that it was made of */
  minutes: number | null;
  made: string;
  /** `active`: trials are compared with it; else with all known real video */
  state: BaselineState;
  /** why not, in words; empty while it is active */
  reason: string;
}

/** Statistics of known-real video of one stream; no pictures, and nobody is recognised by it. */
export interface BaselineDetail {
  stream: string;
  name: string;
  /** minutes of evidence */
  minutes: number | null;
  made: string;
  expires: string;
  expired: boolean;
  /** where the video came from, in words */
  source: string;
  /** who says that it was real */
  by: string;
  detector: string;
  /** tracks that it was made of */
  faces: number;
  /** whole trials in it */
  trials: number;
  /** as many independent trials would tell as much */
  effective: number | null;
  /** what is worth a second look; empty when nothing is */
  advice: string;
}

/** Whether trials are compared with a stream's own baseline. A closed list. */
export type BaselineState = "active" | "changed" | "expired" | "unused";

/** The baseline of a stream, and what one could be made of now. */
export interface BaselineView {
  baseline: BaselineDetail | null;
  /** minutes of evidence in the last ten, that a baseline could be made of */
  recent_minutes: number | null;
  /** minutes of evidence that a baseline needs */
  least_minutes: number | null;
  /** whether verdicts come of a budget; else baselines are kept and not used */
  decides: boolean;
}

/** Whether `p` may be read as a probability. */
export interface CalibrationData {
  fitted: boolean;
}

/** Who asks, and what they may do. */
export interface CallerView {
  /** name of the token, `local` without tokens */
  name: string;
  /** what it may do, in alphabetical order */
  scopes: Scope[];
}

/** How the detector fares with its canaries. */
export interface CanariesView {
  state: State;
  /** when the last round ended */
  checked_at: string | null;
  /** seconds since then, or since the start */
  age_s: number;
  every_s: number;
  /** bound of the latency */
  latency_s: number;
  /** of the last round, the gravest first */
  findings: FindingView[];
  /** in the order in which they are sent */
  canaries: CanaryView[];
  /** id of the one that is on its way; empty between rounds */
  sending: string;
  rounds: Record<string, number>;
  /** rounds that were learned from */
  learned: number;
  learn_rounds: number;
  /** why it learns anew; empty when it does not */
  anew: string;
  /** why the last round was skipped; empty when it was not */
  skipped: string;
}

/** One known clip, and what was seen of it in the last round. */
export interface CanaryView {
  /** of its stream, which is there while it is sent */
  id: string;
  name: string;
  pair: string;
  role: Role;
  opinions: OpinionView[];
  fps: number | null;
  face_px: number | null;
  brightness: number | null;
  sharpness: number | null;
  latency_s: number | null;
  failure: string;
  /** empty while it is learned */
  expected: ExpectedView[];
}

/** Faces are not looked at: too many are in view, or all slots of the device are taken. */
export interface CapacityReachedData {
  kind: "capacity_reached";
  id: string;
  /** the face without a slot; 0 when faces wait for their turn */
  track: number;
  detector: string;
  /** how many faces are looked at */
  slots: number;
  /** faces of the stream that are not looked at now */
  faces_waiting: number;
}

/** What to ask for. */
export interface ChallengeBody {
  /** `random` draws; another one is among what is asked, with something random */
  task?: Task;
}

/** The person in a stream is asked for something, or what was seen of it is known. */
export interface ChallengeChangedData {
  kind: "challenge_changed";
  id: string;
  challenge: ChallengeData;
}

/** Something that the person in a stream is asked to do. Context: it changes no score. */
export interface ChallengeData {
  id: string;
  stream: string;
  epoch: number;
  /** what the operator chose */
  task: Task;
  by: string;
  /** `operator`: to be read out; `caller`: on the caller's page */
  shown: Shown;
  phase: Phase;
  /** what is to be said now; empty when nothing is */
  prompt: string;
  started: string;
  /** over at the latest */
  deadline: string;
  ended: string | null;
  /** what was asked so far */
  steps: ChallengeStepData[];
  /** null before the end */
  outcome: Outcome | null;
  /** null before the end */
  rise: RiseData | null;
  /** the outcome in plain words */
  sentence: string;
}

/** Challenges of a stream, newest first. */
export interface ChallengeList {
  challenges: ChallengeData[];
  /** the first one is still on its way */
  running: boolean;
  /** the caller has a page of ours open, which shows prompts */
  page: boolean;
  /** false: no store answers, these are only the newest */
  stored: boolean;
}

/** One thing that the person in a stream was asked to do, and what the video showed. */
export interface ChallengeStepData {
  /** sides as the person sees them */
  action: Action;
  /** the words in which it was asked */
  prompt: string;
  asked: string;
  /** up to when it counted */
  until: string;
  /** null while it is asked */
  outcome: Outcome | null;
  /** the most that was measured, in `unit` */
  reached: number | null;
  /** what would have been enough */
  needed: number | null;
  /**
   * `deg`, `times` the size, `share` of the likeness that is gone, `p`: share of other colours that
   * would have fitted as well
   */
  unit: string;
  /** from the prompt until it was done; null when it was not */
  delay_s: number | null;
  /** the same in plain words */
  sentence: string;
}

/** Say something of an incident; the answer is its `incident_changed`, or an `error`. */
export interface ChangeIncident {
  /** of the protocol; it may be left out */
  v?: 1;
  type: "incident";
  id: string;
  /** false takes it back */
  acknowledged?: boolean | null;
  /** null takes an earlier one back */
  label?: Label | null;
  note?: string | null;
}

/** A channel, and how it fares since the start. */
export interface ChannelView {
  name: string;
  kind: "webhook" | "mqtt" | "email" | "apprise";
  /** idle: nothing was sent yet */
  state: "idle" | "ok" | "failing";
  /** messages on their way */
  waiting: number;
  delivered: number;
  /** attempts; each is repeated */
  failed: number;
  /** messages that were too old to be tried again */
  given_up: number;
  /** messages that gave way to newer ones */
  dropped: number;
  /** why the last attempt failed; empty when it did not */
  last_error: string;
  last_at: string | null;
}

/** Where a stream's connection stands. */
export type ConnectionState =
  | "connecting"
  | "waiting_for_keyframe"
  | "live"
  | "stalled"
  | "backing_off"
  | "failed"
  | "ended";

/** How a face was decided against a budget of false alarms, or how far it is from that. */
export interface DecisionData {
  /** how far this trial has come towards an alarm; 1 is one */
  evidence: number | null;
  /** share of known real sources that reach as high */
  as_high: number | null;
  /** share of known fake sources that reach as low */
  as_low: number | null;
  /** chance of a false alarm that this trial is held to; 0 when none is paid for */
  stake: number | null;
  /** seconds until this trial is over, or until one can be paid for; null when suspect */
  needs_s: number | null;
  /** so much evidence brought no verdict that none is expected */
  gave_up: boolean;
}

/** Why media time started anew. */
export type EpochCause =
  | "connected"
  | "pts_jump"
  | "pts_backward"
  | "size_changed"
  | "codec_changed";

/** Media time started anew; every earlier face of the stream has ended. */
export interface EpochStartedData {
  kind: "epoch_started";
  id: string;
  cause: EpochCause;
}

/** Something the client asked for was not possible; the connection stays open. */
export interface ErrorData {
  /** 4409: a resume point is too old; below 1000: an HTTP status */
  code: number;
  title: string;
  detail: string;
  hint: string;
}

/** Something was not possible. */
export interface ErrorMessage {
  v: 1;
  type: "error";
  stream: string | null;
  /** counts stretches of continuous media time */
  epoch: number | null;
  /** rises with every message of a stream, by one or more */
  seq: number | null;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data: ErrorData;
}

/** Something happened; kept in the log for resuming. */
export interface EventMessage {
  v: 1;
  type: "event";
  stream: string;
  /** counts stretches of continuous media time */
  epoch: number;
  /** number of the event behind the message; rises by one or more, across restarts */
  seq: number;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data:
    | StreamAddedData
    | StreamDescribedData
    | StreamRemovedData
    | StreamChangedData
    | EpochStartedData
    | TrackStartedData
    | TrackEndedData
    | CapacityReachedData
    | VerdictChangedData
    | IncidentChangedData
    | ChallengeChangedData
    | EventsLostData;
}

/** Events that happened and were never stored; only in what is read of the store. */
export interface EventsLostData {
  kind: "events_lost";
  id: string;
  /** how many, of all streams together; of this one perhaps none */
  count: number;
  /** the last event before them; null when not known */
  since: string | null;
  /** the first event after them */
  until: string;
}

/** What is kept of an incident's video. */
export interface EvidenceData {
  state: EvidenceState;
  start: string | null;
  end: string | null;
  bytes: number;
  sha256: string;
}

/** What is kept of an incident's video. */
export type EvidenceState = "none" | "pending" | "kept" | "pruned";

/** A range in which a figure of a canary is expected. */
export interface ExpectedView {
  /** fps, face_px, brightness, sharpness or logit */
  figure: string;
  /** whose figure it is; empty when it is the path's */
  detector: string;
  low: number;
  high: number;
}

/** A frame of an incident in which its face was explained. */
export interface ExplainedFrame {
  /** when the frame arrived */
  captured: string;
  /** of the source, pixels; boxes and crops are in them */
  width: number;
  height: number;
  /** score of the face in this very frame */
  p: number | null;
  /** where the incident's faces are */
  boxes: PictureBox[];
  /** what the regions mean, for people */
  summary: string;
  overlay: PictureOverlay;
}

/** What stood out to the detector, or why that is not known. */
export interface ExplanationView {
  /** looking: ask again soon */
  state: "ready" | "looking" | "none";
  /** why there is none, for people; empty when there is one */
  reason: string;
  frame: ExplainedFrame | null;
}

/** Box of a face, in source pixels. */
export interface FaceBox {
  x0: number | null;
  y0: number | null;
  x1: number | null;
  y1: number | null;
}

/** Explanation of one face: the regions that stand out to a detector. */
export interface FaceExplanation {
  track: number;
  /**
   * corners of the crop that the detector saw, clockwise from the crop's top left, in pixels of
   * `Picture-Size`
   */
  crop: [[number, number], [number, number], [number, number], [number, number]];
  /**
   * left, top, right, bottom and strength of each region of the crop that stands out, in
   * thousandths of the crop's side; strengths compare within one detector and kind
   */
  patches: [number, number, number, number, number][];
  /**
   * which map each region is part of: `spatial` (this frame), `temporal` (what changes from frame
   * to frame), or empty where the detector has one kind only
   */
  kinds: string[];
}

/** One part of a request that is wrong. */
export interface Fault {
  where: string;
  what: string;
}

/** What an evaluation through the live engine found of a model's weights. */
export interface FiguresView {
  date: string;
  /** what the networks were computed in, such as int8 */
  precision: string;
  /** whether these clips had a part in choosing the weights */
  chose: boolean;
  /** real clips */
  reals: number;
  /** fake clips, of generators that the model was not trained on */
  fakes: number;
  /** clips that got no score */
  unscored: number;
  /** share of pairs of a fake and a real clip ranked right */
  auc: MeasuredView;
  /** share of fakes above the threshold that flags 5 % of the real clips */
  flagged_at_5: MeasuredView;
  /** by kind of fake, most clips first */
  kinds: KindFiguresView[];
  /** of clips that were looked at once, when all was decided; null without them */
  once: OtherFiguresView | null;
}

/** What can be wrong with a round. A closed list. */
export type FindingKind = "missing" | "changed" | "not_told_apart" | "late";

/** One thing that was wrong in the last round. */
export interface FindingView {
  kind: FindingKind;
  canary: string;
  detector: string;
  text: string;
  hint: string;
}

/** The first message of a client, within five seconds. */
export interface Hello {
  /** of the protocol; it may be left out */
  v?: 1;
  type: "hello";
  token?: string | null;
  /** what the client calls itself */
  client?: string;
}

/** The past of one stream. */
export interface HistoryView {
  stream: string;
  /** wall-clock seconds since 1970 at which this was made */
  now: number;
  /** seconds of a step, or full; null for thinned scores of the last minutes */
  resolution?: "full" | number | null;
  scores: ScoreColumns;
  pulses: PulseColumns;
  /** as on the WebSocket, oldest first */
  events: EventMessage[];
}

/** An incident was opened, went on, was closed, or somebody said something of it. */
export interface IncidentChangedData {
  kind: "incident_changed";
  id: string;
  step: IncidentStep;
  /** whose doing; empty when the analyzer's own */
  by: string;
  /** the comment, when it is one */
  text: string;
  incident: IncidentData;
}

/** One face of one stream that looked synthesised for a while. */
export interface IncidentData {
  id: string;
  stream: string;
  name: string;
  epoch: number;
  tracks: number[];
  model: Model;
  severity: "hint" | "low" | "medium" | "high";
  status: IncidentStatus;
  opened: string;
  last_at: string;
  closed: string | null;
  suspect_s: number | null;
  peak: PeakData;
  acknowledged: MarkData | null;
  label: Label | null;
  labelled: MarkData | null;
  notes: number;
  evidence: EvidenceData;
  /** the same in plain words */
  summary: string;
  notice: string;
  /** of a heavier detector; null when it was shown none of its faces */
  second_look: SecondLookData | null;
}

/** Whether an incident still goes on. */
export type IncidentStatus = "open" | "closed";

/** What changed of an incident. A closed list. */
export type IncidentStep =
  | "opened"
  | "extended"
  | "closed"
  | "acknowledged"
  | "labelled"
  | "commented"
  | "evidence";

/** How well one kind of fake is told from all real clips. */
export interface KindFiguresView {
  kind: string;
  /** clips of this kind; few say little */
  fakes: number;
  auc: MeasuredView;
}

/** What a person found an incident to be. */
export type Label = "true" | "false" | "unclear";

/** Events that this client was too slow for; none was a verdict change or the end of a track. */
export interface LaggedData {
  subscription: string;
  dropped: number;
  /** first number that may be missing */
  from_seq: number;
  /** last number that may be missing */
  to_seq: number;
}

/** This client missed events. */
export interface LaggedMessage {
  v: 1;
  type: "lagged";
  stream: string;
  epoch: number;
  /** rises with every message of a stream, by one or more */
  seq: number | null;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data: LaggedData;
}

/** Link quality of a call: how the caller's packets arrive. */
export interface LinkData {
  /** share of packets lost on the way, repaired ones too */
  loss: number | null;
  jitter_ms: number | null;
  /** time there and back */
  rtt_ms: number | null;
  /** kilobits received per second */
  kbps: number | null;
}

/** Somebody did something at some time. */
export interface MarkData {
  /** name of the token, `local` without tokens */
  by: string;
  at: string;
}

/** One figure with its 95 % interval. */
export interface MeasuredView {
  value: number;
  low: number;
  high: number;
}

/** Model behind a score: its weights, and how far they may be trusted. */
export interface Model {
  name: string;
  version: string;
  mode: TemporalMode;
  status: TrainingStatus;
  sha256: string;
}

/** A model and what was measured of it. */
export interface ModelFigures {
  model: Model;
  /** null when its weights were not measured here */
  figures: FiguresView | null;
}

/** The models that score streams, the first one first. */
export interface ModelList {
  models: ModelFigures[];
}

/** Fact about a stream that is worth knowing and takes away no verdict. A closed list. */
export type Notice = "camera_clock" | "small_layer" | "drifted";

/** What one detector said of a canary in the last round. */
export interface OpinionView {
  detector: string;
  /** mean of its ratings after warming up */
  logit: number;
  /** the last smoothed score */
  score: number;
  ratings: number;
}

/** What an evaluation found on clips that chose nothing about the weights. */
export interface OtherFiguresView {
  date: string;
  /** what the networks were computed in, such as bfloat16 */
  precision: string;
  /** real clips */
  reals: number;
  /** fake clips */
  fakes: number;
  /** share of pairs of a fake and a real clip ranked right */
  auc: MeasuredView;
  /** by kind of fake, most clips first */
  kinds: KindFiguresView[];
}

/** How far the video followed what was asked. A closed list. */
export type Outcome = "followed" | "not_followed" | "early" | "other_first" | "unjudged";

/** Every detector of a stream, the first one first. */
export interface OverlayList {
  overlays: OverlayView[];
}

/** Whether one detector can explain its scores, and by what. */
export interface OverlayView {
  detector: string;
  points_at: PointsAt | null;
  /** what its regions mean, or why there are none, for people */
  summary: string;
}

/** How fast a file is read. */
export type Pace = "native" | "fast";

/** The highest score of an incident. */
export interface PeakData {
  p: number | null;
  lo: number | null;
  hi: number | null;
  at: string;
}

/** Stage of a challenge: watched at rest, asked, at rest between two actions, or over. */
export type Phase = "watching" | "asking" | "resting" | "done";

/** Box of a face, in pixels of `Picture-Size`. */
export interface PictureBox {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

/** One face in a picture; without scores when this frame was not rated. */
export interface PictureFace {
  track: number;
  box: PictureBox;
  scores: PictureScore[];
}

/** Faces in a picture. */
export interface PictureFaces {
  faces: PictureFace[];
}

/** Explanation of a picture by one detector. */
export interface PictureOverlay {
  detector: string;
  points_at: PointsAt | null;
  /** false when the detector has not rated this frame: its explanation is not known */
  explained: boolean;
  /** weaker regions beyond the most that are sent */
  left_out: number;
  faces: FaceExplanation[];
}

/** Score of one face by one detector, up to this very frame. */
export interface PictureScore {
  detector: string;
  p: number | null;
  lo: number | null;
  hi: number | null;
  state: "warming" | "abstain" | "ok" | "suspect";
  reasons: AbstainReason[];
}

/** Kind of explanation: the meaning of a detector's regions. */
export type PointsAt = "artifacts" | "vulnerability" | "traces" | "evidence";

/** Priority of a stream under overload: always analyzed, or only in windows. */
export type Priority = "normal" | "low";

/** Body of a problem response: why a request was not granted. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  hint: string;
  retry: boolean;
  faults: Fault[];
}

/** What a caller's page is to show. */
export interface PromptData {
  challenge: string;
  phase: Phase;
  /** in large letters; empty: nothing */
  prompt: string;
  /** to do it; null when nothing is asked now */
  remaining_s: number | null;
  /** to show full-screen at once, one after the other; empty: none */
  colours: string[];
  /** seconds that all of them together take */
  colours_s: number;
}

/** What a caller's page is to show; on the data channel `prompts` and nowhere else. */
export interface PromptMessage {
  v: 1;
  type: "prompt";
  stream: string;
  ts_emit: string;
  data: PromptData;
}

/** Reports about the stream as a whole, oldest first, about once a second. */
export interface PulseColumns {
  t: number[];
  epoch: number[];
  fps: (number | null)[];
  loss: (number | null)[];
  tracks: number[];
}

/** Quality of one face, which limits its evidence. */
export interface Quality {
  /** side of the face in source pixels */
  face_px: number | null;
  sharpness: number | null;
  /** mean luma, 0 to 255 */
  brightness: number | null;
  /** head turn, 0 is frontal */
  yaw_deg: number | null;
}

/** Hours of the day in which a rule sends nothing. */
export interface QuietBody {
  /** as in "22:00" */
  start: string;
  /** earlier than start means the next day */
  end: string;
  /** as in Europe/Berlin */
  zone?: string;
  /** weekdays on which they begin; empty means every day */
  days?: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
}

/** Why a connection is not live. A closed list: dashboards and alerts switch on it. */
export type ReasonCode =
  | "unreachable"
  | "timeout"
  | "auth"
  | "not_found"
  | "tls"
  | "codec"
  | "ended"
  | "corrupt";

/** The `epoch` and `seq` of the last message that a client has seen of one stream. */
export interface ResumePoint {
  epoch: number;
  seq: number;
}

/** Ratings while something was asked for, against those before. */
export interface RiseData {
  /** median logit */
  before: number | null;
  /** median logit */
  inside: number | null;
  /** null when there are too few ratings */
  change: number | null;
  /** lower end of its 95 % interval */
  low: number | null;
  /** upper end */
  high: number | null;
  ratings_before: number;
  ratings_inside: number;
  sentence: string;
}

/** What a canary shows. */
export type Role = "real" | "fake";

/** What became of a round, as it is counted. */
export type RoundResult = "ok" | "learning" | "findings" | "skipped";

/** A rule: which incidents are told through which channels. */
export interface RuleBody {
  channels: string[];
  streams?: string[];
  severity?: "hint" | "low" | "medium" | "high";
  min_s?: number;
  quiet?: QuietBody[];
  most?: number;
  per_s?: number;
  updates?: boolean;
  enabled?: boolean;
}

/** A rule, and how it fares. */
export interface RuleView {
  channels: string[];
  streams?: string[];
  severity?: "hint" | "low" | "medium" | "high";
  min_s?: number;
  quiet?: QuietBody[];
  most?: number;
  per_s?: number;
  updates?: boolean;
  enabled?: boolean;
  name: string;
  /** rules of the configuration are changed there */
  origin: "configuration" | "page";
  /** incidents that quiet hours held back since the start */
  held_quiet: number;
  /** incidents that the rate limit held back since the start */
  held_rate: number;
}

/** Permission that an operation needs. */
export type Scope = "read" | "control" | "publish" | "metrics";

/** Scores, oldest first; the n-th entries of all columns belong together. */
export interface ScoreColumns {
  /** wall-clock seconds since 1970 */
  t: number[];
  epoch: number[];
  track: number[];
  detector: string[];
  /** with a resolution in seconds: the mean of a step */
  p: (number | null)[];
  /** least of each step; null where nothing is stored */
  p_min?: (number | null)[] | null;
  /** greatest of each step, likewise */
  p_max?: (number | null)[] | null;
  lo: (number | null)[];
  hi: (number | null)[];
  /** of a step: the highest */
  state: ("warming" | "abstain" | "ok" | "suspect")[];
  face_px: (number | null)[];
  sharpness: (number | null)[];
}

/** The rolling score of one face: 1 leans fake. Evidence, not proof. */
export interface ScoreData {
  /** number of the face within its stream, never used twice */
  track: number;
  /** whose score it is; a face has one per detector */
  detector: string;
  window: Window;
  /** the published score: smoothed probability that it is fake */
  p: number | null;
  /** lower end of the interval around p */
  lo: number | null;
  /** upper end of the interval around p */
  hi: number | null;
  /** the model's logit at the end of the window */
  raw: number | null;
  /** the logit, calibrated but not smoothed */
  probability: number | null;
  state: "warming" | "abstain" | "ok" | "suspect";
  /** why there is no verdict */
  reasons: AbstainReason[];
  /** state and reasons in plain words */
  summary: string;
  quality: Quality;
  box: FaceBox;
  model: Model;
  calibration: CalibrationData;
  /** from the arrival of the newest packet to sending */
  latency_ms: number | null;
  /** the source is a built-in demo, not a camera */
  demo: boolean;
  /** what must stand beside this score; empty when nothing */
  notice: string;
  /** where a budget of false alarms decides; else null */
  decision: DecisionData | null;
  /** the stream's own known-real video; null without any */
  baseline: BaselineData | null;
  /** of a heavier detector; null before it was shown this face */
  second_look: SecondLookData | null;
}

/** A newer score of one face. */
export interface ScoreMessage {
  v: 1;
  type: "score";
  stream: string;
  /** counts stretches of continuous media time */
  epoch: number;
  /** number of the event behind the message; rises by one or more, across restarts */
  seq: number;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data: ScoreData;
}

/** What a heavier detector said of a face when it was last shown it. */
export interface SecondLookData {
  detector: string;
  /** how far the heavier detector may be trusted */
  status: TrainingStatus;
  /** its calibrated probability that the face is fake */
  score: number | null;
  /** media seconds of the newest frame that it was shown */
  at: number | null;
  /**
   * whether it and `p` lean to the same side; null when one leans to neither, or when the heavier
   * detector is untrained
   */
  agrees: boolean | null;
}

/** Place where the prompt is shown: the operator's page, or the caller's as well. */
export type Shown = "operator" | "caller";

/** Everything that is known of one stream at this moment. */
export interface SnapshotData {
  name: string;
  model: Model;
  /** every model that scores it, `model` first */
  models: Model[];
  calibration: CalibrationData;
  demo: boolean;
  notice: string;
  status: StatusData;
  /** the newest score of every live face, one per detector */
  scores: ScoreData[];
}

/** State and newest scores of one stream, when a subscription begins. */
export interface SnapshotMessage {
  v: 1;
  type: "snapshot";
  stream: string;
  /** counts stretches of continuous media time */
  epoch: number;
  /** number of the event behind the message; rises by one or more, across restarts */
  seq: number;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data: SnapshotData;
}

/** Source of a stream. */
export interface SourceBody {
  /**
   * rtsp://, rtsps://, whip:// (waits for a WebRTC peer), demo://authentic, demo://tampered, or a
   * path below one of web.source_roots
   */
  url: string;
  transport?: Transport;
  timeout_s?: number;
  tls_verify?: boolean;
  pace?: Pace;
  loop?: boolean;
}

/** Changes to a source; what is left out stays. */
export interface SourceChange {
  url?: string | null;
  transport?: Transport | null;
  timeout_s?: number | null;
  tls_verify?: boolean | null;
  pace?: Pace | null;
  loop?: boolean | null;
}

/** Kind of a source, as a person tells them apart. */
export type SourceKind = "camera" | "call" | "file" | "demo";

/** How the detector fares with its canaries. A closed list. */
export type State = "off" | "waiting" | "learning" | "ok" | "doubtful" | "late" | "failing";

/** State of a stream: its connection, frame rate, loss and faces. */
export interface StatusData {
  name: string;
  /** what kind of source its video comes from */
  source: SourceKind;
  state: ConnectionState;
  /** why it is not live */
  code: ReasonCode | null;
  detail: string;
  retry_in_s: number | null;
  /** decoded source frames per media second, lately */
  fps: number | null;
  /** share of media time lately lost */
  loss: number | null;
  /** faces followed now */
  tracks: number;
  /**
   * faces in view that are not looked at now; while any are, no `ok` of the others speaks for the
   * stream
   */
  faces_waiting: number;
  /** why it yields no scores */
  reasons: AbstainReason[];
  /** what is worth knowing of it and takes away no verdict */
  notices: Notice[];
  /** what has changed against its own last seven days, a sentence each */
  drift: string[];
  /** seconds since the newest frame arrived */
  age_s: number | null;
  /** how a caller's packets arrive; else null */
  link: LinkData | null;
  /** how much work the analyzer leaves out; each includes those before it */
  overload: "none" | "detect_less" | "longer_hop" | "sampled_windows" | "refuse_streams";
  /** the same in plain words */
  summary: string;
  /** what to do when it is not live, or gives small pictures; empty when nothing */
  hint: string;
  demo: boolean;
  notice: string;
  /** what people sort it by, the most important first */
  tags: string[];
  /** the stream's own known-real video; null without any */
  baseline: BaselineData | null;
}

/** State of one stream, about once a second. */
export interface StatusMessage {
  v: 1;
  type: "status";
  stream: string;
  /** counts stretches of continuous media time */
  epoch: number;
  /** number of the event behind the message; rises by one or more, across restarts */
  seq: number;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data: StatusData;
}

/** How the store is doing, and what it holds. */
export interface StoreView {
  /** without a password; empty when nothing is stored */
  url: string;
  state: "ok" | "failing" | "off";
  detail: string;
  /** events that were never written since the analyzer started */
  lost: number;
  /** when it began to fail; null while it does not */
  since: string | null;
  /** events in memory that are still to be written */
  waiting: number;
  /** null when the store is off or cannot be read, or was not counted */
  bytes: number | null;
  /** by table; 1000000 means as many or more */
  rows: Record<string, number>;
  oldest: string | null;
  newest: string | null;
}

/** A stream that can be subscribed to from now on. */
export interface StreamAddedData {
  kind: "stream_added";
  id: string;
  name: string;
  model: Model;
  /** every model that scores it, `model` first */
  models: Model[];
  demo: boolean;
  notice: string;
  /** what people sort it by, the most important first */
  tags: string[];
}

/** A stream to add. */
export interface StreamBody {
  id: string;
  source: SourceBody;
  name?: string;
  priority?: Priority;
  tags?: string[];
  /** labels that its worker must have, all of them */
  placement?: Record<string, string>;
}

/** Changes to a stream; what is left out stays. */
export interface StreamChange {
  source?: SourceChange | null;
  name?: string | null;
  priority?: Priority | null;
  tags?: string[] | null;
  placement?: Record<string, string> | null;
}

/** A connection entered another state. */
export interface StreamChangedData {
  kind: "stream_changed";
  id: string;
  state: ConnectionState;
  code: ReasonCode | null;
  detail: string;
  retry_in_s: number | null;
  summary: string;
}

/** A stream that people call something else or sort otherwise; its video goes on. */
export interface StreamDescribedData {
  kind: "stream_described";
  id: string;
  name: string;
  tags: string[];
}

/** A stream that is gone; its id may be given to another one later. */
export interface StreamRemovedData {
  kind: "stream_removed";
  id: string;
}

/** A stored stretch of video, such as an earlier call of the same person. */
export interface StretchBody {
  /** the stream then, also one that is gone; this one if left out */
  stream?: string | null;
  /** ISO 8601 or unix seconds */
  from: string;
  /** likewise, later */
  to: string;
}

/** Ask for messages; the answer is `subscribed`, then snapshots, then what happens. */
export interface Subscribe {
  /** of the protocol; it may be left out */
  v?: 1;
  type: "subscribe";
  id: string;
  streams?: string[];
  types?: ("score" | "event" | "status")[];
  max_hz?: number;
  min_state?: "warming" | "abstain" | "ok" | "suspect";
  /** where to go on, by stream; a bare point when exactly one stream is named */
  resume?: ResumePoint | Record<string, ResumePoint>;
}

/** The answer to `subscribe`; what follows belongs to it. */
export interface SubscribedData {
  id: string;
  /** a snapshot of every stream follows, except of `resumed` */
  snapshot: boolean;
  /** streams that match now; later ones join */
  streams: string[];
  /** streams whose missed events follow */
  resumed: string[];
}

/** A subscription begins. */
export interface SubscribedMessage {
  v: 1;
  type: "subscribed";
  stream: string | null;
  /** counts stretches of continuous media time */
  epoch: number | null;
  /** rises with every message of a stream, by one or more */
  seq: number | null;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data: SubscribedData;
}

/** Task that an operator can ask for. A closed list. */
export type Task = "random" | "turn" | "look_up" | "closer" | "cover" | "flash";

/** Temporal mode of a detector; the numbers of one mode never stand for the other's. */
export type TemporalMode = "causal" | "exact" | "mixed";

/** Thresholds at which scores become verdicts, and below which no verdict is given. */
export interface Thresholds {
  /** score from which a face may become suspect */
  enter: number;
  /** score at or below which it may become clear */
  leave: number;
  /** media seconds a score must stay beyond its threshold */
  dwell_s: number;
  /** media seconds after which a score weighs half */
  half_life_s: number;
  /** share of frames lost beyond which there is no verdict */
  max_loss: number;
  /** smallest face that yields a verdict, source pixels */
  min_face_px: number;
  /** least sharpness that yields a verdict */
  min_sharpness: number;
  /** least mean luma that yields a verdict, 0 to 255 */
  min_brightness: number;
  /** largest head turn that yields a verdict, degrees */
  max_yaw_deg: number;
}

/** Thresholds to change; what is left out stays, null goes back to the configured value. */
export interface ThresholdsChange {
  enter?: number | null;
  leave?: number | null;
  dwell_s?: number | null;
  half_life_s?: number | null;
  max_loss?: number | null;
  min_face_px?: number | null;
  min_sharpness?: number | null;
  min_brightness?: number | null;
  max_yaw_deg?: number | null;
}

/** Thresholds in force for one stream, and those of the configuration. */
export interface ThresholdsView {
  current: Thresholds;
  configured: Thresholds;
}

/** Why a track ended. */
export type TrackEnd = "lost" | "jumped" | "appearance_changed" | "evicted" | "epoch_ended";

/** A face is gone; its number is never used again. */
export interface TrackEndedData {
  kind: "track_ended";
  id: string;
  track: number;
  at: number | null;
  reason: TrackEnd;
}

/** A face appeared. */
export interface TrackStartedData {
  kind: "track_started";
  id: string;
  track: number;
  at: number | null;
}

/** Training status of a checkpoint: how far its scores may be trusted. */
export type TrainingStatus = "untrained" | "uncalibrated" | "experimental" | "trained";

/** How RTP travels for an RTSP source. */
export type Transport = "auto" | "tcp" | "udp";

/** What came back when a test message was sent through a channel. */
export interface TrialResultView {
  channel: string;
  ok: boolean;
  detail: string;
}

/** What came back from every channel of a rule. */
export interface TrialView {
  rule: string;
  results: TrialResultView[];
}

/** End a subscription. */
export interface Unsubscribe {
  /** of the protocol; it may be left out */
  v?: 1;
  type: "unsubscribe";
  id: string;
}

/** The answer to `unsubscribe`. */
export interface UnsubscribedData {
  id: string;
}

/** A subscription has ended. */
export interface UnsubscribedMessage {
  v: 1;
  type: "unsubscribed";
  stream: string | null;
  /** counts stretches of continuous media time */
  epoch: number | null;
  /** rises with every message of a stream, by one or more */
  seq: number | null;
  /** when the packet arrived, UTC */
  ts_capture: string | null;
  ts_emit: string;
  data: UnsubscribedData;
}

/** What the evidence says about one track so far. */
export type Verdict = "pending" | "clear" | "suspect";

/** The verdict on a face has changed. */
export interface VerdictChangedData {
  kind: "verdict_changed";
  id: string;
  track: number;
  detector: string;
  at: number | null;
  previous: Verdict;
  verdict: Verdict;
  score: number | null;
  model: Model;
  demo: boolean;
  notice: string;
}

/** A stream that no worker has. */
export interface WaitingStream {
  id: string;
  why: string;
}

/** The media time behind a score. */
export interface Window {
  /** media seconds of the first frame, within the epoch */
  pts_start: number | null;
  /** media seconds of the newest frame */
  pts_end: number | null;
  /** sampled frames behind the score */
  frames: number;
  /** sampling slots that held no usable frame */
  missing: number;
}

/** One process that analyzes streams, and how it is doing. */
export interface WorkerEntry {
  name: string;
  /** name of its machine */
  node: string;
  pid: number;
  /** of the program; differs while an upgrade rolls on */
  version: string;
  /** what streams may be pinned to */
  labels: Record<string, string>;
  /** what it computes on */
  device: string;
  /** that score its streams, the first one first */
  models: Model[];
  /** ids, in order */
  streams: string[];
  /** how many it takes at most; 0 when that is not known */
  max_streams: number;
  /** share of time that its device thread computed lately */
  busy: number;
  /** what it leaves out, as in a stream's status */
  overload: string;
  /** it takes no further stream */
  full: boolean;
  /** its streams are moved away, and it gets no others */
  draining: boolean;
  /** it was started with other settings, or of another version, than this gateway */
  outdated: boolean;
  /** it answers */
  alive: boolean;
  /** seconds since it answered last */
  quiet_s: number;
  /** one sentence per check */
  health: Record<string, string>;
}

/** Every worker, ordered by machine and name, and what was done with them. */
export interface WorkersView {
  /** false where one process does everything */
  several: boolean;
  workers: WorkerEntry[];
  /** streams that no worker has */
  waiting: WaitingStream[];
  /** what the director has done: moves, deaths, adoptions, refusals, inherited */
  counts: Record<string, number>;
}

export type ServerMessage =
  | ScoreMessage
  | EventMessage
  | StatusMessage
  | SnapshotMessage
  | SubscribedMessage
  | UnsubscribedMessage
  | LaggedMessage
  | ErrorMessage;

export type ClientMessage = Hello | Subscribe | Unsubscribe | ChangeIncident;
