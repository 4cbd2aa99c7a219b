"""Settings of tracking and of framing; values only, without torch or cv2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Limits within which a face is still the same face.

    Attributes:
        max_tracks: tracks held at once, those that wait included.
        max_unseen_s: media seconds that a track waits for its face.
        max_jump: how far a face moves between two neighbouring frames, in face sides.
        max_speed: how much further per second since it was seen, in face sides.
        max_reach: how far at most, however long ago, in face sides.
        max_growth: by what factor its side changes at most.
        max_change: how different it may look, see `appearance.distance`. Measured through
            `Perception` on real talking faces of 100 px and more: 0.42 ended no track falsely in
            11 minutes and caught 394 of 394 cuts to another person in the same place at their
            first frame; of 12 612 cuts made up between stills of training clips it would miss
            0.7 %. Below 30 px landmarks are too rough: 11 false ends per minute.
        memory_s: half-life, in media seconds, of the appearance of a track's face.
    """

    max_tracks: Annotated[int, Field(ge=1, le=1024)] = 64
    max_unseen_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    max_jump: Annotated[float, Field(ge=0, le=1000)] = 0.5
    max_speed: Annotated[float, Field(ge=0, le=1000)] = 2.0
    max_reach: Annotated[float, Field(ge=0, le=1000)] = 1.0
    max_growth: Annotated[float, Field(ge=1, le=1000)] = 1.6
    max_change: Annotated[float, Field(ge=0, le=10)] = 0.42
    memory_s: Annotated[float, Field(gt=0, le=3600)] = 0.5


@dataclass(frozen=True, slots=True)
class AnchorSettings:
    """When an anchor moves; lengths are in 256-pixel template space.

    Attributes:
        settle_frames: frames whose mean makes the settled anchor.
        half_life_s: media seconds after which a point counts half in the smoothed ones.
        max_shift_px: how far the centroid may stray.
        max_scale: how far the scale may stray, as a fraction.
        max_roll_deg: how far the face may tilt.
        far: one frame that strays this many times further restarts the smoothing.
    """

    settle_frames: Annotated[int, Field(ge=1, le=10_000)] = 8
    half_life_s: Annotated[float, Field(gt=0, le=3600)] = 0.5
    max_shift_px: Annotated[float, Field(ge=0, le=1000)] = 12.0
    max_scale: Annotated[float, Field(ge=0, le=1000)] = 0.12
    max_roll_deg: Annotated[float, Field(ge=0, le=180)] = 10.0
    far: Annotated[float, Field(ge=1, le=1000)] = 3.0
