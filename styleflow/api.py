"""Public functions of the package; `styleflow/__init__.py` lists all that is public.

`analyze` runs a video through the live path, which lies in `stream`, above this package. Nothing
here imports it: the function is found by its name when it is called. That is the one way up from
`styleflow`, and the architecture test knows it by this module's name.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from styleflow.detectors.registry import BUILT_IN, find
from styleflow.runtime_settings import RuntimeSettings

if TYPE_CHECKING:
    from styleflow.analysis import Analysis
    from styleflow.detectors.protocol import Detector
    from styleflow.weights.checkpoint import Checkpoint

LIVE_PATH = "stream.offline.library:analyze"
"""Where `analyze` finds the live path: `module:function`."""

StrPath = str | os.PathLike[str]
"""A path, as the standard library takes it."""


def load_detector(
    name: str = BUILT_IN,
    weights: StrPath | Sequence[StrPath] | None = None,
    *,
    device: str = "cpu",
) -> Detector:
    """Return a deepfake detector with its weights, ready for `analyze`.

    Args:
        name: which detector: styleflow-live, styleflow, caddm-resnet34, fakestormer-c23 and others.
        weights: a checkpoint of ours, or the authors' file (StyleFlow has three); the weights in
            this package, or those that `styleflow checkpoints fetch` has brought, when None.
        device: where it computes: cpu, cuda or cuda:N.

    Raises:
        DetectorNotFound: no detector has this name; the error lists those that exist.
        DetectorWeightsMissing: only styleflow-live comes with weights; the error says where the
            others are published, or which file is not there.
        CheckpointInvalid: a file cannot be used, or belongs to another detector.
        WeightsMissing: the public picture network has not been fetched (`styleflow models fetch`).
    """
    find(name)
    from styleflow.runtime import accelerate
    from styleflow.weights.checkpoint import build
    from styleflow.weights.face_networks import graphs_dir

    detector = build(_checkpoint(name, weights), device)
    accelerate(detector, RuntimeSettings(cache=graphs_dir()))
    return detector


def analyze(
    video: StrPath,
    detector: Detector,
    *,
    seconds: float | None = None,
    progress: Callable[[float], None] | None = None,
    device: str = "cpu",
) -> Analysis:
    """Return what a video file scores, by the very path that watches live video.

    Every frame of the detector's cadence is looked at, at the machine's own pace. Same file and
    weights, same result on one CPU.

    Args:
        video: path of a video file.
        detector: from `load_detector`; one call at a time may use it.
        seconds: stop after this much media time; the whole video when None.
        progress: told the media seconds that have been analyzed, after every frame.
        device: where the detector was loaded.

    Raises:
        FileNotFoundError: there is no such file; the error names it.
        VideoUnusable: the file is no video, or cannot be decoded.
        WeightsMissing: the public face networks have not been fetched (`styleflow models fetch`).
    """
    module, _, function = LIVE_PATH.partition(":")
    live_path = getattr(importlib.import_module(module), function)
    found: Analysis = live_path(
        Path(video), detector, seconds=seconds, progress=progress, device=device
    )
    return found


def _checkpoint(name: str, given: StrPath | Sequence[StrPath] | None) -> Checkpoint:
    """Return the weights of a detector."""
    from styleflow.weights import importing
    from styleflow.weights.checkpoint import shipped
    from styleflow.weights.places import fetched

    if given is None:
        if name == BUILT_IN:
            return shipped()
        given = fetched(name)
        if given is None:
            raise importing.missing_weights(name, None)
    files = [given] if isinstance(given, str | os.PathLike) else given
    return importing.weights([Path(file) for file in files], name)
