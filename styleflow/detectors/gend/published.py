"""Published files of GenD: one encoder each, as a model of the Hugging Face hub.

Such a model is two files: `model.safetensors` holds the encoder under `feature_extractor.` in the
names of the library it came from (transformers or timm) and the head under `model.linear.`;
`config.json` says which encoder it is and whether features are brought to length one. No tensor
tells the latter, so both files are needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from styleflow.detectors.authors_files import (
    AuthorsFile,
    Conversion,
    Likeness,
    Owners,
    Publication,
    SingleFile,
)
from styleflow.detectors.gend.entry import NAMES
from styleflow.detectors.gend.network import ENCODERS, Gend, GendDims
from styleflow.detectors.layers.vision_transformer import resampled_positions
from styleflow.errors import CheckpointInvalid

CONFIG = "config.json"
"""Name of the file that says which encoder and which head."""

HEADS = {"linear": False, "LinearNorm": True}
"""Heads by the name in `config.json`: whether features are brought to length one first."""

FEATURES = "feature_extractor."

_HEAD = {"model.linear.weight": "head.weight", "model.linear.bias": "head.bias"}

_CLIP = (
    (r"embeddings\.class_embedding", "class_token"),
    (r"embeddings\.patch_embedding\.weight", "patch.weight"),
    (r"embeddings\.position_embedding\.weight", "positions"),
    (r"pre_layrnorm\.(weight|bias)", r"norm_first.\1"),
    (r"encoder\.layers\.(\d+)\.layer_norm([12])\.(weight|bias)", r"blocks.\1.norm\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)", r"blocks.\1.attention.query.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn\.k_proj\.(weight|bias)", r"blocks.\1.attention.key.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn\.v_proj\.(weight|bias)", r"blocks.\1.attention.value.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(weight|bias)", r"blocks.\1.attention.out.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(weight|bias)", r"blocks.\1.mlp.\2.\3"),
    (r"post_layernorm\.(weight|bias)", r"norm.\1"),
)
_PE = (
    (r"cls_token", "class_token"),
    (r"pos_embed", "positions"),
    (r"patch_embed\.proj\.weight", "patch.weight"),
    (r"norm_pre\.(weight|bias)", r"norm_first.\1"),
    (r"blocks\.(\d+)\.norm([12])\.(weight|bias)", r"blocks.\1.norm\2.\3"),
    (r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)", r"blocks.\1.attention.qkv.\2"),
    (r"blocks\.(\d+)\.attn\.proj\.(weight|bias)", r"blocks.\1.attention.out.\2"),
    (r"blocks\.(\d+)\.mlp\.(fc[12])\.(weight|bias)", r"blocks.\1.mlp.\2.\3"),
    (r"norm\.(weight|bias)", r"norm.\1"),
    (r"attn_pool\.latent", "pool.question"),
    (r"attn_pool\.q\.(weight|bias)", r"pool.query.\1"),
    (r"attn_pool\.kv\.(weight|bias)", r"pool.key_value.\1"),
    (r"attn_pool\.proj\.(weight|bias)", r"pool.out.\1"),
    (r"attn_pool\.norm\.(weight|bias)", r"pool.norm.\1"),
    (r"attn_pool\.mlp\.(fc[12])\.(weight|bias)", r"pool.mlp.\1.\2"),
)
_DINOV3 = (
    (r"embeddings\.cls_token", "class_token"),
    (r"embeddings\.register_tokens", "register_tokens"),
    (r"embeddings\.patch_embeddings\.(weight|bias)", r"patch.\1"),
    (r"layer\.(\d+)\.norm([12])\.(weight|bias)", r"blocks.\1.norm\2.\3"),
    (r"layer\.(\d+)\.attention\.q_proj\.(weight|bias)", r"blocks.\1.attention.query.\2"),
    (r"layer\.(\d+)\.attention\.k_proj\.weight", r"blocks.\1.attention.key.weight"),
    (r"layer\.(\d+)\.attention\.v_proj\.(weight|bias)", r"blocks.\1.attention.value.\2"),
    (r"layer\.(\d+)\.attention\.o_proj\.(weight|bias)", r"blocks.\1.attention.out.\2"),
    (r"layer\.(\d+)\.layer_scale([12])\.lambda1", r"blocks.\1.scale\2"),
    (r"layer\.(\d+)\.mlp\.up_proj\.(weight|bias)", r"blocks.\1.mlp.fc1.\2"),
    (r"layer\.(\d+)\.mlp\.down_proj\.(weight|bias)", r"blocks.\1.mlp.fc2.\2"),
    (r"norm\.(weight|bias)", r"norm.\1"),
)


@dataclass(frozen=True, slots=True)
class Library:
    """The library that an encoder comes from: how it names tensors.

    Attributes:
        holder: what stands in front of the encoder's names, behind `feature_extractor.`; once, or
            twice where a model was wrapped again.
        rules: the library's names, as patterns, and ours.
        unused: beginnings of names that no feature depends on.
        nested: what newer versions of the library put in front of some names.
    """

    holder: str
    rules: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()
    nested: str = ""

    def renamed(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return tensors under our names; names that no rule knows stay as they are."""
        ours: dict[str, Any] = {}
        for name, value in tensors.items():
            known = _HEAD.get(name) or self._encoder_name(name)
            if known is None:
                ours[name] = value
            elif known:
                ours[known] = _shaped(known, value)
        return ours

    def _encoder_name(self, name: str) -> str | None:
        """Return our name of an encoder's tensor; empty where it is unused, None where unknown."""
        if not name.startswith(FEATURES):
            return None
        inner = name.removeprefix(FEATURES)
        if inner.startswith(self.unused):
            return ""
        if not inner.startswith(self.holder):
            return None
        while inner.startswith(self.holder):
            inner = inner.removeprefix(self.holder)
        inner = inner.removeprefix(self.nested)
        if inner.startswith(self.unused):
            return ""
        for pattern, ours in self.rules:
            if (match := re.fullmatch(pattern, inner)) is not None:
                return f"encoder.{match.expand(ours)}"
        return None


