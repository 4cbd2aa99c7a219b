"""Log lines about streams, one for each that is added, changes its connection, or is removed."""

from __future__ import annotations

import structlog

from stream.event_log.event_log import StampedEvent
from stream.events import StreamAdded, StreamChanged, StreamDescribed, StreamRemoved

log = structlog.get_logger(__name__)


class LogLines:
    """A sink of the event log that writes the structured log."""

    def accept(self, stamped: StampedEvent) -> None:
        """Write a line about an event that an operator wants to see."""
        match stamped.event:
            case StreamAdded(stream=stream, source=source):
                log.info("stream added", stream=stream, source=source)
            case StreamChanged(stream=stream) as event:
                why = {"code": event.code.value, "detail": event.detail} if event.code else {}
                log.info("stream changed", stream=stream, state=event.state.value, **why)
            case StreamDescribed(stream=stream, name=name, tags=tags):
                log.info("stream described", stream=stream, name=name, tags=list(tags))
            case StreamRemoved(stream=stream, moved=moved):
                log.info("stream moved away" if moved else "stream removed", stream=stream)
            case _:
                pass
