"""Weights, dimensions and calibration of one detector in one file that explains and proves itself.

The file is safetensors: a JSON header and raw tensors, nothing that could run. Its metadata holds
one JSON document, the manifest, with two digests. `sha256` covers the tensors and names the
weights wherever they are used; `seal` covers the manifest, so that neither dimensions nor
calibration nor training status can change unnoticed. They guard against damage, not against
somebody who writes a whole new file.

Which kinds of detector exist is said by `styleflow.detectors.registry`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import ViTDims
from styleflow.detectors.protocol import Detector
from styleflow.detectors.registry import BUILT_IN, DETECTORS
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.errors import CheckpointInvalid
from styleflow.weights import cache as published

FORMAT = 1
SHIPPED = "styleflow-live.safetensors"
UNTRAINED = StyleFlowLiveDims(
    backbone=ViTDims(width=96, depth=4, heads=3, mlp=384, grid=16),
    published=False,
    blocks=(1, 2, 3, 4),
)
"""Dimensions of a network that has learned nothing: small, and standing on nobody's weights."""

_MANIFEST = "styleflow"  # key of the manifest in the file's metadata
_SHOWN = 3  # so many names are listed when names are wrong


class Network(Protocol):
    """A detector's network before it is put to use: an `nn.Module` that can also be deployed."""

    def deploy(self, device: torch.device | str, dtype: torch.dtype) -> Detector:
        """Return the detector, ready for inference on a device."""
        ...


@runtime_checkable
class Borrowing(Protocol):
    """A network that stands on published weights, which its checkpoint does not hold."""

    @property
    def needs_backbone(self) -> bool:
        """True when it does so with its dimensions."""
        ...

    def adopt(self, published: Mapping[str, Tensor]) -> None:
        """Take them over."""
        ...


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything needed to build one detector, on the CPU.

    Attributes:
        kind: a name of the registry of detectors.
        version: version of the weights.
        dimensions: an instance of the kind's dimensions.
        tensors: the network's state, by name.
        calibration: from logit to probability.
        status: how far the scores may be trusted.
        provenance: where the weights come from, in a sentence or two for people.
        sha256: digest of the tensors, hexadecimal.
    """

    kind: str
    version: str
    dimensions: Any
    tensors: Mapping[str, Tensor]
    calibration: Calibration
    status: TrainingStatus
    provenance: str
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the digest of the tensors."""
        object.__setattr__(self, "sha256", digest(self.tensors))

    @property
    def card(self) -> ModelCard:
        """Model card, for messages."""
        mode = DETECTORS[self.kind].mode
        return ModelCard(self.kind, self.version, mode, self.status, self.sha256)


@checked_dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class _AnyManifest:
    format: int


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class _Manifest:
    format: int
    kind: str
    version: str
    dimensions: dict[str, Any]
    calibration: Calibration
    status: TrainingStatus
    provenance: str
    sha256: str


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of names, types, shapes and contents of tensors, hexadecimal."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; the file appears complete or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    text = json.dumps(_manifest_json(checkpoint), sort_keys=True)
    metadata = {_MANIFEST: text, "seal": seal_of(text)}
    tensors = _apart(checkpoint.tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".checkpoint-") as folder:
        written = Path(folder) / path.name
        save_file(tensors, written, metadata)
        os.replace(written, path)


def is_checkpoint(path: Path) -> bool:
    """Say whether a file is a checkpoint of ours, be it damaged; authors' files are not."""
    if not is_safetensors(path):
        return False
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return _MANIFEST in (file.metadata() or {})
    except SafetensorError:
        return True


def is_safetensors(path: Path) -> bool:
    """Say whether a file begins as safetensors do: the length of a JSON object, and the object."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def load(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        CheckpointInvalid: there is no such file, it is damaged, its format or kind is not known
            here, or its tensors are not those of its dimensions.
    """
    if not path.is_file():
        raise CheckpointInvalid(path, "there is no such file")
    with _invalid_as_our_error(path):
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            manifest = _read_manifest(path, metadata)
            entry = DETECTORS.get(manifest.kind)
            if entry is None:
                known = ", ".join(sorted(DETECTORS))
                raise CheckpointInvalid(path, f"kind {manifest.kind!r} is not one of {known}")
            if entry.retired & manifest.dimensions.keys():
                raise CheckpointInvalid(path, _retired(manifest))
            dimensions: Any = TypeAdapter(entry.dimensions()).validate_python(manifest.dimensions)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    checkpoint = Checkpoint(
        manifest.kind,
        manifest.version,
        dimensions,
        tensors,
        manifest.calibration,
        manifest.status,
        manifest.provenance,
    )
    if checkpoint.sha256 != manifest.sha256:
        raise CheckpointInvalid(path, "its tensors are damaged: sha256 differs from the manifest's")
    problem = _difference(checkpoint)
    if problem:
        raise CheckpointInvalid(path, problem)
    return checkpoint


def description(path: Path) -> Mapping[str, Any]:
    """Return what a checkpoint of ours says of itself, as plain values; its tensors stay unread.

    Name, version, status, provenance, dimensions, calibration, and the digest of the tensors.

    Raises:
        CheckpointInvalid: it is no checkpoint of ours, or its manifest is damaged.
    """
    if not path.is_file():
        raise CheckpointInvalid(path, "there is no such file")
    with _invalid_as_our_error(path):
        with safe_open(path, framework="pt", device="cpu") as file:
            manifest = _read_manifest(path, file.metadata() or {})
        said: dict[str, Any] = TypeAdapter(_Manifest).dump_python(manifest, mode="json")
    return {"name": said.pop("kind"), "calibration_is_of": "the checkpoint", **said}