CLIP = Library(
    holder="vision_model.",
    rules=_CLIP,
    unused=("visual_projection.", "embeddings.position_ids"),
)
PERCEPTION = Library(holder="backbone.", rules=_PE)
DINOV3 = Library(
    holder="backbone.",
    rules=_DINOV3,
    unused=("embeddings.mask_token", "rope_embeddings."),
    nested="model.",
)


def _shaped(name: str, value: Any) -> Any:
    """Return a tensor in our shape: tokens and positions have a batch of one."""
    if not isinstance(value, Tensor):
        return value
    if name == "encoder.class_token":
        return value.reshape(1, 1, -1)
    if name == "encoder.positions":
        return value if value.ndim == 3 else value[None]
    return value


def perception_tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return Perception Encoder's tensors under our names, its positions for pictures of 224 px.

    timm keeps those of its training, 24 x 24, and resamples them, averaging, for every picture.
    """
    ours = PERCEPTION.renamed(tensors)
    side = ENCODERS["pe-l"].vit.grid
    positions = ours.get("encoder.positions")
    if isinstance(positions, Tensor) and positions.ndim == 3 and positions.shape[1] == 1 + 24**2:
        ours["encoder.positions"] = resampled_positions(positions, side, side, averaging=True)
    return ours


@dataclass(frozen=True, slots=True)
class GendFiles:
    """The two files of one published GenD.

    Attributes:
        tensors: the layout of `model.safetensors`.
        config: where `config.json` comes from.
        backbones: what the encoder may be called in it; part of the name is enough.
    """

    tensors: SingleFile
    config: Publication
    backbones: tuple[str, ...]

    @property
    def publications(self) -> tuple[Publication, ...]:
        """The tensors, and what says how to read them."""
        return self.tensors.publication, self.config

    @property
    def dimensions(self) -> Any:
        """Dimensions of the published weights."""
        return self.tensors.dimensions

    def likeness(self, content: Any) -> Likeness | None:
        """Return how a file's content compares; see `PublishedFiles`."""
        if not is_config(content):
            return self.tensors.likeness(content)
        if not self._is_ours(content):
            return None
        report = f"configuration of {content['backbone']} with the head {content['head']}"
        return Likeness(self.tensors.name, report, 0, whole=False, extra=(), certain=True)

    def convert(self, files: Sequence[AuthorsFile], owners: Owners) -> Conversion:
        """Return what the files become; see `PublishedFiles`."""
        heads, weights = _sorted(files)
        dimensions = self._dimensions(heads[0])
        made = replace(self.tensors, dimensions=dimensions).convert(weights, owners)
        head = "of length one" if dimensions.unit_length else "as they are"
        said = f"{made.provenance} Features go into the head {head}, as {CONFIG} says."
        return replace(made, provenance=said)

    def _is_ours(self, config: Mapping[str, Any]) -> bool:
        backbone = str(config["backbone"]).lower()
        return any(name in backbone for name in self.backbones)

    def _dimensions(self, file: AuthorsFile) -> GendDims:
        """Return the dimensions that a `config.json` describes. Raises CheckpointInvalid."""
        config = file.read()
        name, head = self.tensors.name, config.get("head")
        if not self._is_ours(config):
            reason = f"is for the encoder {config['backbone']!r}, not that of {name}"
            raise CheckpointInvalid(file.path, reason)
        if head not in HEADS:
            known = ", ".join(HEADS)
            raise CheckpointInvalid(file.path, f"names a head {head!r}; known are {known}")
        published: GendDims = self.tensors.dimensions
        return replace(published, unit_length=HEADS[head])


