"""Port of the authors' checkpoint files to this project's tensors.

Every function here is a pure mapping: it takes what a safe loader read from a file and returns
named tensors, the dimensions they imply and a report of what did not fit. Nothing is opened and
nothing is run. Our networks keep the authors' names, so porting is mostly stripping prefixes.

| file | function | goes to |
|---|---|---|
| `psp_ffhq_encode.pt` | `port_psp` | `PspEncoder`: `encoder.*`, `latent_avg` |
| StyleGRU stage 1 | `port_style_gru` | `StyleGRU` |
| `ftcn_tt.pth` | `port_ftcn` | `Ftcn`: `resnet.*` |
| stage 2 | `port_stage2` | `StyleFlow`: `resnet.*` |

`assemble` joins an encoder, a StyleGRU and a stage 2 into the tensors of one `StyleFlow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from styleflow.detectors.authors_files import Publication, bare, inside
from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.network import Ftcn, StyleFlow, StyleFlowDims, StyleFlowTrunk
from styleflow.detectors.styleflow.psp import PspDims, PspEncoder
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.errors import StyleFlowError

D = TypeVar("D")

_PAPER = "Exploiting Style Latent Flows (Choi et al., CVPR 2024), arXiv 2403.06592"

PUBLICATIONS = (
    Publication(
        file="psp_ffhq_encode.pt",
        page="https://github.com/eladrich/pixel2style2pixel (link in its README)",
        licence="MIT; trained on FFHQ (CC BY-NC-SA), and the file also holds a StyleGAN2 generator "
        "(NVIDIA, non-commercial lineage), which is left out",
        paper="Encoding in Style (Richardson et al., CVPR 2021), arXiv 2008.00951",
    ),
    Publication(
        file="STYLEGRU",
        page="https://github.com/jongwook-Choi/StyleFlow (code; its weights are not published)",
        licence="code MIT",
        paper=_PAPER,
    ),
    Publication(
        file="STAGE2",
        page="https://github.com/truemediaorg/ml-models, folder StyleFlow (weights behind a gate)",
        licence="code MIT; it starts from FTCN's ftcn_tt.pth, which has no licence file",
        paper=_PAPER,
    ),
)
"""The files that make one StyleFlow: encoder, StyleGRU, and everything after them."""


@dataclass(frozen=True, slots=True)
class WrongShape:
    """One tensor whose shape is not the network's."""

    name: str
    expected: tuple[int, ...]
    got: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} is {self.got}, not {self.expected}"


