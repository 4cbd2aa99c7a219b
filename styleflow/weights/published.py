"""The authors' files: how they are laid out, what they turn into, and where they are published.

Our networks carry the authors' names, so a translation is little more than taking off wrappers.
Nothing here reads a file; `styleflow.weights.importing` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from styleflow.detectors.caddm import network as caddm
from styleflow.detectors.caddm.network import Caddm, CaddmDims
from styleflow.detectors.fakestormer import network as fakestormer
from styleflow.detectors.fakestormer.network import FakeStormer, FakeStormerDims

WRAPPERS = ("network", "state_dict", "model_state_dict", "model_state", "model")
"""Keys under which programs keep tensors beside other things, one inside another at times."""

PREFIXES = ("module.", "model.")
"""What wrappers leave in front of every name: data parallelism, and whoever keeps a `model`."""

_DEEPEST = 3  # so many wrappers, or prefixes, are taken off; a file may contain itself


@dataclass(frozen=True, slots=True)
class Publication:
    """Where a file of weights comes from, for people.

    Attributes:
        file: its published name, or how that name ends; capitals where none is published.
        page: where the authors publish it.
        licence: what it may be used for, as far as the authors say.
        paper: the method's paper.
    """

    file: str
    page: str
    licence: str
    paper: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How one detector's published file is laid out.

    Attributes:
        kind: the detector, a key of `styleflow.weights.checkpoint.KINDS`.
        dimensions: of the published weights.
        network: builds the network from its dimensions.
        wrapper: key under which the file keeps the tensors, beside optimiser state and the like.
        dead: beginnings of tensor names that no score depends on; a file may leave them out.
        publication: where the file comes from.
    """

    kind: str
    dimensions: CaddmDims | FakeStormerDims
    network: type[nn.Module]
    wrapper: str
    dead: tuple[str, ...]
    publication: Publication

    def expected(self) -> dict[str, Tensor]:
        """Return every tensor's name, shape and type, without contents (on the meta device)."""
        with torch.device("meta"):
            return self.network(self.dimensions).state_dict()

    def is_dead(self, name: str) -> bool:
        """Say whether a tensor may be missing because nothing reads it."""
        return name.startswith(self.dead) or name.endswith(".num_batches_tracked")


def unwrap(content: Any, wrapper: str = "") -> dict[str, Any]:
    """Return the tensors by name that a file's content holds.

    Takes them from under the wrappers that there are, and takes off the prefixes that all names
    have.

    Args:
        content: what the file holds.
        wrapper: where the authors keep them; looked for before any other of `WRAPPERS`.

    Raises:
        ValueError: the content is no collection of names.
    """
    content = inside(content, wrapper)
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"holds no tensors by name, neither at its top nor under {WRAPPERS}")
    return bare(dict(content))


def inside(content: Any, wrapper: str = "") -> Any:
    """Return what is wrapped in a file's content, or the content itself."""
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        named = (content.get(key) for key in (wrapper, *WRAPPERS))
        content = next((value for value in named if isinstance(value, Mapping)), content)
    return content


def bare(named: dict[str, Any]) -> dict[str, Any]:
    """Return tensors by name without the prefixes that all of the names have."""
    for _ in range(_DEEPEST):
        for prefix in PREFIXES:
            if named and all(name.startswith(prefix) for name in named):
                named = {name.removeprefix(prefix): value for name, value in named.items()}
    return named


_CADDM_PAPER = "Implicit Identity Leakage (Dong et al., CVPR 2023), arXiv 2210.14457"
_FAKESTORMER_PAPER = (
    "Vulnerability-Aware Spatio-Temporal Learning (Nguyen et al., ICCV 2025), arXiv 2501.01184"
)


def _caddm(name: str) -> Layout:
    backbone = name.removeprefix("caddm-")
    return Layout(
        kind=name,
        dimensions=CaddmDims(backbone=backbone),
        network=Caddm,
        wrapper="network",
        dead=("base_model.fc.", "base_model._fc."),
        publication=Publication(
            file=f"{backbone}.pkl",
            page="https://github.com/megvii-research/CADDM (link to Google Drive in its README)",
            licence="code Apache-2.0; the weights come without a word of their own; trained on "
            "FaceForensics++, which is for research",
            paper=_CADDM_PAPER,
        ),
    )


def _fakestormer(name: str, ending: str) -> Layout:
    return Layout(
        kind=name,
        dimensions=FakeStormerDims(),
        network=FakeStormer,
        wrapper="state_dict",
        dead=("backbone.temp_token", "backbone.norm_t_cls."),
        publication=Publication(
            file=f"…{ending}.pth",
            page="https://github.com/10Ring/FakeSTormer (link in its README)",
            licence="academic and research use only (SnT academic licence, University of "
            "Luxembourg); any other use needs the authors' agreement",
            paper=_FAKESTORMER_PAPER,
        ),
    )


LAYOUTS: dict[str, Layout] = {
    **{name: _caddm(name) for name in caddm.NAMES},
    **{
        name: _fakestormer(name, ending)
        for name, ending in zip(
            fakestormer.NAMES,
            (
                "temp_normlms_IN_model_best",
                "temp_normlms_gaussian_abl_model_best",
                "normlms_normREALtarget_model_best",
            ),
            strict=True,
        )
    },
}
"""Detectors whose published files can be imported."""
