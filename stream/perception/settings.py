"""Settings of perception; values only, without cv2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from styleflow.faces.settings import AnchorSettings, TrackerSettings


@dataclass(frozen=True, slots=True)
class PerceptionSettings:
    """How often and how closely a stream's pictures are searched for faces.

    Attributes:
        detect_every: sampled frames from one detection in the whole picture to the next, at
            least 1.
        tiles: how closely small faces are searched for, see `BlazeFace.detect`; 0 never does.
        tiles_every: sampled frames from one such closer search to the next, at least 1; when a face
            has gone from sight, `detect_every` of them.
        retry_every: while no face is in view, sampled frames from one detection to the next.
        doubt_every: minimum frames between re-detections for uncertain identity, at least 1, which
            allows one at every frame. Made rarer like all detections under overload; a track whose
            re-detection is not due ends at once.
        max_faces: faces that are followed at once in one stream, and no more than
            `tracker.max_tracks`. Those beyond take turns, and no verdict on the stream is clear
            meanwhile. Each takes a slot of the device and, at every sampled frame, about 3.3 ms of
            a CPU core (measured with styleflow-live): at 12.5 Hz a call of 25 fills one core.
        turn_s: media seconds for which a face is followed before it makes room for one that waits.
            Too short for the detector's warming up and dwelling, and no face gets a verdict.
        min_face_px: faces with a smaller side are left alone, in source pixels.
        tracker: when a face is still the same face.
        anchor: when a track's crop is framed anew.
    """

    detect_every: Annotated[int, Field(ge=1, le=100_000)] = 5
    tiles: Annotated[int, Field(ge=0, le=8)] = 1
    tiles_every: Annotated[int, Field(ge=1, le=100_000)] = 50
    retry_every: Annotated[int, Field(ge=1, le=100_000)] = 2
    doubt_every: Annotated[int, Field(ge=1, le=100_000)] = 1
    max_faces: Annotated[int, Field(ge=1, le=256)] = 32
    turn_s: Annotated[float, Field(gt=0, le=3600)] = 4.0
    min_face_px: Annotated[float, Field(ge=0, le=10_000)] = 20.0
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    anchor: AnchorSettings = field(default_factory=AnchorSettings)
