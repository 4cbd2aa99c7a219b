"""Session descriptions as text: what is checked in an offer, what is added to an answer. Pure.

A stranger's offer is judged here before anything is opened for it: one video and at most one audio
and one data section, all in one bundle, each complete enough that the stack behind cannot fail
half-way. Only candidates that are addresses go on: names would have this machine ask a name server
or the local network on a stranger's behalf, and a peer that can reach us is found without them.

Source: RFC 8866 (SDP), RFC 8839 and 8840 (ICE in SDP), RFC 9725 (WHIP).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from stream.errors import OfferInvalid, OfferRefused
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.simulcast import Layer, best_layer

MAX_CANDIDATES = 32
"""Addresses of one peer that are tried; each costs a few small packets."""

MAX_LINES = 2000

CODECS = ("VP8", "H264", "VP9", "AV1")
"""What can be decoded of what peers send; the rest are not asked for."""

_KINDS = ("audio", "video", "application")
_DIGESTS = ("sha-256", "sha-384", "sha-512")
_SETUPS = ("actpass", "active", "passive")
_ICE = re.compile(r"[A-Za-z0-9+/]+")
_MEDIA = re.compile(r"m=([a-z]+) (\d{1,5}) ([A-Z/]+) (.+)")
_RTPMAP = re.compile(r"a=rtpmap:(\d{1,3}) ([^/\s]+)/(\d+)")
_FORMAT = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d{1,3}) ")
_PROFILE = re.compile(r"a=fmtp:(\d{1,3}) (?:.*[; ])?profile(?:-id)?=(\d+)")
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered.

    Attributes:
        text: what is left of it: the same, without candidates that are of no use, and with the
            peer as the DTLS client where it leaves the choice to us.
        codecs: names of the video codecs that it offers, in its order.
        ufrag: names its ICE session.
        tuned: whether its sender understands `x-google-*` (Chromium and its kin).
        layer: the best of several sizes in which it offers its video; None when there is one.
    """

    text: str
    codecs: tuple[str, ...]
    ufrag: str
    tuned: bool
    layer: Layer | None = None


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a trickle fragment says.

    Attributes:
        ufrag: the ICE session that it is about; empty when it does not say.
        candidates: (media id, candidate) pairs, without `a=candidate:`.
    """

    ufrag: str
    candidates: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """One media section: its kind, port, formats, and lines without line ends."""

    kind: str
    port: int
    formats: tuple[str, ...]
    lines: tuple[str, ...]

    def values(self, attribute: str) -> list[str]:
        """Return the values of an attribute; an empty one for a bare flag."""
        return _values(self.lines, attribute)


def check_offer(text: str) -> Offer:
    """Return an offer that can be answered.

    Raises:
        OfferInvalid: it is malformed; says how, without repeating it.
        OfferRefused: it asks for something that there is not.
    """
    session, sections = _split(text)
    _check_sections(sections)
    _check_bundle(session, sections)
    for section in sections:
        _check_transport(session, section)
    video = next(s for s in sections if s.kind == "video")
    if not _sends(session, video):
        raise OfferRefused("the offer receives video but sends none")
    codecs = _codecs(video)
    if not any(codec.upper() in CODECS for codec in _codecs(video, _other_profiles(video.lines))):
        raise OfferRefused(unsupported(codecs))
    ufrag = (video.values("ice-ufrag") or _values(session, "ice-ufrag"))[0]
    tuned = any(value.endswith(" goog-remb") for value in video.values("rtcp-fb"))
    return Offer(_restated(text), codecs, ufrag, tuned, best_layer(video.lines, browser=tuned))


def unsupported(codecs: Sequence[str]) -> str:
    """Return in words that none of these video codecs can be received."""
    offered = ", ".join(codecs[:16]) or "none"
    return (
        "video must be VP8, H264 (constrained baseline), VP9 (profile 0) or AV1 (profile 0);"
        f" offered: {offered}"
    )


def complete_answer(answer: str, offer: Offer, settings: WebRtcSettings) -> str:
    """Return an answer with our limits, the layer asked for and advertised addresses in it.

    The rate is asked for twice: `b=` is the standard's way, `x-google-*` is how Chromium is kept
    from beginning with small pictures. `max-fs` and `max-fr` are limits of VP8's and VP9's own.
    """
    lines = answer.splitlines()
    return "".join(f"{line}\r\n" for line in _completed(lines, offer, settings))


def parse_fragment(text: str) -> Fragment:
    """Return what a body of `application/trickle-ice-sdpfrag` says.

    Raises:
        OfferInvalid: it is malformed.
    """
    lines = _lines(text)
    if not lines:
        raise OfferInvalid("the fragment is empty")
    ufrags = _values(lines, "ice-ufrag")
    candidates: list[tuple[str, str]] = []
    mid, seen = "", False
    for line in lines:
        if line.startswith("m="):
            mid, seen = "", True
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:")
        elif line.startswith("a=candidate:"):
            if not seen or not mid:
                raise OfferInvalid("a candidate comes before its m= and a=mid lines")
            if is_useful(line) and len(candidates) < MAX_CANDIDATES:
                candidates.append((mid, line.removeprefix("a=candidate:")))
        elif not re.match(r"a=[a-z]|[a-z]=", line):
            raise OfferInvalid("a line is neither an attribute nor a media section")
    if not ufrags and not candidates and "a=end-of-candidates" not in lines:
        raise OfferInvalid("the fragment says nothing")
    return Fragment(ufrags[0] if ufrags else "", tuple(candidates))


def is_useful(line: str) -> bool:
    """Say whether a candidate line names a UDP address of one host, and is well-formed."""
    bits = line.removeprefix("a=candidate:").split()
    if len(bits) < 8 or bits[2].lower() != "udp" or bits[6] != "typ":
        return False
    numbers = (bits[1], bits[3], bits[5])
    if not all(number.isascii() and number.isdecimal() and len(number) < 12 for number in numbers):
        return False
    if not 1 <= int(bits[5]) <= 65535 or bits[1] != "1":
        return False
    try:
        address = ip_address(bits[4].partition("%")[0])
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or bits[4].startswith("255.255."))


# --- offers ----------------------------------------------------------------------------------


def _lines(text: str) -> list[str]:
    lines = [line.rstrip("\r") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > MAX_LINES:
        raise OfferInvalid(f"more than {MAX_LINES} lines")
    if any(not line.isprintable() for line in lines):
        raise OfferInvalid("a line holds a control character")
    return lines


def _split(text: str) -> tuple[tuple[str, ...], list[_Section]]:
    lines = _lines(text)
    if not lines or lines[0] != "v=0":
        raise OfferInvalid("a session description begins with v=0")
    groups: list[list[str]] = [[]]
    for line in lines:
        if not re.match(r"[a-z]=", line):
            raise OfferInvalid("a line is not of the form letter=value")
        if line.startswith("m="):
            groups.append([])
        groups[-1].append(line)
    return tuple(groups[0]), [_section(group) for group in groups[1:]]


def _section(lines: list[str]) -> _Section:
    match = _MEDIA.fullmatch(lines[0])
    if match is None:
        raise OfferInvalid("an m= line is malformed")
    return _Section(match[1], int(match[2]), tuple(match[4].split()), tuple(lines[1:]))


def _check_sections(sections: list[_Section]) -> None:
    kinds = [section.kind for section in sections]
    if "video" not in kinds:
        raise OfferRefused("the offer holds no video")
    for kind in kinds:
        if kind not in _KINDS:
            raise OfferRefused("only audio, video and data sections can be answered")
        if kinds.count(kind) > 1:
            raise OfferRefused(f"only one {kind} section can be answered, not {kinds.count(kind)}")
    if any(section.port == 0 and "a=bundle-only" not in section.lines for section in sections):
        raise OfferRefused("a section is rejected by its own offer")


def _check_bundle(session: tuple[str, ...], sections: list[_Section]) -> None:
    mids = [section.values("mid") for section in sections]
    if any(len(mid) != 1 or not _TOKEN.fullmatch(mid[0]) for mid in mids):
        raise OfferInvalid("every section needs one a=mid")
    names = [mid[0] for mid in mids]
    if len(set(names)) != len(names):
        raise OfferInvalid("two sections have the same a=mid")
    bundled = [value.split()[1:] for value in _values(session, "group") if value[:6] == "BUNDLE"]
    if len(bundled) > 1 or (bundled and not set(bundled[0]) <= set(names)):
        raise OfferInvalid("the BUNDLE group names sections that are not there")
    if len(names) > 1 and (not bundled or set(bundled[0]) != set(names)):
        raise OfferRefused("all sections must be in one BUNDLE group")


def _check_transport(session: tuple[str, ...], section: _Section) -> None:
    """Make sure that a section can be connected to: ICE, DTLS, and RTCP on the same port."""
    for attribute, fewest, most in (("ice-ufrag", 4, 256), ("ice-pwd", 22, 256)):
        values = section.values(attribute) or _values(session, attribute)
        if len(values) != 1 or not fewest <= len(values[0]) <= most:
            raise OfferInvalid(
                f"a section needs one a={attribute} of {fewest} to {most} characters"
            )
        if not _ICE.fullmatch(values[0]):
            raise OfferInvalid(f"a=ice-{attribute[4:]} holds a character that ICE does not know")
    prints = section.values("fingerprint") + _values(session, "fingerprint")
    if not any(_is_fingerprint(value) for value in prints) or len(prints) > 8:
        raise OfferInvalid("a section needs a=fingerprint by SHA-256 or longer")
    setups = section.values("setup") or _values(session, "setup")
    if len(setups) != 1 or setups[0] not in _SETUPS:
        raise OfferInvalid("a section needs a=setup:actpass")
    if section.kind != "application" and "a=rtcp-mux" not in section.lines:
        raise OfferRefused("audio and video need a=rtcp-mux")


def _is_fingerprint(value: str) -> bool:
    algorithm, _, digest = value.partition(" ")
    pairs = {"sha-256": 32, "sha-384": 48, "sha-512": 64}.get(algorithm.lower(), 0)
    return len(digest) == max(3 * pairs - 1, 0) and bool(
        re.fullmatch(r"([0-9A-Fa-f]{2}:)*[0-9A-Fa-f]{2}", digest)
    )


def _sends(session: tuple[str, ...], section: _Section) -> bool:
    directions = ("sendrecv", "sendonly", "recvonly", "inactive")
    for lines in (section.lines, session):
        said = [line[2:] for line in lines if line[2:] in directions]
        if said:
            return said[-1] in ("sendrecv", "sendonly")
    return True


def _codecs(video: _Section, without: Container[str] = ()) -> tuple[str, ...]:
    """Return the names of the codecs of a section, in order, without those that only repair."""
    names = {}
    for line in video.lines:
        if match := _RTPMAP.match(line):
            names[match[1]] = match[2]
    order = [names[number] for number in video.formats if number in names and number not in without]
    return tuple(
        dict.fromkeys(n for n in order if n.lower() not in ("rtx", "red", "ulpfec", "flexfec-03"))
    )


def _values(lines: Iterable[str], attribute: str) -> list[str]:
    found = []
    for line in lines:
        name, _, value = line.removeprefix("a=").partition(":")
        if line.startswith("a=") and name == attribute:
            found.append(value)
    return found


def _restated(text: str) -> str:
    """Return what the stack behind is given of an offer.

    `actpass` leaves it to us who begins the DTLS handshake. We let the peer: a server is asked for
    the suites of its own certificate, so a peer whose certificate is RSA (GStreamer's) need not
    have one for ours.
    """
    kept: list[str] = []
    candidates = 0
    lines = _lines(text)
    others = _other_profiles(lines)
    for line in lines:
        if (match := _FORMAT.match(line)) and match[1] in others:
            continue
        if line.startswith("a=candidate:"):
            candidates += 1
            if not is_useful(line) or candidates > MAX_CANDIDATES:
                continue
        elif line == "a=setup:actpass":
            line = "a=setup:active"
        elif line == "a=end-of-candidates":
            continue  # a peer that is not reached may still reach us; the deadline decides
        elif line.startswith("a=group:") and not line.startswith("a=group:BUNDLE"):
            continue
        kept.append(line)
    return "".join(f"{line}\r\n" for line in kept)


def _other_profiles(lines: Sequence[str]) -> set[str]:
    """Return the payload types of VP9 and AV1 that are of another profile than 0.

    An answer names no profile, which means 0, so nothing else may be answered.
    """
    codecs = {match[1]: match[2] for line in lines if (match := _RTPMAP.match(line))}
    said = [match for line in lines if (match := _PROFILE.match(line))]
    return {m[1] for m in said if codecs.get(m[1]) in ("VP9", "AV1") and m[2] != "0"}


# --- answers ---------------------------------------------------------------------------------


def _completed(lines: list[str], offer: Offer, settings: WebRtcSettings) -> Iterator[str]:
    kind = ""
    codecs = {match[1]: match[2].upper() for line in lines if (match := _RTPMAP.match(line))}
    tuned: set[str] = set()
    layer = offer.layer.answer() if offer.layer is not None else ()
    for line in lines:
        if line.startswith("m="):
            if kind == "video":
                yield from layer
            kind = line[2:].partition(" ")[0]
        if kind != "video":
            yield from _advertised(line, settings.advertise)
            continue
        if line.startswith("a=fmtp:"):
            number, _, given = line.removeprefix("a=fmtp:").partition(" ")
            wishes = _wishes(codecs.get(number, ""), offer, settings)
            tuned.add(number)
            yield f"a=fmtp:{number} {';'.join([given, *wishes])}"
            continue
        yield from _advertised(line, settings.advertise)
        if line.startswith("c="):
            yield f"b=AS:{settings.max_kbps}"
            yield f"b=TIAS:{settings.max_kbps * 1000}"
        elif (match := _RTPMAP.match(line)) and not _has_fmtp(lines, match[1]):
            wishes = _wishes(codecs[match[1]], offer, settings)
            if wishes:
                yield f"a=fmtp:{match[1]} {';'.join(wishes)}"
    if kind == "video":
        yield from layer


def _has_fmtp(lines: list[str], number: str) -> bool:
    return any(line.startswith(f"a=fmtp:{number} ") for line in lines)


def _wishes(codec: str, offer: Offer, settings: WebRtcSettings) -> list[str]:
    """Return the parameters that tell a sender of this codec how much it may send."""
    wishes: list[str] = []
    if codec in ("VP8", "VP9"):
        blocks = -(-settings.max_width // 16) * -(-settings.max_height // 16)
        wishes += [f"max-fs={blocks}", f"max-fr={settings.max_fps}"]
    if codec in CODECS and offer.tuned:
        wishes += [
            f"x-google-start-bitrate={settings.start_kbps}",
            f"x-google-min-bitrate={settings.min_kbps}",
            f"x-google-max-bitrate={settings.max_kbps}",
        ]
    return wishes


def _advertised(line: str, hosts: tuple[str, ...]) -> Iterator[str]:
    """Yield a line; a host candidate once for every advertised address instead."""
    bits = line.split()
    if not hosts or not line.startswith("a=candidate:") or bits[7:8] != ["host"]:
        yield line
        return
    for host in hosts:
        yield " ".join([*bits[:4], host, *bits[5:]])
