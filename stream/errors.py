"""Errors of live video. They carry data and declare how they are told, as `styleflow.errors` says.

StreamError
├── SourceError            a source cannot go on; carries a ReasonCode
├── SourceUrlInvalid       a URL that names no source we can open
├── StreamExists           a stream id that is taken
├── StreamIdReserved       a stream id that is kept for canaries
├── StreamUnknown          a stream id that nobody has
├── TooManyStreams         the configured limit of streams is reached
├── Overloaded             the machine has more to do than it can
├── OfferInvalid           a WebRTC offer that cannot be understood
├── OfferRefused           a WebRTC offer that is understood but cannot be met
├── NotACall               a call to a stream that has a source of its own
├── StreamBusy             a call to a stream that another peer is sending
├── OnlyWorker             draining a process whose streams have nowhere to go
├── TooManyPeers           the configured limit of calls is reached
├── PublisherFull          a publisher's own limit of streams is reached
├── CallUnknown            a call that nobody is in
├── CallNotYours           a call that was begun with another token
├── HubFull                the configured limit of subscribers is reached
├── VideoBeyondLimits      a file of more or larger pictures than are analyzed
├── DetectorUnknown        a name that no running detector has
├── OverlayUnavailable     an explanation asked of a detector that has none
├── OverlaysBusy           the limit of explanations at a time is reached
├── WorkerGone             a worker that does not answer any more
├── WorkerUnknown          a worker's name that nobody has
├── PlacementImpossible    labels that no worker has
├── SecretLost             stored credentials that cannot be read
├── IncidentUnknown        an incident id that nobody has
├── IncidentFull           an incident has as many comments as it takes
├── TooManySnoozes         as many streams as may be are snoozed
├── CursorInvalid          a cursor that no list has given
├── ClipUnmade             packets that no container takes
├── EvidenceMissing        an incident whose video is not there
├── StoreError             the store cannot be used, see `stream.store.errors`
└── SettingInvalid         a setting that makes no sense; names its key
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stream.events import ReasonCode
from styleflow import errors
from styleflow.errors import StyleFlowError

_FULL_S = 30.0
"""When to ask again while the analyzer is full; nobody knows how long streams stay."""

SOURCE_HINTS: dict[ReasonCode, str] = {
    ReasonCode.UNREACHABLE: "Check the address and the port, and that the camera is switched on",
    ReasonCode.TIMEOUT: "The other side accepts connections but sends nothing; check the path",
    ReasonCode.AUTH: "Check user name and password in the URL",
    ReasonCode.NOT_FOUND: "Check the path; a camera's is what follows the host, see its manual",
    ReasonCode.TLS: (
        "Camera: give its certificate with tls_ca_file, or set tls_verify: false. Call: change the"
        " caller as the detail says"
    ),
    ReasonCode.CODEC: "Set the camera to H.264 or H.265",
    ReasonCode.ENDED: "The source has ended",
    ReasonCode.CORRUPT: "The video cannot be decoded; check that the file or stream is intact",
}
"""What to do about each reason why a source does not deliver."""


class StreamError(StyleFlowError):
    """Anything that `stream` raises on purpose."""


@dataclass(eq=False)
class SourceError(StreamError):
    """A source cannot deliver; `detail` never contains credentials. Its code is the reason."""

    title = "The source does not deliver video"
    hint = "Depends on the reason, see below"
    status = 422

    code: ReasonCode = field()
    detail: str

    def __post_init__(self) -> None:
        self.hint = SOURCE_HINTS[self.code]
        self.retry = self.code in (ReasonCode.UNREACHABLE, ReasonCode.TIMEOUT)

    def __str__(self) -> str:
        return self.detail


@dataclass(eq=False)
class VideoBeyondLimits(StreamError):
    """A file has more pictures, or larger ones, than one analysis may take."""

    code = "video_limits"
    title = "The video is longer or larger than is analyzed"
    hint = "Cut it or make its pictures smaller, or raise web.predict.max_frames or max_pixels"
    status = 413

    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(eq=False)
class SourceUrlInvalid(StreamError):
    """A source URL cannot be used; `shown` is its redacted form."""

    code = "source_url"
    title = "This source cannot be used"
    hint = "Correct its url"
    status = 400

    shown: str
    reason: str

    def __str__(self) -> str:
        return f"source {self.shown!r}: {self.reason}"


@dataclass(eq=False)
class StreamExists(StreamError):
    """A stream with this id is already there."""

    code = "stream_exists"
    title = "The id is taken"
    hint = "Choose another id, or change the stream with PATCH"
    status = 409

    stream: str

    def __str__(self) -> str:
        return f"stream {self.stream!r} exists already"


@dataclass(eq=False)
class StreamIdReserved(StreamError):
    """A stream id that is kept for the analyzer's own canaries."""

    code = "stream_id_reserved"
    title = "Ids that begin with .canary. belong to canaries"
    hint = "Choose another id"
    status = 422

    stream: str

    def __str__(self) -> str:
        return f"{self.stream!r} is kept for the analyzer's own canaries"


