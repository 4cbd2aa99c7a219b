"""Promises of StyleFlow's second stage."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter

from styleflow.cards import TrainingStatus
from styleflow.clips import Framing, PspInput
from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.network import Ftcn, StyleFlow, StyleFlowDims
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.digest import file_digest
from styleflow.errors import CheckpointInvalid, LabelsMissing
from styleflow.training.alternate_freezing import Looks, Turns
from styleflow.training.loop import LoopSettings, read_log
from styleflow.training.styleflow.clips import ClipPool, gather, load_psp
from styleflow.training.styleflow.latents import ClipCutting, LatentCache
from styleflow.training.styleflow.stage1 import FILE, StyleGruRecipe, write
from styleflow.training.styleflow.stage2 import (
    StageTwoTask,
    StyleFlowRecipe,
    assembled,
    looking,
    run,
)
from styleflow.weights import importing
from styleflow.weights.checkpoint import build
from tests.support.style_videos import PSP_DIMS, drawn, psp_file, toy_psp

CONFIGS = Path(__file__).parents[5] / "configs" / "train"
CUTTING = ClipCutting(frames=8, hop=8, most=2)
CONTENT = ContentDims(frames=8, size_px=16, width=2, blocks=(1, 1, 1))
TRAINING = [drawn(label, seed) for seed in range(2) for label in (0, 1)]
HELD_OUT = [drawn(label, seed) for seed in (7, 8) for label in (0, 1)]
ALONE = LoopSettings(6, 1e-2, average=0.8, bf16=False, log_every=2)
TOGETHER = LoopSettings(8, 1e-2, average=0.8, bf16=False, log_every=2, validate_every=4)


def recipe(folder: Path) -> StyleFlowRecipe:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        gru = StyleGRU(StyleGruDims(features=3 * 16, hidden=8, head=4, flow=7))
    return StyleFlowRecipe(
        psp=psp_file(folder),
        style_gru=write(gru, 1, folder / FILE),
        content=CONTENT,
        heads=2,
        head_width=8,
        inner=16,
        clips=CUTTING,
        batch=4,
        head_alone=ALONE,
        together=TOGETHER,
    )


def task(asked: StyleFlowRecipe, folder: Path) -> tuple[StageTwoTask, StyleFlow]:
    psp = load_psp(asked.psp, "cpu")
    whole = assembled(asked, psp)
    cache = LatentCache(folder, psp, whole.dims.levels, asked.clips)
    pool = ClipPool(gather(cache, TRAINING, lambda text: None))
    return StageTwoTask(whole, pool, pool, 4, 0.0), whole


def test_it_learns_one_tiny_batch_by_heart(tmp_path: Path) -> None:
    longer = replace(TOGETHER, steps=60, validate_every=30)
    asked = replace(recipe(tmp_path), together=longer)
    run(asked, TRAINING, HELD_OUT, tmp_path, lambda text: None)
    rows = read_log(tmp_path / "together" / "log.csv")
    accuracies = [value for _, name, value in rows if name == "accuracy"]
    assert accuracies[-1] == 1.0
    losses = [value for _, name, value in rows if name == "loss"]
    assert losses[-1] < 0.3


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    """Wherever it stops, in either part, the checkpoint is the same to the bit."""
    asked = recipe(tmp_path)
    digests = []
    for name, stops in (("whole", ()), ("parts", ("head_alone 4", "together 6"))):
        work = tmp_path / name
        work.mkdir()

        class Interrupted(Exception):
            pass

        for stop in stops:

            def interrupt(text: str, stop: str = stop) -> None:
                if text.startswith(stop):
                    raise Interrupted

            with pytest.raises(Interrupted):
                run(asked, TRAINING, HELD_OUT, work, interrupt)
        path = run(asked, TRAINING, HELD_OUT, work, lambda text: None)
        digests.append(importing.weights([path], "styleflow").sha256)
    assert digests[0] == digests[1]


def test_the_checkpoint_is_a_detector(tmp_path: Path) -> None:
    """It loads as any weights of StyleFlow do, and rates clips as the trained network does."""
    cutting = replace(CUTTING, psp_input=PspInput.FFHQ)
    asked = replace(recipe(tmp_path), clips=cutting)
    path = run(asked, TRAINING, HELD_OUT, tmp_path, lambda text: None)
    assert path == tmp_path / "styleflow.safetensors"
    loaded = importing.weights([path], "styleflow")
    assert loaded.status is TrainingStatus.TRAINED
    assert loaded.calibration.fitted
    assert loaded.dimensions == StyleFlowDims(
        psp=PSP_DIMS,
        levels=StyleLevels("coarse"),
        hidden=8,
        gru_head=4,
        content=CONTENT,
        heads=2,
        head=8,
        inner=16,
        psp_input=PspInput.FFHQ,
    )
    live = build(loaded)
    assert live.clip.framing is Framing.STYLEFLOW_WIDE
    for file in (asked.psp, asked.style_gru):
        assert file_digest(file) in loaded.provenance


def test_style_is_held_still_and_content_moves(tmp_path: Path) -> None:
    """What is frozen is so to the bit, running statistics included; the head's part goes first."""
    asked = recipe(tmp_path)
    before = assembled(asked, load_psp(asked.psp, "cpu")).state_dict()
    after: dict[str, dict[str, torch.Tensor]] = {}
    none = replace(ALONE, steps=0)
    for name, alone, together in (("alone", ALONE, none), ("together", none, TOGETHER)):
        chosen = replace(asked, head_alone=alone, together=together)
        work = tmp_path / name
        work.mkdir()
        path = run(chosen, TRAINING, HELD_OUT, work, lambda text: None)
        after[name] = dict(importing.weights([path], "styleflow").tensors)
    moved = {
        name: {".".join(n.split(".")[:2]) for n in before if not torch.equal(before[n], tensors[n])}
        for name, tensors in after.items()
    }
    assert moved["alone"] == {"resnet.head"}
    assert moved["together"] == {f"resnet.{part}" for part in ("s1", "s2", "s3", "s4", "head")}


