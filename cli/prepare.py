"""`styleflow prepare`: what a training run needs, made once; and a preview of pseudo-fakes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from styleflow.data.face_weights import load_finder
from styleflow.data.prepare import follow_face, read_frames
from styleflow.data.pseudo_fakes import FaceClip, Materials, Portrait
from styleflow.errors import VideoUnusable
from styleflow.training.pipeline import Workshop, preview
from styleflow.training.recipe import PreviewSettings, read_recipe


def run(recipe: Path, clips: Path, work: Path, part: int = 0, parts: int = 1) -> None:
    """Make what training needs; what is there already is kept.

    Args:
        recipe: YAML file of `configs/train/`.
        clips: folder with `manifest.csv` and `faces.csv`.
        work: folder of results.
        part: which share of the windows is made here.
        parts: how many processes share them.
    """
    out = Console(stderr=True)
    shop = Workshop(clips, work, read_recipe(recipe), load_finder(), lambda text: out.log(text))
    with out.status(f"preparing {clips}"):
        shop.prepare(part, parts)
    out.print(f"prepared: {work}", markup=False, highlight=False)


def sheet(video: Path, portrait: Path, picture: Path, settings: PreviewSettings) -> None:
    """Write a contact sheet of every kind of pseudo-fake of one video.

    Args:
        video: whose face is faked.
        portrait: a video of somebody else, whose first face is lent.
        picture: the PNG to write.
        settings: size and seed.

    Raises:
        VideoUnusable: a video cannot be read or shows no face, or the picture cannot be written.
    """
    finder = load_finder()
    clips = []
    for path in (video, portrait):
        frames = read_frames(path, settings.frames)
        face = follow_face(frames, finder)
        if face is None:
            raise VideoUnusable(path, "it shows no face")
        clips.append(FaceClip(frames, face.meshes))
    clip, other = clips
    materials = Materials([Portrait(other.frames[0], other.meshes[0])], [_coarse])
    image = preview(clip, materials, np.random.default_rng(settings.seed), settings.size_px)
    if not cv2.imwrite(str(picture), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise VideoUnusable(picture, "the contact sheet cannot be written")


def _coarse(frames: np.ndarray) -> np.ndarray:
    """Stand in for a redrawing network, which a preview has not trained."""
    return np.stack([cv2.resize(cv2.pyrDown(f), f.shape[1::-1]) for f in frames])