@dataclass(eq=False)
class StreamUnknown(StreamError):
    """No stream has this id."""

    code = "stream_unknown"
    title = "There is no such stream"
    hint = "GET /api/v1/streams lists those that exist"
    status = 404

    stream: str

    def __str__(self) -> str:
        return f"there is no stream {self.stream!r}"


@dataclass(eq=False)
class TooManyStreams(StreamError):
    """All streams that the configuration allows are in use."""

    code = "too_many_streams"
    title = "No further stream is accepted"
    hint = "Remove one, or raise analyzer.max_streams"
    status = 429
    retry = True
    retry_after_s = _FULL_S

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} streams that this analyzer may hold are in use"


@dataclass(eq=False)
class Overloaded(StreamError):
    """There is more work than the machine can do, so no further stream is accepted now."""

    code = "overloaded"
    title = "No further stream is accepted now"
    hint = "Try again later, remove a stream, or give this analyzer a faster machine"
    status = 429
    retry = True

    retry_after_s: float = field()

    def __str__(self) -> str:
        return "this analyzer has more to do than the machine can"


@dataclass(eq=False)
class OfferInvalid(StreamError):
    """A session description is not one; `reason` never repeats what it said."""

    code = "offer_invalid"
    title = "The session description cannot be understood"
    hint = "Send what createOffer made, unchanged"
    status = 400

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class OfferRefused(StreamError):
    """A session description asks for what this analyzer does not do."""

    code = "offer_refused"
    title = "The session description cannot be met"
    hint = "See docs/protocol.md, WHIP"
    status = 422

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class NotACall(StreamError):
    """A stream has a source of its own, so nobody may call it."""

    code = "not_a_call"
    title = "This stream cannot be called"
    hint = "Call another stream, or change this one's source to whip://"
    status = 409

    stream: str

    def __str__(self) -> str:
        return f"stream {self.stream!r} has a source of its own"


@dataclass(eq=False)
class StreamBusy(StreamError):
    """Another peer is sending this stream."""

    code = "stream_busy"
    title = "Somebody is sending this stream"
    hint = "End the other call, or call another stream"
    status = 409
    retry = True

    stream: str

    def __str__(self) -> str:
        return f"another peer is sending stream {self.stream!r}"


class OnlyWorker(StreamError):
    """A process is to be drained whose streams have nowhere to go."""

    code = "only_worker"
    title = "There is no other worker"
    hint = "Start with --workers 2 or more, or with --cluster, so that streams can move"
    status = 409

    def __str__(self) -> str:
        return "this process analyzes all streams itself"


@dataclass(eq=False)
class TooManyPeers(StreamError):
    """All calls that the configuration allows are in use."""

    code = "too_many_peers"
    title = "No further call is answered"
    hint = "Try again later, or raise webrtc.max_peers"
    status = 503
    retry = True

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} calls that this analyzer may hold are in use"


@dataclass(eq=False)
class PublisherFull(StreamError):
    """A publisher holds all the streams that its token may, called or only just left."""

    code = "publisher_full"
    title = "This token holds all the streams that it may"
    hint = "End one of its calls, or raise max_streams of the token in web.tokens"
    status = 429
    retry = True
    retry_after_s = _FULL_S

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} streams that this token may send at a time are in use"


@dataclass(eq=False)
class CallUnknown(StreamError):
    """There is no such call; it is over, or never was."""

    code = "call_unknown"
    title = "There is no such call"
    hint = "Offer a new one"
    status = 404

    def __str__(self) -> str:
        return "the call is over, or never was"


@dataclass(eq=False)
class CallNotYours(StreamError):
    """A call was begun with another token, and is changed and ended with that one only."""

    code = "call_not_yours"
    title = "This call was begun with another token"
    hint = "Use the token that it was begun with, or one of an operator"
    status = 403

    def __str__(self) -> str:
        return "this token may not change or end the call"


@dataclass(eq=False)
class HubFull(StreamError):
    """As many subscribers as the hub takes are connected."""

    code = "hub_full"
    title = "No further subscriber is accepted"
    hint = "Try again later, or close connections that nobody reads"
    status = 503
    retry = True

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} places for subscribers are taken"


@dataclass(eq=False)
class DetectorUnknown(errors.DetectorUnknown, StreamError):
    """No running detector has this name; `known` are the names that exist."""

    hint = (
        "Leave `detector` out for the default; there is an `ensemble` once one is fitted "
        "with `styleflow ensemble fit` and configured"
    )
    status = 422

    def __str__(self) -> str:
        return f"there is no detector {self.name!r}; there is {', '.join(self.known)}"


@dataclass(eq=False)
class OverlayUnavailable(StreamError):
    """A detector gives no explanation; `able` are those here that do."""

    code = "overlay_unavailable"
    title = "This detector cannot say what it points at"
    hint = "Ask a detector that can; leave `overlay` out for the picture alone"
    status = 422

    detector: str
    able: Sequence[str]

    def __post_init__(self) -> None:
        others = f"Ask one that can: {', '.join(self.able)}" if self.able else "None here can"
        self.hint = f"{others}; leave `overlay` out for the picture alone"

    def __str__(self) -> str:
        return f"{self.detector!r} cannot say what it points at"


