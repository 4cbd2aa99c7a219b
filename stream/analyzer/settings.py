"""Settings of the analyzer; values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnalyzerSettings:
    """How much one analyzer takes on.

    Attributes:
        max_streams: streams at a time; a further one is refused.
        tick_s: how often stalls and overload are checked.
        report_s: how often each stream reports how it is doing.
        stop_s: how long a stopping ingest thread is waited for before it is abandoned.
        replace_s: how long a stream may be stalled before its ingest is replaced; the old one may
            hang in the network, where nothing can interrupt it.
        stuck_s: silence of the device thread after which the process is not live.
        events: events that may wait for the event loop; the oldest gives way and is counted.
    """

    max_streams: int = 16
    tick_s: float = 0.25
    report_s: float = 1.0
    stop_s: float = 5.0
    replace_s: float = 10.0
    stuck_s: float = 15.0
    events: int = 8192