def shipped_description() -> Mapping[str, Any]:
    """Return what the default detector says of itself; see `description`."""
    with resources.as_file(resources.files("styleflow") / "weights" / SHIPPED) as path:
        return description(path)


def shipped() -> Checkpoint:
    """Return the default detector that travels inside the package.

    Raises:
        CheckpointInvalid: this installation lacks the file, or it is damaged.
    """
    with resources.as_file(resources.files("styleflow") / "weights" / SHIPPED) as path:
        return load(path)


def build(
    checkpoint: Checkpoint,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Detector:
    """Return the detector of a checkpoint, ready for inference.

    Args:
        checkpoint: from `load` or `seeded_untrained`; stays as it is.
        device: where weights and state live.
        dtype: what the heavy part of the network computes in.

    Raises:
        WeightsMissing: it stands on a published backbone that has not been fetched.
        WeightsUnusable: that file is harmed.
    """
    network = _empty_network(checkpoint)
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    network.load_state_dict(tensors, assign=True)
    if isinstance(network, Borrowing) and network.needs_backbone:
        network.adopt(published.dinov2())
    return cast(Network, network).deploy(device, dtype)


def seeded_untrained(seed: int = 0, dimensions: StyleFlowLiveDims | None = None) -> Checkpoint:
    """Return a `styleflow-live` that has learned nothing, the same on every machine.

    It shows that the whole path works. Its logits move with what it sees and mean nothing.
    """
    dimensions = dimensions or UNTRAINED
    with torch.device("meta"):
        network = StyleFlowLive(dimensions)
    # Not `to_empty`: for tensors without data it imports torch's symbolic algebra, half a second.
    blank = {n: torch.empty(t.shape, dtype=t.dtype) for n, t in network.state_dict().items()}
    network.load_state_dict(blank, assign=True)
    seed_weights(network, seed)
    return Checkpoint(
        kind=BUILT_IN,
        version=f"untrained-{seed}",
        dimensions=dimensions,
        tensors=network.state_dict(),
        calibration=Calibration(),
        status=TrainingStatus.UNTRAINED,
        provenance=f"Random weights from seed {seed}; no data of any kind.",
    )


def _retired(manifest: _Manifest) -> str:
    return (
        f"it holds {manifest.kind} {manifest.version}, whose network this version no longer has; "
        "leave the file out to score with the built-in weights, or train anew: styleflow train"
    )


def _manifest_json(checkpoint: Checkpoint) -> dict[str, Any]:
    dump = TypeAdapter(type(checkpoint.dimensions)).dump_python
    manifest = _Manifest(
        FORMAT,
        checkpoint.kind,
        checkpoint.version,
        dump(checkpoint.dimensions, mode="json"),
        checkpoint.calibration,
        checkpoint.status,
        checkpoint.provenance,
        checkpoint.sha256,
    )
    return cast("dict[str, Any]", TypeAdapter(_Manifest).dump_python(manifest, mode="json"))


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as the format wants them: on the CPU, in order, no two in one memory."""
    apart: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        if own.untyped_storage().data_ptr() in taken:  # another name for the same weights
            own = own.clone()
        taken.add(own.untyped_storage().data_ptr())
        apart[name] = own
    return apart


def seal_of(manifest: str) -> str:
    """Return the digest that shows a manifest to be unharmed."""
    return hashlib.sha256(manifest.encode()).hexdigest()


def _read_manifest(path: Path, metadata: Mapping[str, str]) -> _Manifest:
    text = metadata.get(_MANIFEST)
    if text is None:
        reason = "holds tensors but no manifest; it was not written by us: import it first"
        raise CheckpointInvalid(path, reason)
    if metadata.get("seal") != seal_of(text):
        raise CheckpointInvalid(path, "its manifest is damaged: the seal does not match")
    found = TypeAdapter(_AnyManifest).validate_json(text).format
    if found != FORMAT:
        raise CheckpointInvalid(path, f"format {found}; this program reads format {FORMAT}")
    return TypeAdapter(_Manifest).validate_json(text)


@contextmanager
def _invalid_as_our_error(path: Path) -> Iterator[None]:
    """Turn what reading a file can raise into CheckpointInvalid."""
    try:
        yield
    except SafetensorError as error:
        raise CheckpointInvalid(path, f"is not a safetensors file ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise CheckpointInvalid(path, f"{where}: {first['msg']}") from error
    except OSError as error:
        raise CheckpointInvalid(path, error.strerror or str(error)) from error


def _empty_network(checkpoint: Checkpoint) -> nn.Module:
    """Return the checkpoint's network without memory behind its tensors."""
    build = DETECTORS[checkpoint.kind].network()
    with torch.device("meta"):
        network = build(checkpoint.dimensions, checkpoint.card, checkpoint.calibration)
    return cast(nn.Module, network)


def _difference(checkpoint: Checkpoint) -> str:
    """Return how the tensors differ from those the dimensions ask for, or nothing."""
    wanted = _empty_network(checkpoint).state_dict()
    tensors = checkpoint.tensors
    for what, names in (
        ("missing", sorted(wanted.keys() - tensors.keys())),
        ("unexpected", sorted(tensors.keys() - wanted.keys())),
    ):
        if names:
            more = ", …" if len(names) > _SHOWN else ""
            return f"{len(names)} tensors {what}: {', '.join(names[:_SHOWN])}{more}"
    for name, tensor in wanted.items():
        got = tensors[name]
        if got.shape != tensor.shape:
            return f"{name}: expected shape {tuple(tensor.shape)}, got {tuple(got.shape)}"
        if got.dtype != tensor.dtype:
            return f"{name}: expected {tensor.dtype}, got {got.dtype}"
    return ""
