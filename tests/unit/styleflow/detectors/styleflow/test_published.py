"""Checkpoints in the authors' layout become our tensors, or a report of what did not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.network import Ftcn, StyleFlow, StyleFlowDims
from styleflow.detectors.styleflow.psp import PspDims
from styleflow.detectors.styleflow.published import (
    CheckpointMismatch,
    Ported,
    assemble,
    bare_state,
    port_ftcn,
    port_psp,
    port_stage2,
    port_style_gru,
)
from styleflow.detectors.styleflow.style_levels import StyleLevels

DIMS = StyleFlowDims(
    psp=PspDims(size_px=32, width=2, units=(1, 2, 3, 1)),
    levels=StyleLevels("middle+"),
    hidden=16,
    gru_head=8,
    content=ContentDims(size_px=224, width=2, blocks=(2, 1, 2)),
    heads=1,
    head=16,
    inner=24,
)


@pytest.fixture(scope="module")
def network() -> StyleFlow:
    return StyleFlow(DIMS)


def psp_file(network: StyleFlow) -> dict[str, Any]:
    """Return what the authors' file holds: the encoder, a generator, an average and options."""
    state = {f"encoder.{n}": t for n, t in network.psp.encoder.state_dict().items()}
    state["decoder.style.1.weight"] = torch.zeros(2, 2)
    return {
        "state_dict": state,
        "latent_avg": torch.full((18, 16), 0.25),
        "opts": {"encoder_type": "GradualStyleEncoder"},
    }


def stage1_file(network: StyleFlow) -> dict[str, Any]:
    state = {f"module.model.{n}": t for n, t in network.style_gru.state_dict().items()}
    return {"epoch": 7, "state_dict": state}


def stage2_file(network: StyleFlow) -> dict[str, Tensor]:
    return {n: t for n, t in network.state_dict().items() if n.startswith("resnet.")}


def without(names: dict[str, Tensor], *gone: str) -> dict[str, Tensor]:
    return {n: t for n, t in names.items() if n not in gone}


def test_the_three_files_become_one_detector(network: StyleFlow) -> None:
    """Dimensions are read from shapes alone; the tensors are the files', not copies."""
    tensors, dims = assemble(
        port_psp(psp_file(network)),
        port_style_gru(stage1_file(network)),
        port_stage2(stage2_file(network)),
    )
    assert dims == DIMS
    whole = StyleFlow(dims)
    whole.load_state_dict(tensors)
    assert torch.equal(whole.psp.latent_avg, torch.full((18, 16), 0.25))
    for name, tensor in network.state_dict().items():
        if name != "psp.latent_avg":
            assert torch.equal(whole.state_dict()[name], tensor), name


def test_the_generator_is_left_out_and_said_to_be(network: StyleFlow) -> None:
    ported = port_psp(psp_file(network)).checked("pSp")
    assert ported.report.ignored == ("decoder.style.1.weight",)
    assert "1 left out on purpose" in str(ported.report)


@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_stage1_file_may_be_wrapped_and_prefixed(
    network: StyleFlow, prefix: str, wrapped: bool
) -> None:
    state = {prefix + n: t for n, t in network.style_gru.state_dict().items()}
    ported = port_style_gru({"epoch": 1, "state_dict": state} if wrapped else state)
    assert ported.report.complete
    assert ported.dims == DIMS.gru


def test_an_ftcn_file_loads_into_stage2_except_style_attention() -> None:
    state = {f"module.{n}": t for n, t in Ftcn(DIMS).state_dict().items()}
    assert port_ftcn(state).report.complete
    report = port_stage2(state).report
    assert not report.extra
    assert not report.wrong
    assert sorted({n.split(".")[2] for n in report.missing}) == ["STA"]
    assert len(report.missing) == 8


def test_a_report_names_what_is_missing_extra_and_misshapen(network: StyleFlow) -> None:
    state = without(stage2_file(network), "resnet.head.STA.lp.bias")
    state["resnet.s9.weight"] = torch.zeros(3)
    state["resnet.head.time_T.cls_token"] = torch.zeros(1, 1, 5)
    ported = port_stage2(state)
    assert ported.report.missing == ("resnet.head.STA.lp.bias",)
    assert ported.report.extra == ("resnet.s9.weight",)
    assert [w.got for w in ported.report.wrong] == [(1, 1, 5)]
    assert "resnet.head.time_T.cls_token" not in ported.tensors
    with pytest.raises(CheckpointMismatch, match=r"cls_token is \(1, 1, 5\), not \(1, 1, 32\)"):
        ported.checked("StyleFlow stage 2")


@pytest.mark.parametrize("port", [port_psp, port_style_gru, port_ftcn, port_stage2])
@pytest.mark.parametrize(
    "loaded",
    [
        {},
        {"state_dict": {"fc.weight": torch.zeros(2, 2)}},
        {"state_dict": {"gru.weight_hh_l0": torch.zeros(3, 0)}, "latent_avg": "no tensor"},
        {"resnet.s1.pathway0_stem.conv.weight": torch.zeros(0, 3, 5, 1, 1)},
        {"encoder.input_layer.0.weight": torch.zeros(100_000, 1)},
    ],
)
def test_any_other_file_is_reported_and_not_believed(port: Any, loaded: dict[str, Any]) -> None:
    ported: Ported = port(loaded)
    assert not ported.report.complete
    with pytest.raises(CheckpointMismatch):
        ported.checked("it")


def test_parts_that_do_not_fit_each_other_are_refused(network: StyleFlow) -> None:
    psp, stage2 = port_psp(psp_file(network)), port_stage2(stage2_file(network))
    narrow = port_style_gru(StyleGRU(StyleGruDims(features=80, hidden=16)).state_dict())
    with pytest.raises(ValueError, match="5 styles"):
        assemble(psp, narrow, stage2)
    odd = port_style_gru(StyleGRU(StyleGruDims(features=240, hidden=5)).state_dict())
    with pytest.raises(ValueError, match="cannot be cut"):
        assemble(psp, odd, stage2)
    with pytest.raises(ValueError, match="in order"):
        assemble(stage2, psp, psp)


def test_bare_state_keeps_tensors_only() -> None:
    state = bare_state({"model": {"module.a": torch.zeros(1), "module.b": 3}})
    assert list(state) == ["a"]
