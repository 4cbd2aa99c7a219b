"""Keyframes of a peer's video: recognised in compressed pictures, and asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

ASK_S = 0.5
"""Seconds between two requests while a keyframe is wanted."""


def is_keyframe(codec: str, data: bytes) -> bool:
    """Say whether a compressed picture is decodable on its own.

    That is a whole VP8 keyframe (RFC 6386, 9.1), H.264 with an IDR slice (NAL unit type 5), a VP9
    frame that says so (VP9 bitstream specification, 6.2), or AV1 with a sequence header (OBU type
    1), which comes before every keyframe.
    """
    if codec == "VP9":
        return _is_vp9_keyframe(data)
    if codec == "AV1":
        return any(kind == 1 for kind in _obu_types(data))
    if codec == "VP8":
        return len(data) >= 10 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    start = data.find(b"\0\0\1")
    while 0 <= start < len(data) - 3:
        if data[start + 3] & 0x1F == 5:
            return True
        start = data.find(b"\0\0\1", start + 3)
    return False


def _is_vp9_keyframe(data: bytes) -> bool:
    """Read the first bits: a marker, the profile, whether a frame is shown again, and its type."""
    if not data or data[0] >> 6 != 2:
        return False
    reserved = data[0] >> 4 & 3 == 3
    again, inter = (data[0] >> (bit - reserved) & 1 for bit in (3, 2))
    return not again and not inter


def _obu_types(data: bytes) -> Iterator[int]:
    """Yield the types of the OBUs of a low-overhead stream; all of them have a size."""
    at = 0
    while at < len(data):
        yield data[at] >> 3 & 15
        at += 2 if data[at] & 4 else 1
        size = 0
        for n, byte in enumerate(data[at : at + 8]):
            size |= (byte & 0x7F) << 7 * n
            at += 1
            if not byte & 0x80:
                break
        at += size


class KeyframeRequests:
    """Decides when a keyframe is asked for.

    Args:
        every_s: seconds after the newest keyframe from which another one is due anyway.
        now: monotonic seconds.
    """

    def __init__(self, every_s: float, now: float) -> None:
        self._every_s = every_s
        self._newest = now
        self._asked = -ASK_S

    def arrived(self, now: float) -> None:
        """Take note of a keyframe."""
        self._newest = now

    def due(self, now: float, *, wanted: bool) -> bool:
        """Say whether to ask now; a request counts as made.

        Args:
            now: monotonic seconds.
            wanted: nothing that comes is of use before a keyframe.
        """
        if not (wanted or now - self._newest >= self._every_s) or now - self._asked < ASK_S:
            return False
        self._asked = now
        return True
