"""Calls over WebRTC: their settings, their answers, and the protocol of whoever answers them.

Values only. `stream.webrtc.peer` speaks with peers, `stream.webrtc.sessions` keeps them apart, and
`web.routes.whip` serves WHIP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Protocol

from pydantic import Field, SecretStr

from stream.errors import SettingInvalid


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, for this analyzer and for the peers that it answers.

    Attributes:
        url: stun:HOST:PORT, or turn:HOST:PORT?transport=udp (or tcp), or turns:HOST:PORT.
        username: of a TURN server.
        credential: password of a TURN server; peers are told it, so make it a short-lived one.
    """

    url: str
    username: str = ""
    credential: SecretStr = field(default_factory=lambda: SecretStr(""))

    def __post_init__(self) -> None:
        if self.url.partition(":")[0] not in ("stun", "stuns", "turn", "turns"):
            raise SettingInvalid("url", self.url, "must begin with stun: or turn:")


@dataclass(frozen=True, slots=True)
class WebRtcSettings:
    """Settings of WebRTC (WHIP): which peers are answered, where, and how much they may send.

    Attributes:
        enabled: answer calls at all.
        create_streams: a call to an unknown stream creates it; it is removed again after the call.
        keep_s: how long a stream that a call created stays after the call, for the next one.
        max_peers: calls at a time; a further one is told to try again later.
        bind: addresses of this machine to receive media on; empty means all but loopback, or
            loopback when there is no other. Ports are chosen by the system for every call.
        advertise: addresses under which peers reach this machine, when they differ from its own:
            behind NAT or in a container. They take the place of its own addresses in the answer.
        ice_servers: STUN and TURN servers; the first of each kind is used here, all are named to
            peers.
        start_kbps: kilobits per second that a Chromium peer begins with; its own start is so low
            that it sends small pictures for ten seconds.
        min_kbps: below this, Chromium peers rather drop frames than quality.
        max_kbps: most that a peer may send; asked for in the answer, and a peer that sends more
            than 1.5 times as much for ten seconds is disconnected.
        max_width: width of the largest picture, in pixels, upright or lying; larger ones end the
            call.
        max_height: its height.
        max_fps: frames per second that peers are asked not to exceed.
        max_session_s: longest call; 0 means any.
        connect_s: a peer that is not connected by then is given up.
        silence_s: a peer from which nothing at all was heard for so long has vanished.
        keyframe_s: a keyframe is asked for at least so often, so that what is kept of a call can be
            decoded; peers send none by themselves.
        video_s: a peer that is there but sends no video for so long is disconnected.
        max_data: bytes that may wait in a peer's data channel before it has to read.
    """

    enabled: bool = True
    create_streams: bool = True
    keep_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 30.0
    max_peers: Annotated[int, Field(le=4096)] = 8
    bind: tuple[str, ...] = ()
    advertise: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    start_kbps: Annotated[int, Field(le=10_000_000)] = 2000
    min_kbps: Annotated[int, Field(le=10_000_000)] = 1000
    max_kbps: Annotated[int, Field(le=10_000_000)] = 4000
    max_width: Annotated[int, Field(le=16_384)] = 1920
    max_height: Annotated[int, Field(le=16_384)] = 1080
    max_fps: Annotated[int, Field(le=1000)] = 60
    max_session_s: Annotated[float, Field(le=31_536_000, allow_inf_nan=False)] = 14400.0
    connect_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 15.0
    silence_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 5.0
    keyframe_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 20.0
    video_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 15.0
    max_data: Annotated[int, Field(le=1 << 30)] = 65536

    def __post_init__(self) -> None:
        for key in ("max_peers", "max_kbps", "max_width", "max_height", "max_fps", "max_data"):
            if getattr(self, key) < 1:
                raise SettingInvalid(key, getattr(self, key), "must be at least 1")
        for key in ("connect_s", "silence_s", "keyframe_s", "video_s"):
            if not getattr(self, key) > 0:
                raise SettingInvalid(key, getattr(self, key), "must be more than 0 seconds")
        for key in ("min_kbps", "start_kbps", "keep_s", "max_session_s"):
            if not getattr(self, key) >= 0:
                raise SettingInvalid(key, getattr(self, key), "must not be negative")
        if self.min_kbps > self.max_kbps:
            rule = f"must be at most max_kbps ({self.max_kbps})"
            raise SettingInvalid("min_kbps", self.min_kbps, rule)
        if not self.min_kbps <= self.start_kbps <= self.max_kbps:
            rule = f"must lie between min_kbps ({self.min_kbps}) and max_kbps ({self.max_kbps})"
            raise SettingInvalid("start_kbps", self.start_kbps, rule)