@dataclass(eq=False)
class OverlaysBusy(StreamError):
    """As many explanations as are allowed at a time are being watched."""

    code = "overlays_busy"
    title = "Too many look at what detectors point at"
    hint = "Explaining slows scoring down, so it is rationed: try again when somebody stops"
    status = 429
    retry = True

    limit: int

    def __str__(self) -> str:
        return f"{self.limit} views of what detectors point at are watched already"


@dataclass(eq=False)
class IncidentUnknown(StreamError):
    """There is no incident with this id: it never was, or has been deleted."""

    code = "incident_unknown"
    title = "There is no such incident"
    hint = "GET /api/v1/incidents lists those that are kept"
    status = 404

    incident: str

    def __str__(self) -> str:
        return f"there is no incident {self.incident!r}"


@dataclass(eq=False)
class IncidentFull(StreamError):
    """An incident has as many comments as it takes."""

    code = "incident_full"
    title = "This incident takes no further comment"
    hint = "Raise incidents.max_notes"
    status = 409

    incident: str
    limit: int

    def __str__(self) -> str:
        return f"incident {self.incident!r} has {self.limit} comments, which is all that it takes"


@dataclass(eq=False)
class TooManySnoozes(StreamError):
    """As many streams as may be are snoozed."""

    code = "too_many_snoozes"
    title = "No further stream can be snoozed"
    hint = "Wake one, or wait until a snooze ends"
    status = 429
    retry = True
    retry_after_s = _FULL_S

    limit: int

    def __str__(self) -> str:
        return f"{self.limit} streams are snoozed, which is all that may be"


class CursorInvalid(StreamError):
    """A cursor is none that a list has given."""

    code = "cursor"
    title = "This is no place in the list"
    hint = "Send `next` of the answer before, unchanged, or leave the cursor out"
    status = 422

    def __str__(self) -> str:
        return "the cursor is none of ours"


@dataclass(eq=False)
class WorkerGone(StreamError):
    """A worker does not answer any more; its streams are given to others."""

    code = "worker_gone"
    title = "The worker of this stream is gone"
    hint = "The stream is being moved to another worker; try again in a few seconds"
    status = 503
    retry = True

    worker: str
    retry_after_s: float = field(default=5.0)

    def __post_init__(self) -> None:
        self.hint = (
            f"The stream is being moved to another worker; try again in {self.retry_after_s:g} s"
        )

    def __str__(self) -> str:
        return f"worker {self.worker!r} is gone" if self.worker else "no worker answers"


@dataclass(eq=False)
class WorkerUnknown(StreamError):
    """No worker has this name."""

    code = "worker_unknown"
    title = "There is no such worker"
    hint = "GET /api/v1/workers lists those that exist"
    status = 404

    worker: str

    def __str__(self) -> str:
        return f"there is no worker {self.worker!r}"


@dataclass(eq=False)
class PlacementImpossible(StreamError):
    """A stream is pinned to labels that no worker has."""

    code = "placement_impossible"
    title = "No worker has the labels that this stream is pinned to"
    hint = "Change its placement, or start a worker with these labels in cluster.labels"
    status = 409

    stream: str
    placement: Mapping[str, str]

    def __str__(self) -> str:
        wanted = ", ".join(f"{key}={value}" for key, value in sorted(self.placement.items()))
        return f"no worker for stream {self.stream!r} has {wanted}"


@dataclass(eq=False)
class SecretLost(StreamError):
    """Stored credentials cannot be read: their key is gone, or another one."""

    code = "secret_lost"
    title = "Stored credentials cannot be read"
    hint = "Give the stream's URL again, or bring back the key file that lay beside the database"
    status = 500

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class ClipUnmade(StreamError):
    """Packets cannot be put into a video file."""

    code = "clip_unmade"
    title = "No video can be made of the packets"
    hint = "The source's packets are damaged, or of a codec that no container takes"
    status = 500

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class EvidenceMissing(StreamError):
    """There is no video of an incident: not yet, not any more, or it never had packets."""

    code = "evidence_missing"
    title = "There is no video of this incident"
    hint = "Its evidence.state says why: pending is still to come, pruned gave way to newer ones"
    status = 404

    incident: str
    reason: str

    def __str__(self) -> str:
        return f"no video of incident {self.incident}: {self.reason}"


@dataclass(eq=False)
class SettingInvalid(StreamError, ValueError):
    """A setting has a value that makes no sense; `rule` says what would."""

    code = "setting"
    title = "A setting makes no sense"
    hint = "Change the key that the message names"
    status = 422

    key: str
    value: object
    rule: str

    def __post_init__(self) -> None:
        self.hint = f"Change {self.key}"

    def __str__(self) -> str:
        return f"{self.key} {self.rule}, not {self.value}"
