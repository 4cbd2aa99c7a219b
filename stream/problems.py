"""Words for people, in one place: every error becomes a Problem that says what to do next.

`web` renders a Problem as problem+json, `cli` as one line; neither invents sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import (
    CallUnknown,
    NotACall,
    OfferInvalid,
    OfferRefused,
    OverlaysBusy,
    OverlayUnavailable,
    Overloaded,
    SettingInvalid,
    SourceError,
    SourceUrlInvalid,
    StreamBusy,
    StreamExists,
    StreamUnknown,
    TooManyPeers,
    TooManyStreams,
)
from stream.events import AbstainReason, ConnectionState, DegradationLevel, ReasonCode
from stream.offline.analysis import DetectorUnknown
from styleflow.detectors.protocol import ModelCard, TrainingStatus
from styleflow.errors import (
    CheckpointInvalid,
    DatasetUnknown,
    DatasetUnusable,
    DetectorWeightsMissing,
    EnsembleInvalid,
    LabelsMissing,
    RecipeInvalid,
    ResultsUnusable,
    ShapeMismatch,
    VideoUnusable,
    WeightsMissing,
    WeightsUnusable,
    WorkersLost,
)
from styleflow.errors import (
    DetectorUnknown as PublicationUnknown,
)
from styleflow.overlay import PointsAt


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, for a person.

    Attributes:
        code: short stable name that programs may switch on.
        title: what kind of thing went wrong; the same for every occurrence.
        detail: what went wrong this time.
        hint: what to change or do next.
        status: the HTTP status it suggests.
        retry: whether the same request may succeed later without a change.
        retry_after_s: in how many seconds that is worth trying; None when nobody knows.
    """

    code: str
    title: str
    detail: str
    hint: str
    status: int = 400
    retry: bool = False
    retry_after_s: float | None = None

    @property
    def line(self) -> str:
        """The problem in one line of text."""
        return f"{self.title}: {self.detail}. {self.hint}" if self.hint else self.detail


_FULL_S = 30.0
"""When to ask again while all places are taken; nobody knows how long streams stay."""

SOURCE_HINTS: dict[ReasonCode, str] = {
    ReasonCode.UNREACHABLE: "Check the address and the port, and that the camera is switched on",
    ReasonCode.TIMEOUT: "The other side accepts connections but sends nothing; check the path",
    ReasonCode.AUTH: "Check user name and password in the URL",
    ReasonCode.NOT_FOUND: "Check the path; a camera's is what follows the host, see its manual",
    ReasonCode.TLS: "Give the camera's certificate with tls_ca_file, or set tls_verify: false",
    ReasonCode.CODEC: "Set the camera to H.264 or H.265",
    ReasonCode.ENDED: "The source has ended",
    ReasonCode.CORRUPT: "The video cannot be decoded; check that the file or stream is intact",
}

REASON_WORDS: dict[AbstainReason, str] = {
    AbstainReason.UNTRAINED: "the model is untrained, its numbers mean nothing",
    AbstainReason.WARMING: "still gathering evidence",
    AbstainReason.NO_FACE: "no face in the picture",
    AbstainReason.FACE_SMALL: "the face is too small",
    AbstainReason.BLURRED: "the face is blurred",
    AbstainReason.DARK: "the face is too dark",
    AbstainReason.PROFILE: "the face is turned too far away",
    AbstainReason.LOW_FPS: "too few frames per second",
    AbstainReason.PACKET_LOSS: "too much of the video is missing",
    AbstainReason.CONTAMINATED: "the picture is damaged by packet loss",
    AbstainReason.OVERLOADED: "this analyzer cannot keep up",
}