LOOPBACK = "127.0.0.1"
"""Address at which this machine calls itself."""


def calling_itself(settings: WebRtcSettings) -> WebRtcSettings:
    """Return the settings of a call of this process to itself: it leaves the machine nowhere."""
    return replace(settings, bind=(LOOPBACK,), advertise=(), ice_servers=())


def always(_: datetime) -> bool:
    """Return that a credential works, which is so where nobody says otherwise."""
    return True


@dataclass(frozen=True, slots=True)
class Publisher:
    """Credential on which a call is made.

    Attributes:
        credential: tells one from another; None where none is needed.
        max_streams: streams that it may hold at a time; any number when None.
        valid_at: says whether it still works at a UTC; its calls end when it does not.
        manages: it may change and end the calls of others as well.
    """

    credential: Hashable = None
    max_streams: int | None = None
    valid_at: Callable[[datetime], bool] = always
    manages: bool = False

    def may_change(self, owner: Publisher) -> bool:
        """Return whether calls that were begun on another credential may be changed and ended."""
        return self.manages or self.credential == owner.credential


ANYBODY = Publisher()
"""Who calls where no credential is needed."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Who sends streams of one analyzer.

    Attributes:
        called: streams that a peer is sending now.
        holders: credentials on which streams are sent, or were created, by stream.
    """

    called: frozenset[str]
    holders: Mapping[str, Hashable]


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """A call that was answered.

    Attributes:
        session: unguessable name, which is needed to change and end the call.
        etag: names the call's ICE session.
        sdp: the answer, with every candidate in it.
    """

    session: str
    etag: str
    sdp: str


class CallControl(Protocol):
    """The analyzer as signalling sees it."""

    def call(self, stream: str, offer: str, publisher: Publisher) -> Awaitable[CallAnswer]:
        """Answer a peer that offers to send a stream.

        Raises:
            OfferInvalid: the offer cannot be understood.
            OfferRefused: it is understood, but cannot be met.
            StreamUnknown: there is no such stream, and calls create none.
            NotACall: the stream has a source of its own.
            StreamBusy: another peer is sending it.
            TooManyPeers: the limit is reached.
            TooManyStreams: the limit is reached.
            PublisherFull: the limit of this publisher is reached.
        """
        ...

    def etag(self, stream: str, session: str, publisher: Publisher) -> Awaitable[str]:
        """Return the entity tag of the ICE session of a stream's call.

        Raises:
            CallUnknown: the stream has no such call.
            CallNotYours: it was begun on another credential.
        """
        ...

    def trickle(
        self, stream: str, session: str, fragment: str, publisher: Publisher
    ) -> Awaitable[None]:
        """Take further ICE candidates of a peer.

        Raises:
            CallUnknown: the stream has no such call.
            CallNotYours: it was begun on another credential.
            OfferInvalid: the fragment cannot be understood.
            OfferRefused: it asks for an ICE restart.
        """
        ...

    def hang_up(self, stream: str, session: str, publisher: Publisher) -> Awaitable[None]:
        """End a call of a stream, in bounded time.

        Raises:
            CallUnknown: the stream has no such call.
            CallNotYours: it was begun on another credential.
        """
        ...
