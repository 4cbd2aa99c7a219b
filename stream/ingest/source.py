"""Sources of video: a URL that hides its secrets, its settings, its traits, and the protocol."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import quote, unquote, urlsplit

from stream.errors import SourceUrlInvalid

HIDDEN = "***"

_ALLOWED = (
    "rtsp://, rtsps://, whip://, demo://authentic, demo://tampered, file:// or the path of a file"
)
_SCHEMES = ("rtsp", "rtsps", "whip", "demo", "file")
_DEMOS = ("authentic", "tampered")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]+")
_PORT = re.compile(r":[0-9]{0,5}")
_PLAIN_PATH = re.compile(r"(?:[\w/.~+ -]|%20)*")
_DEMO_ADDRESS = re.compile(r"\w+/?(?:\?\w+=[\w.-]{1,16}(?:&\w+=[\w.-]{1,16})*)?")
_LOGIN_WITHOUT_SCHEME = re.compile(r"[^/]*:.*@")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_USERINFO_BYTES = 127  # FFmpeg's RTSP client cuts longer credentials without a word


class SourceUrl:
    """A source URL whose repr, str, format and JSON hide its credentials.

    `parse` is the way in and `reveal` the only way out. It is not a dataclass on purpose: tools
    that walk the fields of dataclasses would otherwise print what must stay hidden.

    Attributes:
        scheme: `rtsp`, `rtsps`, `whip`, `demo` or `file`.
        redacted: what may be shown to anybody.
        fault: why it cannot be opened although it is right; empty when it can.
    """

    __slots__ = ("_secret", "_secrets", "fault", "redacted", "scheme")

    scheme: str
    redacted: str
    fault: str

    def __init__(
        self,
        scheme: str,
        redacted: str,
        secret: str,
        secrets: tuple[str, ...] = (),
        fault: str = "",
    ) -> None:
        self.scheme = scheme
        self.redacted = redacted
        self.fault = fault
        self._secret = secret
        self._secrets = secrets

    @classmethod
    def locked(cls, redacted: str, fault: str) -> SourceUrl:
        """Return a URL of which only the redacted form is known; `fault` says why."""
        return cls(redacted.partition(":")[0].lower(), redacted, redacted, fault=fault)

    @classmethod
    def parse(cls, text: str) -> SourceUrl:
        """Understand what an operator wrote.

        Raises:
            SourceUrlInvalid: it names nothing that can be opened; says what can be.
        """
        text = text.strip()
        shown = redact(text)
        if not text:
            raise SourceUrlInvalid(shown, f"empty; use {_ALLOWED}")
        if _UNPRINTABLE.search(text):
            raise SourceUrlInvalid(shown, "contains a control character")
        scheme, colon, rest = text.partition(":")
        scheme = scheme.lower()
        if rest.startswith("//"):
            if scheme in ("rtsp", "rtsps"):
                return cls._network(text, scheme, shown)
            if scheme == "demo":
                return cls._demo(text, shown)
            if scheme == "whip":
                return cls._whip(rest)
            if scheme == "file":
                return cls._file_url(rest, shown)
            raise SourceUrlInvalid(shown, _unknown_scheme(scheme))
        if colon and scheme in _SCHEMES:
            raise SourceUrlInvalid(shown, f"two slashes are missing; did you mean {scheme}://?")
        if _LOGIN_WITHOUT_SCHEME.match(text):
            raise SourceUrlInvalid(shown, "looks like a camera; did you mean rtsp://?")
        return cls("file", text, text)

    @classmethod
    def _network(cls, text: str, scheme: str, shown: str) -> SourceUrl:
        rest = text.partition("://")[2]
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        tail = rest[len(authority) :]
        if "@" in tail:
            # Either the password holds an unescaped / ? or #, or the path holds an @. Guessing
            # wrong would send half a password to a name server, so nobody guesses.
            raise SourceUrlInvalid(
                shown, "write / ? # in a password as %2F %3F %23, and @ in a path as %40"
            )
        userinfo, _, _ = authority.rpartition("@")
        try:
            parts = urlsplit(f"{scheme}://{authority.rpartition('@')[2]}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise SourceUrlInvalid(shown, "the host or port is malformed") from None
        if not host or re.search(r"\s", authority.rpartition("@")[2]):
            raise SourceUrlInvalid(shown, f"no host; write {scheme}://HOST/PATH")
        if port == 0:
            raise SourceUrlInvalid(shown, "port 0 cannot be connected to")
        if len(userinfo.encode()) > _USERINFO_BYTES:
            raise SourceUrlInvalid(shown, f"credentials longer than {_USERINFO_BYTES} bytes")
        secret = f"{scheme}://{authority}{tail.replace(' ', '%20')}"
        return cls(scheme, shown, secret, _secrets(userinfo, tail))

    @classmethod
    def _demo(cls, text: str, shown: str) -> SourceUrl:
        name = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0].lower()
        if name not in _DEMOS:
            near = difflib.get_close_matches(name, _DEMOS, n=1)
            hint = f"; did you mean demo://{near[0]}?" if near else ""
            raise SourceUrlInvalid(
                shown, f"the demo sources are {' and '.join(f'demo://{d}' for d in _DEMOS)}{hint}"
            )
        return cls("demo", shown, text)

    @classmethod
    def _whip(cls, rest: str) -> SourceUrl:
        if rest.strip("/"):
            raise SourceUrlInvalid(
                "whip://", "peers come to /whip/STREAM; nothing follows the slashes"
            )
        return cls("whip", "whip://", "whip://")

    @classmethod
    def _file_url(cls, rest: str, shown: str) -> SourceUrl:
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise SourceUrlInvalid(shown, "a file URL is file:///PATH")
        path = "/" + unquote(path)
        if _UNPRINTABLE.search(path):
            raise SourceUrlInvalid(shown, "contains a control character")
        return cls("file", path, path)

    @property
    def is_demo(self) -> bool:
        """Whether this is one of the embedded demo sources."""
        return self.scheme == "demo"

    @property
    def is_file(self) -> bool:
        """Whether this is a file of this machine."""
        return self.scheme == "file"

    @property
    def is_call(self) -> bool:
        """Whether nothing is opened, but WebRTC peers are waited for."""
        return self.scheme == "whip"

    @property
    def is_live(self) -> bool:
        """Whether it comes from the network and therefore never simply ends."""
        return self.scheme in ("rtsp", "rtsps")

    @property
    def traits(self) -> SourceTraits:
        """Facts about the source that are known before it is opened."""
        return SourceTraits(live=self.is_live, call=self.is_call)

    def reveal(self) -> str:
        """Return the URL or path as it must be opened, with credentials. Never print it."""
        return self._secret

    def scrub(self, text: str) -> str:
        """Return someone else's words with every secret of this URL taken out."""
        if self.scheme in ("file", "demo", "whip"):
            return text
        text = text.replace(self._secret, self.redacted)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def __repr__(self) -> str:
        return f"SourceUrl({self.redacted!r})"

    def __str__(self) -> str:
        return self.redacted

    def __format__(self, spec: str) -> str:
        return format(self.redacted, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceUrl) and self._secret == other._secret

    def __hash__(self) -> int:
        return hash(self._secret)

    def __reduce__(self) -> tuple[type[SourceUrl], tuple[str, str, str, tuple[str, ...], str]]:
        # A URL may travel to a worker process and still work there; it stays hidden on arrival.
        return SourceUrl, (self.scheme, self.redacted, self._secret, self._secrets, self.fault)