def is_config(content: Any) -> bool:
    """Say whether a file's content is GenD's `config.json`."""
    return (
        isinstance(content, Mapping)
        and isinstance(content.get("backbone"), str)
        and isinstance(content.get("head"), str)
    )


def _sorted(files: Sequence[AuthorsFile]) -> tuple[list[AuthorsFile], list[AuthorsFile]]:
    """Return the configuration and the files of tensors. Raises CheckpointInvalid.

    A configuration that was not named is taken from beside the tensors, where downloads put it.
    """
    configs = [file for file in files if file.path.suffix == ".json"]
    weights = [file for file in files if file.path.suffix != ".json"]
    if not weights:
        raise CheckpointInvalid(files[0].path, "holds no tensors: name model.safetensors, too")
    beside = weights[0].path.with_name(CONFIG)
    if not configs and beside.is_file():
        configs = [replace(weights[0], path=beside)]
    if len(configs) != 1:
        reason = f"needs one {CONFIG} beside it or named after it: it says how to read the features"
        raise CheckpointInvalid(weights[0].path, reason)
    if not is_config(configs[0].read()):
        raise CheckpointInvalid(configs[0].path, "names no backbone and head: it is not GenD's")
    return configs, weights


_PAPER = (
    "Deepfake Detection that Generalizes Across Benchmarks (Yermakov et al., WACV 2026), "
    "arXiv 2508.06248"
)
_LICENCES = {
    "gend-clip-l14": "GenD MIT; encoder CLIP MIT",
    "gend-pe-l": "GenD MIT; encoder Perception Encoder Apache-2.0",
    "gend-dinov3-l": "GenD MIT; encoder under the DINOv3 License, which has terms of its own",
}
_HUB = {
    "gend-clip-l14": "GenD_CLIP_L_14",
    "gend-pe-l": "GenD_PE_L",
    "gend-dinov3-l": "GenD_DINOv3_L",
}
_BACKBONES = {"gend-clip-l14": ("clip",), "gend-pe-l": ("vit_pe",), "gend-dinov3-l": ("dinov3",)}
_RENAMING = {
    "gend-clip-l14": CLIP.renamed,
    "gend-pe-l": perception_tensors,
    "gend-dinov3-l": DINOV3.renamed,
}


def _publication(name: str, file: str) -> Publication:
    page = f"https://huggingface.co/yermandy/{_HUB[name]}"
    return Publication(file, page, _LICENCES[name], _PAPER)


def _files(name: str) -> GendFiles:
    return GendFiles(
        tensors=SingleFile(
            name=name,
            dimensions=GendDims(encoder=name.removeprefix("gend-")),
            network=Gend,
            wrapper="",
            dead=(),
            publication=_publication(name, "model.safetensors"),
            renaming=_RENAMING[name],
        ),
        config=_publication(name, CONFIG),
        backbones=_BACKBONES[name],
    )


PUBLISHED = {name: _files(name) for name in NAMES}
"""The authors' files of each detector."""
