"""Simulcast: a sender that offers its video in several sizes, of which one is asked for. Pure.

An answer that says nothing of an offer's layers accepts the first one alone, and pages list the
smallest first as often as not: then 160x120 is all that is ever seen. So the answer names the best
layer, which is all that is sent then.

An offer rarely says how large a layer is. Restrictions count, if there are any (`max-width`,
`max-height`, `max-fs`, `max-br`), then names in common use, then the order: the first is the one
that the sender prefers (RFC 8853, 5.2). Numbers alone go both ways: pages count upwards from the
smallest, as browsers scale by themselves (WebRTC, 5.1 addTransceiver), broadcasting software from
the largest. Where the guess is wrong, the stream says `small_layer`.

Source: RFC 8851 (restrictions), RFC 8853 (layers in SDP), RFC 8852 (their names in RTP headers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

MAX_LAYERS = 16

_NAMES = (
    ("q", "h", "f"),
    ("l", "m", "h"),
    ("s", "m", "l"),
    ("lo", "mid", "hi"),
    ("low", "mid", "hi"),
    ("low", "mid", "high"),
    ("low", "medium", "high"),
    ("low", "middle", "high"),
    ("quarter", "half", "full"),
    ("small", "medium", "large"),
    ("sd", "hd", "fhd"),
)
"""Names in common use, the smallest layer first."""

_NUMBERED = re.compile(r"([A-Za-z_-]*)(\d{1,3})")

_LAYERS = re.compile(r"a=simulcast:\s*(?:recv \S+ )?send (\S+)(?: recv \S+)?")
_RID = re.compile(r"a=rid:([A-Za-z0-9_-]{1,64}) send(?: (.+))?")
_EXTENSION = re.compile(
    r"a=extmap:(\d{1,3})(?:/[a-z]+)? urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """The layer of an offer that is asked for.

    Attributes:
        rid: its name.
        extension: number of the RTP header extension that carries the name.
        of: layers that are offered.
    """

    rid: str
    extension: str
    of: int

    def answer(self) -> tuple[str, ...]:
        """Return the lines by which the video section of an answer asks for it alone."""
        return (
            f"a=extmap:{self.extension} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            f"a=rid:{self.rid} recv",
            f"a=simulcast:recv {self.rid}",
        )


def best_layer(lines: Sequence[str], *, browser: bool = False) -> Layer | None:
    """Return the largest layer of an offer's video section; None when there is nothing to choose.

    Args:
        lines: of the section, without line ends.
        browser: whether a browser made the offer.
    """
    rids = {match[1]: match[2] or "" for line in lines if (match := _RID.fullmatch(line))}
    offered = next((match[1] for line in lines if (match := _LAYERS.fullmatch(line))), "")
    extension = next((match[1] for line in lines if (match := _EXTENSION.match(line))), None)
    names = [layer.partition(",")[0] for layer in offered.split(";")[:MAX_LAYERS]]
    sent = [name for name in names if name in rids] or [
        name[1:] for name in names if name[:1] == "~" and name[1:] in rids
    ]
    if extension is None or len(names) < 2 or not sent:
        return None
    sizes = [_restrictions(rids[name]) for name in sent]
    largest = max(zip(sizes, sent, strict=True))[1]
    best = largest if len(set(sizes)) > 1 else _best_name(sent, browser)
    return Layer(best, extension, len(names))


def _best_name(names: Sequence[str], browser: bool) -> str:  # noqa: FBT001
    for known in _NAMES:
        if set(map(str.lower, names)) <= set(known):
            return max(names, key=lambda name: known.index(name.lower()))
    counted = [match for name in names if (match := _NUMBERED.fullmatch(name))]
    alike = len(counted) == len(names) and len({match[1] for match in counted}) == 1
    return max(counted, key=lambda match: int(match[2]))[0] if browser and alike else names[0]


def _restrictions(text: str) -> tuple[float, float]:
    """Return the most pixels and the most bits per second that a layer may have."""
    said = dict(_pairs(text.split(";")))
    sides = [said[name] for name in ("max-width", "max-height") if name in said]
    area = sides[0] * sides[-1] if sides else inf
    return min(area, said.get("max-fs", inf) * 256), said.get("max-br", inf)


def _pairs(parts: Iterable[str]) -> Iterable[tuple[str, float]]:
    for part in parts:
        name, _, value = part.strip().partition("=")
        if value.isascii() and value.isdecimal() and len(value) < 12:
            yield name, float(value)