DEGRADATION_WORDS: dict[DegradationLevel, str] = {
    DegradationLevel.NONE: "keeps up",
    DegradationLevel.DETECT_LESS: "overloaded: looks for new faces less often",
    DegradationLevel.LONGER_HOP: "overloaded: also rates each face less often",
    DegradationLevel.SAMPLED_WINDOWS: (
        "overloaded: also looks at streams of low priority only now and then"
    ),
    DegradationLevel.REFUSE_STREAMS: "overloaded: also refuses new streams",
}
POINTS_AT_WORDS: dict[PointsAt | None, str] = {
    PointsAt.ARTIFACTS: "boxes around places that look blended or repainted to this detector",
    PointsAt.VULNERABILITY: "places where a blending seam would show in this frame, or change "
    "most from frame to frame, compared with the rest of the same face; some place always comes "
    "first, in an authentic face too",
    PointsAt.TRACES: "places whose fine texture looks synthesised to this detector",
    None: "this detector gives a score for the whole face and cannot point at a place",
}
"""What the places mean that a detector points at. A place is a lead for the eye, not a finding."""

UNDECIDED = "the score lies between the thresholds"
"""Why there is no verdict though the evidence would do."""

STATE_WORDS: dict[ConnectionState, str] = {
    ConnectionState.CONNECTING: "connecting",
    ConnectionState.WAITING_FOR_KEYFRAME: "connected, waiting for a keyframe",
    ConnectionState.LIVE: "live",
    ConnectionState.STALLED: "stalled: connected, but no packets arrive",
    ConnectionState.BACKING_OFF: "not connected, trying again soon",
    ConnectionState.FAILED: "failed, needs your attention; retried rarely",
    ConnectionState.ENDED: "over: it has come to its end",
}