@dataclass(frozen=True, slots=True)
class PortReport:
    """Comparison of a file's tensors with those that the network needs.

    Attributes:
        fitted: names that were found with the right shape.
        missing: names that the network wants and the file lacks.
        extra: names that the file has and nobody wants.
        wrong: tensors of another shape.
        ignored: names left out on purpose, such as a generator that is never needed.
    """

    fitted: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    wrong: tuple[WrongShape, ...]
    ignored: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True when every tensor of the network was found and nothing is unexplained."""
        return not (self.missing or self.extra or self.wrong)

    def __str__(self) -> str:
        parts = [f"{len(self.fitted)} tensors fit"]
        for what, names in (
            ("missing", self.missing),
            ("extra", self.extra),
            ("of another shape", tuple(map(str, self.wrong))),
        ):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                parts.append(f"{len(names)} {what}: {', '.join(names[:3])}{more}")
        if self.ignored:
            parts.append(f"{len(self.ignored)} left out on purpose")
        return "; ".join(parts)


@dataclass(eq=False)
class CheckpointMismatch(StyleFlowError):
    """A checkpoint does not fit the network; `report` says where."""

    code = "checkpoint_mismatch"
    title = "The checkpoint is of another network"
    hint = "Give the file that the authors publish; `styleflow checkpoints list` says which"
    status = 422

    network: str
    report: PortReport

    def __str__(self) -> str:
        return f"not a checkpoint of {self.network}: {self.report}"


@dataclass(frozen=True, slots=True, eq=False)
class Ported:
    """Tensors under this project's names.

    Attributes:
        tensors: what fitted, ready for `load_state_dict`.
        dims: dimensions read from the tensors' shapes.
        report: what did not fit.
    """

    tensors: dict[str, Tensor]
    dims: PspDims | StyleGruDims | StyleFlowDims
    report: PortReport

    def checked(self, network: str) -> Ported:
        """Return self if everything fitted.

        Raises:
            CheckpointMismatch: something is missing, extra or of another shape.
        """
        if not self.report.complete:
            raise CheckpointMismatch(network, self.report)
        return self


def port_psp(loaded: Mapping[str, Any]) -> Ported:
    """Return the encoder of a pSp file.

    The file's generator (`decoder.*`) is left out: it is not needed, and its licence is another.

    Args:
        loaded: the file's dict, with `state_dict` and `latent_avg`.
    """
    state = bare_state(loaded)
    latent_avg = loaded.get("latent_avg")
    wanted = {n: t for n, t in state.items() if not n.startswith("decoder.")}
    ignored = tuple(n for n in state if n.startswith("decoder."))
    if isinstance(latent_avg, Tensor):
        wanted["latent_avg"] = latent_avg
    width = _size(wanted, "encoder.input_layer.0.weight", 0, PspDims().width)
    dims = _possible(
        lambda: PspDims(size_px=_psp_size(wanted), width=width, units=_psp_units(wanted)), PspDims()
    )
    return _fit(wanted, lambda: PspEncoder(dims), dims, ignored)


def port_style_gru(loaded: Mapping[str, Any]) -> Ported:
    """Return the StyleGRU of a stage-1 file.

    Args:
        loaded: the released code saves a dict with `epoch` and `state_dict`, whose names start
            with `module.model.`; it reads bare names. Both are accepted.
    """
    state = bare_state(loaded)
    hidden = _size(state, "gru.weight_hh_l0", 1, StyleGruDims().hidden)
    dims = _possible(
        lambda: StyleGruDims(
            features=_size(state, "gru.weight_ih_l0", 1, StyleGruDims().features),
            hidden=hidden,
            head=_size(state, "dense.1.fn.net.0.weight", 0, hidden),
            flow=_size(state, "bn.weight", 0, StyleGruDims().flow),
        ),
        StyleGruDims(),
    )
    return _fit(state, lambda: StyleGRU(dims), dims)


def port_ftcn(loaded: Mapping[str, Any]) -> Ported:
    """Return the content branch and head of an FTCN file, such as `ftcn_tt.pth`."""
    state = bare_state(loaded)
    dims = _possible(lambda: _content_dims(state), StyleFlowDims())
    return _fit(state, lambda: Ftcn(dims), dims)


def port_stage2(loaded: Mapping[str, Any]) -> Ported:
    """Return the content branch, style attention and head of a stage-2 file.

    Stage 2 freezes pSp and StyleGRU and saves neither; they come from their own files.
    """
    state = bare_state(loaded)
    dims = _possible(lambda: _content_dims(state), StyleFlowDims())
    return _fit(state, lambda: _Stage2(dims), dims)


def assemble(
    psp: Ported, style_gru: Ported, stage2: Ported
) -> tuple[dict[str, Tensor], StyleFlowDims]:
    """Return the tensors and dimensions of one `StyleFlow`.

    An FTCN file in place of stage 2 starts training: its style attention is missing, so it is
    refused here like anything else that is not whole.

    Raises:
        CheckpointMismatch: a part is not whole.
        ValueError: the parts do not fit each other.
    """
    psp.checked("pSp"), style_gru.checked("StyleGRU"), stage2.checked("StyleFlow stage 2")
    if not (
        isinstance(psp.dims, PspDims)
        and isinstance(style_gru.dims, StyleGruDims)
        and isinstance(stage2.dims, StyleFlowDims)
    ):
        raise ValueError("the parts are, in order, a pSp, a StyleGRU and a stage 2")
    dims = StyleFlowDims(
        psp=psp.dims,
        levels=StyleLevels.of_count(style_gru.dims.features // psp.dims.latent),
        hidden=style_gru.dims.hidden,
        gru_head=style_gru.dims.head,
        content=stage2.dims.content,
        heads=stage2.dims.heads,
        head=stage2.dims.head,
        inner=stage2.dims.inner,
    )
    tensors = {f"psp.{n}": t for n, t in psp.tensors.items()}
    tensors |= {f"style_gru.{n}": t for n, t in style_gru.tensors.items()}
    tensors |= stage2.tensors
    with torch.device("meta"):
        whole = StyleFlow(dims)
    report = _compare(tensors, whole.state_dict())
    if not report.complete:
        raise CheckpointMismatch("StyleFlow", report)
    return tensors, dims


def bare_state(loaded: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a loaded file, without wrapping dicts and common prefixes."""
    return bare({str(n): t for n, t in inside(loaded).items() if isinstance(t, Tensor)})


