"""A contact sheet of CADDM's samples, so that a person can see what the network is taught."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from styleflow.faces.face import Image
from styleflow.training.caddm.draws import GeneratorDraws
from styleflow.training.caddm.sample import Sample, make_sample
from styleflow.training.caddm.scenes import Origins

_COLUMNS, _ROWS = 8, 4  # the upper half is fake, the lower half real
_SIDE_PX = 112
_BOX = (255, 32, 32)  # RGB


def write_sheet(origins: Origins, seed: int, path: Path) -> None:
    """Write a sheet of samples as a PNG picture, which appears complete or not at all.

    Args:
        origins: what training draws from.
        seed: decides the samples.
        path: of the picture.

    Raises:
        OSError: it cannot be written.
    """
    sheet = cv2.cvtColor(contact_sheet(origins, np.random.default_rng(seed)), cv2.COLOR_RGB2BGR)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
    part.replace(path)


def contact_sheet(origins: Origins, rng: np.random.Generator) -> Image:
    """Return fake samples with their boxes above real ones, `(448, 896, 3)` RGB uint8.

    Where a swap left no trace there is a black place.
    """
    places = _COLUMNS * _ROWS // 2
    tiles = []
    for kind in (origins.fakes, origins.reals):
        for _ in range(places):
            scene = kind[int(rng.integers(len(kind)))].scene(rng)
            tiles.append(_tile(make_sample(scene, GeneratorDraws(rng))))
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    return np.vstack(rows)


def _tile(sample: Sample | None) -> Image:
    if sample is None:
        return np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
    crop = sample.crop.copy()
    for left, top, right, bottom in sample.boxes:
        cv2.rectangle(crop, (left, top), (right - 1, bottom - 1), _BOX, 2)
    small = cv2.resize(crop, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