def describe(error: BaseException) -> Problem:
    """Return the problem that an error means to a person.

    Unknown errors become `internal`, without their text: it might carry secrets.
    """
    match error:
        case SourceUrlInvalid():
            return Problem(
                "source_url", "This source cannot be used", str(error), "Correct its url"
            )
        case SettingInvalid():
            return Problem(
                "setting", "A setting makes no sense", str(error), f"Change {error.key}", status=422
            )
        case DetectorUnknown():
            return Problem(
                "detector_unknown",
                "There is no such detector",
                str(error),
                "Leave `detector` out for the default; there is an `ensemble` once one is fitted "
                "with `styleflow ensemble fit` and configured",
                status=422,
            )
        case OverlayUnavailable(able=able):
            others = f"Ask one that can: {', '.join(able)}" if able else "None here can"
            return Problem(
                "overlay_unavailable",
                "This detector cannot say what it points at",
                str(error),
                f"{others}; leave `overlay` out for the picture alone",
                status=422,
            )
        case OverlaysBusy():
            return Problem(
                "overlays_busy",
                "Too many look at what detectors point at",
                str(error),
                "Explaining slows scoring down, so it is rationed: try again when somebody stops",
                status=429,
                retry=True,
            )
        case SourceError(code=code):
            return Problem(
                code.value,
                "The source does not deliver video",
                error.detail,
                SOURCE_HINTS[code],
                status=422,
                retry=code in (ReasonCode.UNREACHABLE, ReasonCode.TIMEOUT),
            )
        case StreamExists():
            return Problem(
                "stream_exists",
                "The id is taken",
                str(error),
                "Choose another id, or change the stream with PATCH",
                status=409,
            )
        case StreamUnknown():
            return Problem(
                "stream_unknown",
                "There is no such stream",
                str(error),
                "GET /api/v1/streams lists those that exist",
                status=404,
            )
        case TooManyStreams():
            return Problem(
                "too_many_streams",
                "No further stream is accepted",
                str(error),
                "Remove one, or raise analyzer.max_streams",
                status=429,
                retry=True,
                retry_after_s=_FULL_S,
            )
        case Overloaded():
            return Problem(
                "overloaded",
                "No further stream is accepted now",
                str(error),
                "Try again later, remove a stream, or give this analyzer a faster machine",
                status=429,
                retry=True,
                retry_after_s=error.retry_after_s,
            )
        case OfferInvalid():
            return Problem(
                "offer_invalid",
                "The session description cannot be understood",
                str(error),
                "Send what createOffer made, unchanged",
            )
        case OfferRefused():
            return Problem(
                "offer_refused",
                "The session description cannot be met",
                str(error),
                "See docs/protocol.md, WHIP",
                status=422,
            )
        case NotACall():
            return Problem(
                "not_a_call",
                "This stream cannot be called",
                str(error),
                "Call another stream, or change this one's source to whip://",
                status=409,
            )
        case StreamBusy():
            return Problem(
                "stream_busy",
                "Somebody is sending this stream",
                str(error),
                "End the other call, or call another stream",
                status=409,
                retry=True,
            )
        case TooManyPeers():
            return Problem(
                "too_many_peers",
                "No further call is answered",
                str(error),
                "Try again later, or raise webrtc.max_peers",
                status=503,
                retry=True,
            )
        case CallUnknown():
            return Problem(
                "call_unknown",
                "There is no such call",
                str(error),
                "Offer a new one",
                status=404,
            )
        case WeightsMissing():
            return Problem(
                "weights_missing",
                "A model is not on this machine",
                f"the {error.model} weights are not at {error.path}",
                f"Run: {error.remedy}",
                status=503,
            )
        case WeightsUnusable():
            return Problem(
                "weights_unusable",
                "A model cannot be used",
                str(error),
                "Fetch it again: styleflow models fetch",
                status=503,
            )
        case DetectorWeightsMissing():
            return Problem(
                "detector_weights_missing",
                "The detector has no weights",
                str(error),
                f"{error.remedy}, or pass --untrained to try the path with random weights",
                status=503,
            )
        case EnsembleInvalid():
            return Problem(
                "ensemble_invalid",
                "The ensemble cannot be used",
                str(error),
                "Fit it again, or leave out `ensemble`",
                status=500,
            )
        case WorkersLost():
            return Problem("workers_lost", "Preparing has stopped", str(error), "", status=500)
        case DatasetUnusable() | DatasetUnknown():
            return Problem(
                "dataset",
                "The data set cannot be used",
                str(error),
                "`styleflow prepare --help` says how each is laid out",
                status=422,
            )
        case PublicationUnknown():
            return Problem(
                "detector_unknown",
                "There is no such detector",
                str(error),
                "`styleflow checkpoints list` names them",
                status=404,
            )
        case VideoUnusable() | RecipeInvalid() | LabelsMissing():
            return Problem("training", "Training cannot begin", str(error), "", status=422)
        case ResultsUnusable():
            return Problem("results", "These results cannot be used", str(error), "", status=422)
        case CheckpointInvalid():
            return Problem(
                "checkpoint_invalid",
                "The checkpoint cannot be used",
                str(error),
                "`styleflow checkpoints info FILE` says what a file is, `checkpoints list` where "
                "to get one",
                status=500,
            )
        case ShapeMismatch():
            return Problem(
                "shape_mismatch", "An array has the wrong shape", str(error), "", status=500
            )
        case FileNotFoundError():
            return Problem(
                "file_missing",
                "The file is not there",
                f"{error.filename} does not exist",
                "Check the path",
                status=404,
            )
        case _:
            return Problem(
                "internal",
                "Something went wrong inside the analyzer",
                type(error).__name__,
                "The log of the analyzer has the details",
                status=500,
                retry=True,
            )


def notice(model: ModelCard, *, demo: bool) -> str:
    """Return what must stand beside every score of this model and source; empty when nothing."""
    parts = []
    if demo:
        parts.append("demo source: not a finding")
    if model.status is TrainingStatus.UNTRAINED:
        parts.append("untrained model: this score means nothing")
    elif model.status is TrainingStatus.UNCALIBRATED:
        parts.append("uncalibrated model: compare scores, do not read them as probabilities")
    elif model.status is TrainingStatus.EXPERIMENTAL:
        parts.append("experimental model: often wrong on unseen generators, only a hint to look")
    return "; ".join(parts)
