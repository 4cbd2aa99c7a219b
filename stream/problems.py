"""Problems: what an error means to a person, and the words for states and reasons.

Errors declare how they are told (`styleflow.errors`); `Problem.of` reads that, and knows the few
foreign errors that people can do something about. `web` renders a Problem as problem+json, `cli` as
one line; neither invents sentences.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace

from stream.errors import SOURCE_HINTS as SOURCE_HINTS
from stream.events import (
    AbstainReason,
    ConnectionState,
    DegradationLevel,
    Layer,
    Notice,
    ReasonCode,
)
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.errors import StyleFlowError
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
        exit_code: the exit code it suggests.
    """

    code: str
    title: str
    detail: str
    hint: str
    status: int = 400
    retry: bool = False
    retry_after_s: float | None = None
    exit_code: int = 1

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """Return the problem that an error means to a person.

        Foreign errors are told without their text: it might carry secrets. Those that nobody
        expects become `internal`.
        """
        if isinstance(error, StyleFlowError):
            return cls(
                code=str(error.code),
                title=error.title,
                detail=str(error),
                hint=error.hint,
                status=error.status,
                retry=error.retry,
                retry_after_s=error.retry_after_s,
                exit_code=error.exit_code,
            )
        if isinstance(error, OSError):
            known = SYSTEM_PROBLEMS.get(error.errno or 0)
            if known is not None or error.filename is not None:
                return replace(known or _FILE_UNUSABLE, detail=_of_a_file(error))
        kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
        found = next((FOREIGN_PROBLEMS[kind] for kind in kinds if kind in FOREIGN_PROBLEMS), None)
        return replace(found or INTERNAL, detail=type(error).__name__)

    @property
    def line(self) -> str:
        """The problem in one line of text."""
        return f"{self.title}: {self.detail}. {self.hint}" if self.hint else self.detail


INTERNAL = Problem(
    StyleFlowError.code,
    StyleFlowError.title,
    "",
    StyleFlowError.hint,
    StyleFlowError.status,
    retry=True,
)
"""What is said of an error that nobody expects."""

_FILE_MISSING = Problem("file_missing", "The file is not there", "", "Check the path", 404)
_FILE_UNUSABLE = Problem(
    "file_unusable",
    "A file cannot be used",
    "",
    "Check the path, and that you may read and write there",
    500,
)
_DISK_FULL = Problem(
    "disk_full", "The disk is full", "", "Make room on it, or choose another folder", 507
)
_TIMEOUT = Problem(
    "timed_out",
    "It took too long",
    "",
    "Try again; the log says what was waited for",
    504,
    retry=True,
)

SYSTEM_PROBLEMS: dict[int, Problem] = {
    errno.ENOENT: _FILE_MISSING,
    errno.EACCES: _FILE_UNUSABLE,
    errno.EPERM: _FILE_UNUSABLE,
    errno.EROFS: _FILE_UNUSABLE,
    errno.EISDIR: _FILE_UNUSABLE,
    errno.ENOTDIR: _FILE_UNUSABLE,
    errno.EEXIST: _FILE_UNUSABLE,
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EMFILE: Problem(
        "too_many_files",
        "Too many files and connections are open",
        "",
        "Raise the limit (ulimit -n), or watch fewer streams",
        503,
        retry=True,
    ),
    errno.ETIMEDOUT: _TIMEOUT,
}
"""Errors of the operating system that a person can do something about, by their number."""

FOREIGN_PROBLEMS: dict[str, Problem] = {
    "builtins.FileNotFoundError": _FILE_MISSING,
    "builtins.TimeoutError": _TIMEOUT,
    "builtins.MemoryError": Problem(
        "out_of_memory",
        "The memory of this machine is used up",
        "",
        "Watch fewer streams, or give it more memory",
        503,
        retry=True,
    ),
    "pydantic_core._pydantic_core.ValidationError": Problem(
        "value_invalid",
        "A value is not of the form that it must have",
        "",
        "The log of the analyzer says which",
        500,
    ),
    "av.error.FFmpegError": Problem(
        "video_unreadable",
        "A video cannot be read",
        "",
        "Check that a video player opens it",
        422,
    ),
}
"""Errors of libraries by the full name of their class; they are not imported for being named."""


def _of_a_file(error: OSError) -> str:
    """Return which file an error is about, and never a URL: that may carry a password."""
    said = (error.strerror or type(error).__name__).lower()
    if error.filename is None or "://" in str(error.filename):
        return said
    if error.errno == errno.ENOENT:
        return f"{error.filename} does not exist"
    return f"{error.filename}: {said}"


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
    AbstainReason.FACES_WAITING: "some faces have not been looked at: there are too many",
    AbstainReason.UNDECIDED: "the score is too close to even odds",
}

NOTICE_WORDS: dict[Notice, str] = {
    Notice.CAMERA_CLOCK: "its time stamps are no clock, so time is told by how the pictures come",
    Notice.SMALL_LAYER: "the sender gives a small one of its simulcast layers",
    Notice.DRIFTED: "calibration is stale here: it is not as in the last seven days",
}
"""What a notice means."""


def layer_hint(layer: Layer) -> str:
    """Return what to do about a simulcast layer that is too small."""
    return (
        f"The sender gives {layer.width}x{layer.height}, one of its {layer.of} simulcast layers: "
        "have it send the larger layer, or turn simulcast off"
    )


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
    PointsAt.ARTIFACTS: "boxes around regions that look blended or repainted to this detector",
    PointsAt.VULNERABILITY: "regions where a blending seam would show in this frame, or change "
    "most from frame to frame, compared with the rest of the same face; some region always comes "
    "first, in an authentic face too",
    PointsAt.TRACES: "regions that look synthesised to this detector",
    PointsAt.EVIDENCE: "parts of the face that this detector's score comes from: with one of them "
    "covered, it is lower",
    None: "this detector gives a score for the whole face and cannot point at a region",
}
"""What the regions of an explanation mean. A region is a lead for the eye, not a finding."""

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


def connection_words(
    state: ConnectionState,
    code: ReasonCode | None = None,
    *,
    call: bool = False,
    reached: bool = True,
) -> str:
    """Return what a connection's state means.

    Args:
        state: where it stands.
        code: why it is not live.
        call: peers call it; else it is opened.
        reached: a frame of it has come before.
    """
    match state:
        case ConnectionState.CONNECTING if call:
            return "waiting for a call"
        case ConnectionState.ENDED if call and code is ReasonCode.ENDED:
            return "hung up, waiting for another call"
        case ConnectionState.ENDED if call:
            return "the call was lost, waiting for another call"
        case ConnectionState.BACKING_OFF if not reached:
            return "never reached, trying again soon"
        case ConnectionState.FAILED if code is ReasonCode.AUTH:
            return "wants a user name and password; retried rarely"
    return STATE_WORDS[state]


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