class _Stage2(nn.Module):
    """Content of a stage-2 file: everything of `StyleFlow` under `resnet`."""

    def __init__(self, dims: StyleFlowDims) -> None:
        super().__init__()
        self.resnet = StyleFlowTrunk(dims)


def _fit(
    state: Mapping[str, Tensor],
    build: Callable[[], nn.Module],
    dims: PspDims | StyleGruDims | StyleFlowDims,
    ignored: tuple[str, ...] = (),
) -> Ported:
    with torch.device("meta"):
        wanted = build().state_dict()
    report = _compare(state, wanted, ignored)
    return Ported({n: state[n].detach() for n in report.fitted}, dims, report)


def _compare(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], ignored: tuple[str, ...] = ()
) -> PortReport:
    shared = [n for n in wanted if n in state]
    wrong = [
        WrongShape(n, tuple(wanted[n].shape), tuple(state[n].shape))
        for n in shared
        if wanted[n].shape != state[n].shape
    ]
    odd = {w.name for w in wrong}
    return PortReport(
        fitted=tuple(n for n in shared if n not in odd),
        missing=tuple(n for n in wanted if n not in state),
        extra=tuple(n for n in state if n not in wanted and n not in set(ignored)),
        wrong=tuple(wrong),
        ignored=ignored,
    )


def _possible(read: Callable[[], D], published: D) -> D:
    """Return the dimensions that a file implies, or the published ones where it implies nonsense.

    Its tensors are then reported against the published shapes.
    """
    try:
        return read()
    except ValueError:
        return published


def _size(state: Mapping[str, Tensor], name: str, axis: int, default: int) -> int:
    """Return one axis of a tensor; a file without it will be reported against the default."""
    tensor = state.get(name)
    return tensor.shape[axis] if tensor is not None and tensor.ndim > axis else default


def _psp_size(state: Mapping[str, Tensor]) -> int:
    """Return the picture's side: the coarse heads halve a sixteenth of it down to one pixel."""
    halvings = sum(n.startswith("encoder.styles.0.convs.") for n in state if n.endswith(".weight"))
    return 16 << halvings if 1 <= halvings <= 6 else PspDims().size_px


def _psp_units(state: Mapping[str, Tensor]) -> tuple[int, int, int, int]:
    """Return the units of each stage: those whose second convolution has the stage's width."""
    widths: list[int] = []
    while (unit := state.get(f"encoder.body.{len(widths)}.res_layer.3.weight")) is not None:
        widths.append(unit.shape[0])
    counts = [widths.count(w) for w in sorted(set(widths))]
    if len(counts) != 4:
        return PspDims().units
    return (counts[0], counts[1], counts[2], counts[3])


def _content_dims(state: Mapping[str, Tensor]) -> StyleFlowDims:
    """Return what a content branch and its head tell about themselves.

    The picture's side and the split into heads leave no trace in the tensors; the published
    values are assumed.
    """
    published = StyleFlowDims()
    width = _size(state, "resnet.s1.pathway0_stem.conv.weight", 0, published.content.width)
    blocks = [
        sum(n.startswith(f"resnet.{s}.") and n.endswith("branch2.a.weight") for n in state)
        for s in ("s2", "s3", "s4")
    ]
    layer = "resnet.head.time_T.transformer.layers.0"
    tokens = _size(state, "resnet.head.time_T.pos_embedding", 1, published.content.tokens + 1) - 1
    content = ContentDims(
        frames=max(2 * tokens, 2),
        size_px=published.content.size_px,
        width=width,
        blocks=(blocks[0], blocks[1], blocks[2]) if all(blocks) else published.content.blocks,
    )
    inner = _size(state, f"{layer}.0.fn.fn.to_qkv.weight", 0, 3 * 1024) // 3
    return StyleFlowDims(
        hidden=4 * content.token,
        content=content,
        head=published.head if inner % published.head == 0 else inner,
        heads=inner // published.head if inner % published.head == 0 else 1,
        inner=_size(state, f"{layer}.1.fn.fn.net.0.weight", 0, published.inner),
    )
