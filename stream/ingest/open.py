"""Which source belongs to which URL."""

from __future__ import annotations

from collections.abc import Callable

from stream.clock import Clock
from stream.ingest.file import FileSource
from stream.ingest.rtsp import RtspSource
from stream.ingest.source import Source, SourceSettings
from stream.ingest.trace import SUFFIX, TraceSource

OpenSource = Callable[[SourceSettings, Clock, Callable[[float], bool]], Source]
"""How `Ingest` obtains a source; tests hand in their own."""


def open_source(settings: SourceSettings, clock: Clock, wait: Callable[[float], bool]) -> Source:
    """Return the source for these settings; nothing is opened before its packets are asked for.

    Args:
        settings: what to open.
        clock: stamps arrivals and paces what is not live.
        wait: blocks for some seconds, returns True when the stream should stop.
    """
    if settings.url.is_demo:
        from stream.ingest.demo import DemoSource

        return DemoSource(settings.url, clock, wait)
    if settings.url.is_live:
        return RtspSource(settings, clock)
    if settings.url.redacted.endswith(SUFFIX):
        return TraceSource(settings)
    return FileSource(settings, clock, wait)