def redact(text: str) -> str:
    """Return any would-be URL with its scheme, host, port and path alone, however malformed.

    Whatever else it holds is hidden, whatever its name: lists of names that sound secret are
    never complete. Of a path, what follows the first character that sets a value apart is hidden,
    because cameras take `/user=a&password=b` and `/live;code:c` for paths.

    Everything up to the last `@` is taken for credentials: an unescaped password may hold any
    character, and hiding too much of a broken URL costs nothing.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, separator, rest = text.partition(":")
        if scheme.lower() not in _SCHEMES and ("@" not in text or not separator):
            return text
        if scheme.lower() not in _SCHEMES:
            scheme, separator, rest = "", "", text
    if scheme.lower() == "file":
        return text
    if scheme.lower() == "demo" and _DEMO_ADDRESS.fullmatch(rest):
        return text
    if not _SCHEME.fullmatch(scheme):
        scheme = HIDDEN if scheme else ""
    credentials, at, rest = rest.rpartition("@")
    login = f"{HIDDEN}@" if at and credentials else at
    address, extra = _split(rest)
    slashes = address[: len(address) - len(address.lstrip("/"))]
    authority, slash, path = address[len(slashes) :].partition("/")
    shown = f"{slashes}{_shown_authority(authority)}{slash}{_shown_path(path)}"
    query = f"?{HIDDEN}" if extra.startswith("?") and len(extra) > 1 else ""
    return f"{scheme}{separator}{login}{shown}{query}"


def _split(rest: str) -> tuple[str, str]:
    """Return what lies before the first `?` or `#`, and from it on."""
    at = min((i for i in (rest.find("?"), rest.find("#")) if i >= 0), default=len(rest))
    return rest[:at], rest[at:]


def _shown_authority(authority: str) -> str:
    host = _HOST.match(authority)
    if host is None:
        return HIDDEN if authority else ""
    port = authority[host.end() :]
    if not port or _PORT.fullmatch(port):
        return authority
    return f"{host[0]}:{HIDDEN}"


def _shown_path(path: str) -> str:
    plain = _PLAIN_PATH.match(path)
    end = plain.end() if plain else 0
    if end == len(path):
        return path
    return path[:end] + (path[end] if path[end] in "=;:&," else "") + HIDDEN


def _secrets(userinfo: str, tail: str) -> tuple[str, ...]:
    """Return every spelling of everything that is hidden, longest first.

    Fragments shorter than four characters stay out: replacing each `e` of an error message
    would tell the password rather than hide it.
    """
    user, _, password = userinfo.partition(":")
    path, extra = _split(tail)
    plain_path = _PLAIN_PATH.match(path)
    hidden = (path[plain_path.end() :] if plain_path else path, extra)
    plain = [userinfo, password, user]
    for text in hidden:
        plain.append(text.lstrip("?#=;:&,"))
        for part in re.split(r"[?#&;,/]", text):
            key, _, value = part.replace(":", "=", 1).partition("=")
            plain.append(value or key)
    spellings = {s for p in plain for s in (p, unquote(p), quote(unquote(p), safe=""))}
    return tuple(sorted((s for s in spellings if len(s) >= 4), key=len, reverse=True))


def _unknown_scheme(scheme: str) -> str:
    near = difflib.get_close_matches(scheme, _SCHEMES, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}://?" if near else ""
    shown = scheme if _SCHEME.fullmatch(scheme) else HIDDEN
    return f"cannot open {shown}://, only {_ALLOWED}{hint}"


class Transport(Enum):
    """How RTP travels for an RTSP source."""

    AUTO = "auto"
    TCP = "tcp"
    UDP = "udp"


class Pace(Enum):
    """How fast a file is read."""

    NATIVE = "native"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Everything needed to open one source.

    Attributes:
        url: `rtsp://`, `rtsps://`, `whip://`, `demo://authentic`, `demo://tampered`, or a file
            path.
        transport: RTP transport (RTSP only).
        timeout_s: silence after which the network layer gives up (RTSP only).
        tls_verify: check the server's certificate (RTSPS only).
        tls_ca_file: certificates to trust instead of the system's (RTSPS only).
        pace: native speed or as fast as possible (files only).
        loop: start again at the end, in a new epoch (files only).
    """

    url: SourceUrl
    transport: Transport = Transport.AUTO
    timeout_s: float = 2.5
    tls_verify: bool = True
    tls_ca_file: Path | None = None
    pace: Pace = Pace.NATIVE
    loop: bool = False


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a decoder must know before the first packet.

    Attributes:
        codec: name of the codec.
        width: of the coded picture; 0 when only the pictures themselves will tell.
        height: likewise.
        extradata: parameter sets, when they came apart from the packets.
        quarter_turns: by which decoded pictures must be turned, counterclockwise, to be upright;
            None when only the pictures themselves will tell.
        mirrored: they must be flipped left to right before they are turned.
        pixel_aspect: width of a stored pixel over its height; None when only the pictures
            themselves will tell.
        colours: range, matrix, transfer and primaries as FFmpeg numbers them (ITU-T H.273), where
            the pictures do not say; None when nobody knows.
        frame_rate: pictures per second that a file declares; None when nobody knows.
        duration_s: media seconds that a file declares; None when nobody knows.
    """

    codec: str
    width: int
    height: int
    extradata: bytes | None
    quarter_turns: int | None = None
    mirrored: bool = False
    pixel_aspect: Fraction | None = None
    colours: tuple[int, int, int, int] | None = None
    frame_rate: Fraction | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Packet:
    """One compressed access unit.

    Attributes:
        data: the bytes as received.
        pts: presentation time in `time_base` units, or None when the sender gave none.
        dts: decoding time in `time_base` units, or None.
        time_base: seconds per unit.
        keyframe: decodable on its own.
        arrived: monotonic seconds.
        format: what a decoder must know.
        lossy: the network lost a part of it, or of what belongs right before it.
    """

    data: bytes
    pts: int | None
    dts: int | None
    time_base: Fraction
    keyframe: bool
    arrived: float
    format: StreamFormat
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class SourceTraits:
    """Facts that a source states about itself, so that nobody has to ask for its class.

    Attributes:
        live: comes from the network and never simply ends; its end is a failure, and retried.
        call: a peer comes by itself; its end is an end, and the next peer is waited for.
        complete: nothing is lost between the sender and the reader, as from a file, so a hole
            between two PTS is a picture that was never made. It may be a recorded call, whose
            pictures are scaled at any time.
        tells_losses: every loss is told with the packet that follows it, so a hole between two PTS
            means nothing; the sender may skip pictures and scale them at any time.
        layers: sizes in which the sender offers its video, of which this is one.
    """

    live: bool = False
    call: bool = False
    complete: bool = False
    tells_losses: bool = False
    layers: int = 1


@runtime_checkable
class KeyframeSource(Protocol):
    """A source whose sender can be asked for a keyframe."""

    def want_keyframe(self) -> None:
        """Say that nothing that comes is of use before the next keyframe."""
        ...


class Source(Protocol):
    """Something that yields packets until it cannot; every end is a SourceError with a code."""

    @property
    def traits(self) -> SourceTraits:
        """Facts that the source states about itself."""
        ...

    def packets(self) -> Iterator[Packet]:
        """Open the source and yield its packets. Raises SourceError when it ends or fails."""
        ...

    def close(self) -> None:
        """Release everything; safe to call in any state and more than once."""
        ...
