"""Datagrams that arrive at a call's port: what each can be, by its first bytes. Pure.

A port for media is open to everybody, and the port need not be known: all of them are tried in a
second. So what can be no STUN, DTLS, RTP or RTCP message (RFC 7983, section 7) is let go before
anything parses it.
"""

from __future__ import annotations

from enum import Enum

MAX_BYTES = 1500
"""Longest datagram of media; SRTP is decrypted in a buffer of this size."""

MAGIC_COOKIE = b"\x21\x12\xa4\x42"
"""Bytes 4 to 8 of every STUN message (RFC 8489, section 5)."""

_STUN, _DTLS, _RTP, _RTCP = 20, 13, 12, 8  # header lengths, in bytes


class DatagramKind(Enum):
    """Protocol that a datagram may belong to."""

    STUN = "stun"
    MEDIA = "media"
    """DTLS, RTP or RTCP."""
    UNKNOWN = "unknown"


class DatagramRefusal(Enum):
    """Reason for which a datagram was let go."""

    MALFORMED = "malformed"
    """It can be none of the protocols, or claims to be one and is not."""
    STRANGER = "stranger"
    """It is media from an address that ICE has not nominated."""
    GARBLED = "garbled"
    """It came with the peer's key, and could not be taken in all the same."""
    BACKLOG = "backlog"
    """More of the peer's packets wait than may."""


def kind_of(data: bytes) -> DatagramKind:
    """Return what a datagram can be, which only says that it is worth a look."""
    if not data:
        return DatagramKind.UNKNOWN
    first, length = data[0], len(data)
    if first < 4:
        stun = length >= _STUN and length % 4 == 0 and data[4:8] == MAGIC_COOKIE
        return DatagramKind.STUN if stun else DatagramKind.UNKNOWN
    if length > MAX_BYTES:
        return DatagramKind.UNKNOWN
    if 20 <= first < 64:
        return DatagramKind.MEDIA if length >= _DTLS else DatagramKind.UNKNOWN
    if 128 <= first < 192 and length >= _RTCP:
        header = _RTCP if 192 <= data[1] < 224 else _RTP
        return DatagramKind.MEDIA if length >= header else DatagramKind.UNKNOWN
    return DatagramKind.UNKNOWN
