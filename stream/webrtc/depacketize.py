"""Pictures of VP9 and AV1 from the payloads of their RTP packets. Pure.

aiortc takes VP8 and H.264 apart itself, and hands on other payloads as they are, joined. So each
payload goes through it with its length before it (`framed`), and the picture is made of them here.
Every picture has to be whole: one of which a packet is missing is no picture.

Source: RFC 9628 (VP9), RTP Payload Format For AV1 v1.0.0 (aomediacodec.github.io/av1-rtp-spec).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

_LENGTH = 2

# OBU types that tell nothing once a picture is on its own, or that RTP does not know.
_TEMPORAL_DELIMITER = 2
_TILE_LIST = 8
_PADDING = 15


def framed(payload: bytes) -> bytes:
    """Return a payload with its length before it."""
    return len(payload).to_bytes(_LENGTH) + payload


def picture(codec: str, data: bytes) -> bytes:
    """Return one compressed picture as its decoder takes it.

    Args:
        codec: `VP9` or `AV1`; of any other the data is the picture.
        data: the framed payloads of its packets, joined in order.

    Raises:
        ValueError: a part of it is missing, or it is malformed.
    """
    assemble = ASSEMBLERS.get(codec)
    return data if assemble is None else assemble(_unframed(data))


def _unframed(data: bytes) -> list[bytes]:
    payloads: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + _LENGTH + int.from_bytes(data[at : at + _LENGTH])
        payloads.append(data[at + _LENGTH : end])
        at = end
    return payloads


# --- VP9 -------------------------------------------------------------------------------------


def _vp9(payloads: list[bytes]) -> bytes:
    """Join the parts of a picture; of several spatial layers, those of the base layer."""
    parts: list[bytes] = []
    begun = ended = False
    for payload in payloads:
        layer, begins, ends, part = _vp9_part(payload)
        if layer:
            continue
        if begins is begun or ended:
            raise ValueError("a part of the picture is missing")
        begun, ended = True, ends
        parts.append(part)
    if not ended:
        raise ValueError("the end of the picture is missing")
    return b"".join(parts)


def _vp9_part(payload: bytes) -> tuple[int, bool, bool, bytes]:
    """Take a payload descriptor apart (RFC 9628, section 4.2).

    Returns:
        spatial layer, whether it begins and ends a frame of that layer, and what is left.
    """
    read = iter(payload)
    flags = _byte(read)
    layer, used = 0, 1
    identified, predicted, layered, flexible = (flags & 1 << bit for bit in (7, 6, 5, 4))
    if identified:
        used += 1 + (_byte(read) >> 7 and _skip(read, 1))
    if layered:
        layer = _byte(read) >> 1 & 7
        used += 1 + (0 if flexible else _skip(read, 1))
    if flexible and predicted:
        used += _skip_references(read)
    if flags & 2:
        used += _skip_structure(read)
    if used >= len(payload):
        raise ValueError("a payload holds no picture")
    return layer, bool(flags & 8), bool(flags & 4), payload[used:]


def _skip_references(read: Iterator[int]) -> int:
    """Pass over which pictures a picture refers to, three at most; return how many bytes."""
    for used in (1, 2, 3):
        if not _byte(read) & 1:
            return used
    raise ValueError("a picture refers to too many others")


def _skip_structure(read: Iterator[int]) -> int:
    """Pass over a scalability structure; return how many bytes."""
    head = _byte(read)
    used = 1 + (_skip(read, 4 * ((head >> 5) + 1)) if head & 0x10 else 0)
    if head & 8:
        pictures = _byte(read)
        used += 1
        for _ in range(pictures):
            used += 1 + _skip(read, _byte(read) >> 2 & 3)
    return used


def _byte(read: Iterator[int]) -> int:
    value = next(read, None)
    if value is None:
        raise ValueError("a payload is cut short")
    return value


def _skip(read: Iterator[int], count: int) -> int:
    for _ in range(count):
        _byte(read)
    return count


# --- AV1 -------------------------------------------------------------------------------------


def _av1(payloads: list[bytes]) -> bytes:
    """Join the OBUs of a temporal unit, each with its size, as a low-overhead stream."""
    heads = [payload[0] if payload else 0 for payload in payloads]
    if not heads or heads[0] & 0x80 or heads[-1] & 0x40:
        raise ValueError("a part of the picture is missing")
    for before, after in pairwise(heads):
        if bool(before & 0x40) is not bool(after & 0x80):
            raise ValueError("a part of the picture is missing")
    obus: list[bytes] = []
    for payload, head in zip(payloads, heads, strict=True):
        elements = list(_elements(payload[1:], head >> 4 & 3))
        if head & 0x80 and elements:
            obus[-1] += elements.pop(0)
        obus += elements
    unit = b"".join(_sized(obu) for obu in obus if obu)
    if not unit:
        raise ValueError("a payload holds no picture")
    return unit


def _elements(data: bytes, count: int) -> Iterator[bytes]:
    """Yield the OBU elements of a payload; all but the last of a known count tell their size."""
    at, number = 0, 0
    while at < len(data):
        number += 1
        if number == count:
            size = len(data) - at
        else:
            size, at = _leb128(data, at)
        if at + size > len(data):
            raise ValueError("an OBU is cut short")
        yield data[at : at + size]
        at += size
    if count and number != count:
        raise ValueError("an OBU is missing")


def _sized(obu: bytes) -> bytes:
    """Return an OBU with its size in it; nothing of one that belongs to no picture."""
    head = obu[0]
    if head >> 3 & 15 in (_TEMPORAL_DELIMITER, _TILE_LIST, _PADDING):
        return b""
    used = 2 if head & 4 else 1
    if head & 2:
        return obu
    return bytes([head | 2]) + obu[1:used] + _written(len(obu) - used) + obu[used:]


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = 0
    for n, byte in enumerate(data[at : at + 8]):
        value |= (byte & 0x7F) << 7 * n
        if not byte & 0x80:
            return value, at + n + 1
    raise ValueError("a size is malformed")


def _written(number: int) -> bytes:
    """Return a number as LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


ASSEMBLERS: dict[str, Callable[[list[bytes]], bytes]] = {"VP9": _vp9, "AV1": _av1}
"""Codecs of which pictures are put together here."""