def test_time_and_space_take_turns(tmp_path: Path) -> None:
    """One step each: the first is time's, the second is space's; the rest learns in both."""
    once = replace(TOGETHER, steps=1, average=0.0, validate_every=0)
    asked = replace(
        recipe(tmp_path), head_alone=replace(ALONE, steps=0), together=once, turns=Turns(1, 1)
    )
    trunk = assembled(asked, load_psp(asked.psp, "cpu")).resnet
    looks = looking(trunk)
    before = dict(trunk.state_dict())
    states = [before]
    for steps in (1, 2):
        longer = replace(asked, together=replace(once, steps=steps, schedule="constant"))
        work = tmp_path / str(steps)
        work.mkdir()
        path = run(longer, TRAINING, HELD_OUT, work, lambda text: None)
        tensors = importing.weights([path], "styleflow").tensors
        states.append({name: tensors[f"resnet.{name}"] for name in before})
    names = [name for name, _ in trunk.named_parameters()]
    for (old, new), turn in zip(pairwise(states), (Looks.TIME, Looks.SPACE), strict=True):
        moved = {looks(n) for n in names if not torch.equal(old[n], new[n])}
        assert moved == {turn, Looks.NEITHER}


def test_what_the_content_branch_looks_along(tmp_path: Path) -> None:
    """Kernels of several frames look along time; which ones those are is FTCN's design."""
    asked = recipe(tmp_path)
    assert asked.turns is None
    trunk = assembled(asked, load_psp(asked.psp, "cpu")).resnet
    looks = looking(trunk)
    along: dict[Looks, set[tuple[int, bool]]] = {}
    for name, parameter in trunk.named_parameters():
        along.setdefault(looks(name), set()).add((parameter.ndim, name.startswith("head.")))
        if looks(name) is Looks.TIME:
            assert parameter.shape[2] > 1
    assert along[Looks.TIME] == along[Looks.SPACE] == {(5, False)}
    assert {head for _, head in along[Looks.NEITHER]} == {True, False}


def test_the_loss_is_that_of_the_whole_detector_on_the_same_clips(tmp_path: Path) -> None:
    """Cached latents and cut crops give what `StyleFlow.forward` gives from pixels."""
    made, whole = task(recipe(tmp_path), tmp_path)
    torch.nn.init.normal_(whole.resnet.head.STA.lp.weight)
    whole.eval()
    loss, _ = made.loss(np.random.default_rng(2))
    rng = np.random.default_rng(2)
    pool = made.pool
    clips = [pool.draw(label, rng) for label in (0, 1, 0, 1)]
    logits = whole(torch.stack([clip.cut_crops() for clip in clips]))
    labels = torch.tensor([0.0, 1.0, 0.0, 1.0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-5)


def test_it_may_start_from_ftcn(tmp_path: Path) -> None:
    """Content branch and transformer are the file's; style attention begins by adding nothing."""
    content = ContentDims(frames=8, size_px=224, width=2, blocks=(1, 1, 1))
    dims = StyleFlowDims(psp=PSP_DIMS, hidden=8, content=content, heads=1, head=16, inner=24)
    ftcn = Ftcn(dims)
    file = tmp_path / "ftcn_tt.pth"
    torch.save({f"module.{n}": t for n, t in ftcn.state_dict().items()}, file)
    asked = replace(recipe(tmp_path), start=file)
    whole = assembled(asked, load_psp(asked.psp, "cpu"))
    assert (whole.dims.content, whole.dims.inner) == (content, 24)
    for name, tensor in ftcn.state_dict().items():
        assert torch.equal(whole.state_dict()[name], tensor)
    assert not whole.resnet.head.STA.lp.weight.any()
    state = {n: t for n, t in whole.state_dict().items() if n.startswith("resnet.")}
    torch.save(state, file)
    again = assembled(asked, load_psp(asked.psp, "cpu"))
    assert torch.equal(again.resnet.head.STA.w_q.weight, whole.resnet.head.STA.w_q.weight)
    torch.save({n: t for n, t in state.items() if "s3" not in n}, file)
    with pytest.raises(CheckpointInvalid, match="missing"):
        assembled(asked, toy_psp())


def test_parts_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    asked = recipe(tmp_path)
    longer = replace(CUTTING, frames=16)
    content = replace(CONTENT, frames=16)
    with pytest.raises(CheckpointInvalid, match="7 deltas, clips have 15"):
        assembled(replace(asked, clips=longer, content=content), toy_psp())


def test_one_label_alone_teaches_nothing(tmp_path: Path) -> None:
    fakes = [video for video in TRAINING if video.entry.label]
    with pytest.raises(LabelsMissing, match="0 real and 2 fake"):
        run(recipe(tmp_path), fakes, HELD_OUT, tmp_path, lambda text: None)


@pytest.mark.parametrize(("key", "value"), [("batch", 3), ("clips", ClipCutting(frames=16))])
def test_what_is_wrong_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        StyleFlowRecipe(**{key: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [StyleGruRecipe, StyleFlowRecipe])
def test_the_shipped_recipe_says_what_its_type_takes(kind: type) -> None:
    name = kind().method
    document = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert next(iter(document)) == "method"
    made = TypeAdapter(kind).validate_python(document)
    assert made.method == name
    assert made.clips.frames == 32
