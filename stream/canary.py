"""Canaries by their ids: streams of known video that the analyzer sends to itself.

Their ids have a beginning that nobody else's may have, so that every part can tell them from
streams that somebody watches, by an event's stream alone.
"""

from __future__ import annotations

PREFIX = ".canary."
"""Beginning of the ids of canaries."""

TAG = "canary"
"""Tag of every canary."""


def is_canary(stream: str) -> bool:
    """Say whether a stream is a canary, by its id."""
    return stream.startswith(PREFIX)
