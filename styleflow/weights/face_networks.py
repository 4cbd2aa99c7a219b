"""Weights of the face networks: origin, conversion and place in the cache.

The published graphs travel inside the wheel `mediapipe==0.10.21` (Apache-2.0). `fetch` downloads
that one wheel as a plain file (nothing of it is installed or imported), checks digests, converts
the two graphs to a safetensors file in the user's cache directory, and verifies the result on an
input and outputs recorded once with the TFLite runtime.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from styleflow.errors import WeightsMissing, WeightsUnusable
from styleflow.faces.detect import BlazeFace
from styleflow.faces.finder import FaceFinder
from styleflow.faces.mesh import FaceMesh
from styleflow.faces.networks import BlazeFaceNet, FaceMeshNet
from styleflow.runtime_settings import RuntimeSettings
from styleflow.weights.cache import REMEDY, is_intact, store
from styleflow.weights.downloads import Wheel, download, member
from styleflow.weights.places import cache_dir
from styleflow.weights.tflite_graph import Layer, layers

Net = TypeVar("Net", bound=nn.Module)

MODEL = "face detector and mesh"
# The wheel is only a container, so one build is named for every machine: cp311 on x86-64 Linux.
_CHOICE = (
    ("--only-binary", ":all:"),
    ("--platform", "manylinux_2_28_x86_64"),
    ("--implementation", "cp"),
    ("--python-version", "3.11"),
    ("--abi", "cp311"),
)
WHEEL = Wheel(
    "mediapipe==0.10.21",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    tuple(word for option in _CHOICE for word in option),
)


@dataclass(frozen=True, slots=True)
class _Graph:
    """One published graph: its name in our file, its place in the wheel, and its digest."""

    name: str
    member: str
    sha256: str


DETECTOR = _Graph(
    "detector",
    "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
)
_MESH = _Graph(
    "mesh",
    "mediapipe/modules/face_landmark/face_landmark.tflite",
    "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
)

_FILE = "faces-1.safetensors"  # counts up when layers are renamed
_CHECK = "face_models_check.npz"
_TOLERANCE = 2e-3  # 1.2e-4 was measured against LiteRT, on outputs up to 142


def weights_path() -> Path:
    """Return the file that `fetch` writes and `load_finder` reads."""
    return cache_dir() / _FILE


def graphs_dir() -> Path:
    """Return the folder that keeps networks as this machine's runtime wants them."""
    return cache_dir() / "graphs"


def load_finder(
    device: torch.device | str = "cpu", runtime: RuntimeSettings | None = None
) -> FaceFinder:
    """Return a face finder with the published weights.

    Args:
        device: where its networks run.
        runtime: what runs them, made ready at once; PyTorch when None.

    Raises:
        WeightsMissing: `fetch` has not been run on this machine.
        WeightsUnusable: the file is there but does not fit the networks.
    """
    detector, mesh = load(weights_path())
    eye = BlazeFace(detector.to(device), runtime=runtime)
    finder = FaceFinder(eye, FaceMesh(mesh.to(device), runtime))
    if runtime is not None:
        finder.warm_up()
    return finder


def fetch(wheel: Path | None = None, progress: Callable[[str], None] | None = None) -> Path:
    """Make sure that the face weights are in the cache, and return their path.

    Quick when they are already there and unharmed.

    Args:
        wheel: a mediapipe wheel at hand, for machines without a network; downloaded when None.
            Any build of it will do that contains the two graphs byte for byte.
        progress: told in a few words what is being done.

    Raises:
        WeightsUnusable: the download failed, a digest differs, or the converted networks do not
            reproduce the recorded outputs.
    """
    say = progress or _say_nothing
    path = weights_path()
    if is_intact(path):
        say("face weights are up to date")
        return path
    with tempfile.TemporaryDirectory(prefix="styleflow-") as folder:
        if wheel is None:
            say(f"downloading {WHEEL.name} (36 MB) for its two face networks")
            wheel = download(WHEEL, Path(folder), MODEL)
        say("converting the face networks")
        detector = _convert(BlazeFaceNet(), DETECTOR, wheel)
        mesh = _convert(FaceMeshNet(), _MESH, wheel)
    say("verifying them on a recorded picture")
    verify(detector, mesh)
    save(path, detector, mesh)
    say(f"face weights are ready: {path}")
    return path


