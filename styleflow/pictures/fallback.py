"""Reasons why a GPU does not decode; a value, for whoever counts without decoding."""

from __future__ import annotations

from enum import Enum


class Fallback(Enum):
    """Why video that a GPU should decode is decoded by the processor."""

    CODEC = "codec"
    """NVDEC does not decode it, or this build of FFmpeg cannot ask it to."""

    DEVICE = "device"
    """The GPU or its driver could not be opened."""

    REFUSED = "refused"
    """The decoder does not take this stream's profile, size or samples, or has no room for it."""

    BROKEN = "broken"
    """The decoder, or what makes RGB of its pictures, failed in the middle of the stream."""
