"""Settings of perception; values only, without cv2."""

from __future__ import annotations

from dataclasses import dataclass, field

from styleflow.faces.settings import AnchorSettings, TrackerSettings


@dataclass(frozen=True, slots=True)
class PerceptionSettings:
    """How closely a stream is looked at.

    Attributes:
        detect_every: sampled frames from one look at the whole picture to the next, at least 1.
        tiles: how closely small faces are looked for, see `BlazeFace.detect`; 0 never does.
        tiles_every: sampled frames from one such closer look to the next, at least 1.
        retry_every: while no face is in view, sampled frames from one look to the next.
        doubt_every: sampled frames from one look to the next that is taken for doubt alone, at
            least 1, which allows one at every frame. Made rarer like all looks where there is too
            much to do; a track whose look is not due ends at once.
        max_faces: faces per frame; the largest are kept.
        min_face_px: faces with a smaller side are left alone, in source pixels.
        tracker: when a face is still the same face.
        anchor: when a track's crop is framed anew.
    """

    detect_every: int = 5
    tiles: int = 1
    tiles_every: int = 50
    retry_every: int = 2
    doubt_every: int = 1
    max_faces: int = 8
    min_face_px: float = 20.0
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    anchor: AnchorSettings = field(default_factory=AnchorSettings)
