"""Settings of the analyzer; values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True)
class AnalyzerSettings:
    """How much one analyzer takes on.

    Attributes:
        max_streams: streams at a time; a further one is refused.
        tick_s: how often stalls and overload are checked, at most 1.
        report_s: how often each stream reports how it is doing.
        stop_s: how long a stopping ingest thread is waited for before it is abandoned.
        replace_s: how long a stream may be stalled before its ingest is replaced; the old one may
            hang in the network, where nothing can interrupt it.
        stuck_s: silence of the device thread after which the process is not live.
        events: events that may wait for the event loop; the oldest gives way and is counted.
    """

    max_streams: Annotated[int, Field(ge=1, le=4096)] = 16
    tick_s: Annotated[float, Field(gt=0, le=1)] = 0.25
    report_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    stop_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    replace_s: Annotated[float, Field(gt=0, le=86400)] = 10.0
    stuck_s: Annotated[float, Field(gt=0, le=86400)] = 15.0
    events: Annotated[int, Field(ge=1, le=10_000_000)] = 8192
