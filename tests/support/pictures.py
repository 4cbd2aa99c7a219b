"""A small source of pictures for pairs."""

import numpy as np

from styleflow.data.pseudo_fakes.kinds import Portrait
from styleflow.data.pseudo_fakes.restyling import pyramid_styles
from styleflow.training.styleflow_live.picture_pairs import PictureSource, mirror_partners
from tests.support.clips import face_clip


def source() -> PictureSource:
    """Return two people on film, two stills, a network that draws all darker, and octaves."""
    people = {
        ("studio", who): [
            Portrait(frame, mesh) for frame, mesh in zip(clip.frames, clip.meshes, strict=True)
        ]
        for who, clip in (("anna", face_clip(2, 0)), ("bert", face_clip(2, 1)))
    }
    stills = [
        Portrait(c.frames[0], c.meshes[0]) for c in (face_clip(1, 2, 64), face_clip(1, 3, 64))
    ]
    partners = mirror_partners([portrait.mesh for portrait in stills])
    return PictureSource(
        people,
        stills,
        (lambda frames: np.asarray(frames // 2, np.uint8),),
        pyramid_styles(32),
        partners,
    )
