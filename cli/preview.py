"""`styleflow preview`: a contact sheet of every kind of pseudo-fake, for people to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from cli import drawing
from stream.ingest.demo_scene import Scene
from styleflow.data.degradations.video import random_degradation
from styleflow.data.pseudo_fakes.contact_sheet import MOMENTS, SheetRow, sheet_rows
from styleflow.data.pseudo_fakes.kinds import FaceClip, Materials, Portrait
from styleflow.data.pseudo_fakes.restyling import pyramid_styles
from styleflow.data.video import Frames, follow_face, read_frames
from styleflow.errors import VideoUnusable
from styleflow.faces.finder import FaceFinder
from styleflow.weights.face_networks import load_finder

_COLUMNS = ("replaced (in red)", "difference x 4", "after camera and codec")
_DPI = 100
_STYLE_PX = 64  # side of the pictures that octaves are mixed on


@dataclass(frozen=True, slots=True)
class PreviewSettings:
    """How a contact sheet is drawn.

    Attributes:
        frames: how much of the video is used.
        size_px: side of each picture.
        seed: decides the draws.
    """

    frames: int = 40
    size_px: int = 160
    seed: int = 0


def run(
    video: Path | None,
    other: Path | None,
    picture: Path,
    seed: int,
    console: Console,
) -> None:
    """Write a contact sheet of one video, or of the demo's portrait.

    Args:
        video: whose face is faked; the portrait when None.
        other: a video of somebody else, whose first face is lent; the portrait mirrored when None.
        picture: the PNG to write.
        seed: decides the draws.
        console: told where the picture is.

    Raises:
        VideoUnusable: a video cannot be read or shows no face.
    """
    settings = PreviewSettings(seed=seed)
    finder = load_finder()
    with console.status("drawing pseudo-fakes"):
        clip = _clip(video, settings, finder)
        lent = _clip(other, settings, finder, mirrored=True)
        materials = Materials(
            [Portrait(lent.frames[0], lent.meshes[0])], [_coarse], pyramid_styles(_STYLE_PX)
        )
        degradation = random_degradation(np.random.default_rng([seed, len(clip.frames)]))
        draw(sheet_rows(clip, materials, seed, settings.size_px, degradation), picture)
    console.print(f"wrote {picture}", markup=False, highlight=False)


def draw(rows: Sequence[SheetRow], picture: Path) -> None:
    """Draw the rows of a contact sheet with their names."""
    drawing.load()
    from matplotlib import pyplot as plt

    size = rows[0].moments.shape[1]
    columns = MOMENTS + len(_COLUMNS)
    figure, grid = plt.subplots(
        len(rows),
        columns + 1,
        figsize=((columns + 1.35) * (size + 8) / _DPI, len(rows) * (size + 8) / _DPI + 0.4),
        gridspec_kw={"width_ratios": [1.35] + [1.0] * columns, "wspace": 0.03, "hspace": 0.03},
        squeeze=False,
    )
    figure.subplots_adjust(
        left=0.005, right=0.995, bottom=0.005, top=1 - 0.4 / figure.get_figheight()
    )
    for row, axes in zip(rows, grid, strict=True):
        for axis in axes:
            axis.axis("off")
        axes[0].text(0.0, 0.85, row.kind, weight="bold", size=11, va="top")
        axes[0].text(0.0, 0.70, textwrap.fill(row.about, 28), size=8, va="top")
        pictures = (*row.moments, row.replaced, row.difference, row.degraded)
        for axis, shown in zip(axes[1:], pictures, strict=True):
            axis.imshow(shown, interpolation="nearest")
    for axis, title in zip(grid[0][1 + MOMENTS :], _COLUMNS, strict=True):
        axis.set_title(title, size=9)
    grid[0][1].set_title("four moments", size=9, loc="left")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=_DPI)
    plt.close(figure)


def _clip(
    video: Path | None, settings: PreviewSettings, finder: FaceFinder, *, mirrored: bool = False
) -> FaceClip:
    """Return a video's pictures and landmarks; without a video the demo's portrait speaks."""
    if video is None:
        frames = _portrait(settings)
        frames = np.ascontiguousarray(frames[:, :, ::-1]) if mirrored else frames
    else:
        frames = read_frames(video, settings.frames)
    face = follow_face(frames, finder)
    if face is None:
        raise VideoUnusable(video or Path("demo"), "it shows no face")
    return FaceClip(frames, face.meshes)


def _portrait(settings: PreviewSettings) -> Frames:
    scene = Scene((640, 480), 25.0, settings.seed)
    return np.stack([scene.authentic(index) for index in range(settings.frames)])


def _coarse(frames: Frames) -> Frames:
    """Stand in for a redrawing network."""
    return np.stack([cv2.resize(cv2.pyrDown(f), f.shape[1::-1]) for f in frames]).astype(np.uint8)
