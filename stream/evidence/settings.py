"""Settings of evidence; values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """What is kept of an incident's video, and for how long.

    Attributes:
        enabled: keep the packets of every incident; false keeps none.
        folder: where they are kept; empty means `evidence` in the user's data directory.
        before_s: seconds kept before an incident began; they come from the stream's packet log,
            which holds a minute at most.
        after_s: seconds kept after its face was suspect last.
        max_s: longest video of one incident in seconds; what comes later is left out.
        max_clip_bytes: largest video of one incident in bytes; what comes later is left out.
        max_recording: incidents whose packets are gathered at a time; a further one is counted
            and keeps none.
        max_waiting: videos that may wait to be written; a further one is counted and not kept.
        max_count: incidents whose video is kept; the oldest gives way.
        max_bytes: bytes kept in all; the oldest gives way.
        max_age_days: days after which a video is deleted; one that was labelled true stays.
    """

    enabled: bool = True
    folder: Path | None = None
    before_s: Annotated[float, Field(ge=0, le=50)] = 10.0
    after_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    max_s: Annotated[float, Field(ge=1, le=600)] = 60.0
    max_clip_bytes: Annotated[int, Field(ge=65536, le=1 << 30)] = 32 << 20
    max_recording: Annotated[int, Field(ge=1, le=1024)] = 16
    max_waiting: Annotated[int, Field(ge=1, le=1024)] = 8
    max_count: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    max_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 50)] = 5 << 30
    max_age_days: Annotated[float, Field(gt=0, le=36_500)] = 90.0
