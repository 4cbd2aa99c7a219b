"""Opening of sources: the URL's scheme decides on the class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from stream.clock import Clock
from stream.errors import SourceError, SourceUrlInvalid
from stream.events import ReasonCode
from stream.ingest.demo import DemoSource
from stream.ingest.file import FileSource
from stream.ingest.rtsp import RtspSource
from stream.ingest.source import Packet, Source, SourceSettings, SourceTraits, SourceUrl
from stream.ingest.trace import SUFFIX, TraceSource, comes_from_demo

Wait = Callable[[float], bool]
"""Blocks for some seconds and returns True when the stream should stop."""

OpenSource = Callable[[SourceSettings, Clock, Wait], Source]
"""How `Ingest` obtains a source; tests hand in their own."""


class LockedSource:
    """A source whose credentials cannot be read: it fails with the reason, and touches nothing.

    Args:
        url: of which only the redacted form is known.
    """

    def __init__(self, url: SourceUrl) -> None:
        self._url = url

    @property
    def traits(self) -> SourceTraits:
        """What is known of the URL."""
        return self._url.traits

    def packets(self) -> Iterator[Packet]:
        """Raise SourceError."""
        raise SourceError(ReasonCode.AUTH, self._url.fault)

    def close(self) -> None:
        """Release nothing."""


def open_source(settings: SourceSettings, clock: Clock, wait: Wait) -> Source:
    """Return the source for these settings; nothing is opened before its packets are asked for.

    Args:
        settings: what to open.
        clock: stamps arrivals and paces what is not live.
        wait: blocks for some seconds, returns True when the stream should stop.

    Raises:
        SourceUrlInvalid: it cannot be opened: peers come to it by themselves.
    """
    if settings.url.fault:
        return LockedSource(settings.url)
    if settings.url.is_demo:
        return DemoSource(settings.url, clock, wait)
    if settings.url.is_call:
        raise SourceUrlInvalid(settings.url.redacted, "is waited for by a server, never opened")
    if settings.url.is_live:
        return RtspSource(settings, clock)
    if is_trace(settings.url):
        return TraceSource(settings)
    return FileSource(settings, clock, wait)


def is_trace(url: SourceUrl) -> bool:
    """Say whether a file is a recorded trace, by its name."""
    return url.is_file and url.reveal().endswith(SUFFIX)


def is_demo(url: SourceUrl) -> bool:
    """Say whether what comes from here is one of the demo sources, live or recorded."""
    return url.is_demo or (is_trace(url) and comes_from_demo(Path(url.reveal())))