def _say_nothing(_: str) -> None:
    return None


def _convert(net: Net, graph: _Graph, wheel: Path) -> Net:
    return fill(net, graph.name, layers(member(wheel, graph.member, graph.sha256, MODEL)))


def fill(net: Net, name: str, published: tuple[Layer, ...]) -> Net:
    """Give a network the weights of published layers, in their order.

    Raises:
        WeightsUnusable: number or shape of the layers differ.
    """
    ours = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.PReLU)]
    if len(ours) != len(published):
        reason = f"{name} graph has {len(published)} layers, expected {len(ours)}"
        raise WeightsUnusable(MODEL, reason)
    with torch.no_grad():
        for index, (module, layer) in enumerate(zip(ours, published, strict=True)):
            if tuple(module.weight.shape) != layer.weight.shape:
                reason = f"{name} layer {index} is {layer.weight.shape}"
                raise WeightsUnusable(MODEL, f"{reason}, expected {tuple(module.weight.shape)}")
            module.weight.copy_(torch.from_numpy(layer.weight))
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                module.bias.copy_(torch.from_numpy(layer.bias))
    return net


def verify(detector: BlazeFaceNet, mesh: FaceMeshNet) -> None:
    """Compare with what the TFLite runtime answered for the recorded picture."""
    with resources.as_file(resources.files("styleflow.faces") / _CHECK) as file, np.load(file) as f:
        recorded = {name: f[name] for name in f.files}
    picture = torch.from_numpy(recorded["image"]).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        boxes, scores = detector.eval()(picture / 127.5 - 1.0)
        landmarks, presence = mesh.eval()(picture / 255.0)
    answers = {
        "boxes": boxes[0][torch.from_numpy(recorded["cells"])],
        "scores": scores[0],
        "landmarks": landmarks[0],
        "presence": presence[0],
    }
    for name, answer in answers.items():
        difference = float(np.abs(answer.numpy() - recorded[name]).max())
        if not difference <= _TOLERANCE:
            reason = f"{name} differ from the recorded ones by {difference:.2g}"
            raise WeightsUnusable(MODEL, f"{reason}, allowed {_TOLERANCE:.2g}")


def save(path: Path, detector: nn.Module, mesh: nn.Module) -> None:
    """Write the weights of both networks to one file."""
    tensors = {f"{DETECTOR.name}.{k}": v for k, v in detector.state_dict().items()}
    tensors |= {f"{_MESH.name}.{k}": v for k, v in mesh.state_dict().items()}
    try:
        store(path, tensors, {"source": WHEEL.name, "licence": "Apache-2.0"})
    except OSError as error:
        raise WeightsUnusable(MODEL, f"cannot be stored: {error}") from error


def load(path: Path) -> tuple[BlazeFaceNet, FaceMeshNet]:
    """Return both networks with the weights of a file.

    Raises:
        WeightsMissing: there is no such file.
        WeightsUnusable: it holds something else.
    """
    if not path.is_file():
        raise WeightsMissing(MODEL, path, REMEDY)
    detector, mesh = BlazeFaceNet(), FaceMeshNet()
    try:
        tensors = safetensors.torch.load_file(path)
        detector.load_state_dict(_part(tensors, DETECTOR.name))
        mesh.load_state_dict(_part(tensors, _MESH.name))
    except (safetensors.SafetensorError, RuntimeError) as error:
        # RuntimeError is torch's word for tensors that do not fit the module.
        raise WeightsUnusable(MODEL, f"{path} is damaged; run: {REMEDY}") from error
    return detector, mesh


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
