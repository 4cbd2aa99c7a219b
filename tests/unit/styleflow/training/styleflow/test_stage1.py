"""Promises of StyleFlow's first stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims, style_flow
from styleflow.detectors.styleflow.parts import styleflow_part
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.errors import CheckpointInvalid, LabelsMissing
from styleflow.training.loop import LoopSettings, read_log
from styleflow.training.styleflow.clips import ClipPool, altered, gather
from styleflow.training.styleflow.latents import ClipCutting, LatentCache
from styleflow.training.styleflow.stage1 import FILE, StyleGruRecipe, StyleGruTask, run, write
from styleflow.weights import unpickle as safe_pickle
from tests.support.style_videos import drawn, psp_file, toy_psp

CUTTING = ClipCutting(frames=8, hop=4, most=6)
TRAINING = [drawn(label, seed) for seed in range(3) for label in (0, 1)]
HELD_OUT = [drawn(label, seed) for seed in (7, 8) for label in (0, 1)]
LOOP = LoopSettings(
    60,
    5e-3,
    weight_decay=0.0,
    average=0.9,
    bf16=False,
    log_every=10,
    validate_every=30,
    optimiser="adam",
    schedule="constant",
)


def recipe(folder: Path) -> StyleGruRecipe:
    return StyleGruRecipe(
        psp=psp_file(folder),
        levels="coarse+",
        hidden=8,
        head=8,
        clips=CUTTING,
        triplets=8,
        loop=LOOP,
    )


def pool(folder: Path) -> ClipPool:
    cache = LatentCache(folder, toy_psp(), StyleLevels("coarse"), CUTTING)
    return ClipPool(gather(cache, TRAINING, lambda text: None))


def tiny() -> StyleGRU:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return StyleGRU(StyleGruDims(features=48, hidden=4, head=4, flow=7))


def test_it_learns_one_tiny_batch_by_heart(tmp_path: Path) -> None:
    run(recipe(tmp_path), TRAINING, HELD_OUT, tmp_path, lambda text: None)
    log = read_log(tmp_path / "stylegru" / "log.csv")
    losses = [value for _, name, value in log if name == "loss"]
    accuracies = [value for _, name, value in log if name == "accuracy"]
    assert losses[-1] < 0.2 * losses[0]
    assert accuracies[-1] == 1.0
    assert [value for _, name, value in log if name == "validation"][-1] == 1.0


def test_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is the same to the bit, and latents that are there are not made again."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    asked = replace(recipe(tmp_path), loop=replace(LOOP, steps=15, log_every=5, validate_every=5))
    whole = run(asked, TRAINING, HELD_OUT, tmp_path / "whole", lambda text: None)

    class Interrupted(Exception):
        pass

    def interrupt(text: str) -> None:
        if text.startswith("stylegru 10"):
            raise Interrupted

    with pytest.raises(Interrupted):
        run(asked, TRAINING, HELD_OUT, tmp_path / "parts", interrupt)
    assert not (tmp_path / "parts" / FILE).exists()
    monkeypatch.setattr(LatentCache, "write", lambda self, clips, file: pytest.fail("made again"))
    parts = run(asked, TRAINING, HELD_OUT, tmp_path / "parts", lambda text: None)
    states = [safe_pickle.read(path)["state_dict"] for path in (whole, parts)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_is_written_reads_as_the_authors_file(tmp_path: Path) -> None:
    """Names and wrapping are the released program's; the reader of those files takes it."""
    network = tiny()
    content = safe_pickle.read(write(network, 3, tmp_path / FILE))
    assert content["epoch"] == 3
    assert "module.model.gru.weight_ih_l0" in content["state_dict"]
    found = styleflow_part(content)
    assert found is not None
    part, ported = found
    assert (part, ported.dims) == ("StyleGRU", network.dims)
    assert ported.report.complete
    assert torch.equal(ported.tensors["hidden_state"], network.hidden_state)


def test_the_loss_is_triplets_and_labels(tmp_path: Path) -> None:
    """As SPEC E has it, computed here by hand on the clips that the draw chose."""
    network = tiny()
    network.latent_dropout = 0.0
    clips = pool(tmp_path)
    task = StyleGruTask(network.eval(), clips, clips, triplets=4, margin=2.5)
    loss, figures = task.loss(np.random.default_rng(5))
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 4)
    groups = [
        [clips.draw(int(label), rng, second=False) for label in labels],
        [clips.draw(int(label), rng, second=True) for label in labels],
        [clips.draw(int(1 - label), rng) for label in labels],
    ]
    assert all(clip.clips.places[clip.number].start % 8 == 0 for clip in groups[0])
    assert all(clip.clips.places[clip.number].start % 8 == 4 for clip in groups[1])
    codes, bce = [], []
    for group, own in zip(groups, (labels, labels, 1 - labels), strict=True):
        for clip, label in zip(group, own, strict=True):
            assert clip.clips.video.entry.label == label
            code = network.code(style_flow(clip.read_latents()[None]))
            codes.append(code[0].detach().numpy())
            p = float(network.logit(code).detach().sigmoid())
            bce.append(-np.log(p if label else 1 - p))
    anchors, near, far = np.split(np.array(codes), 3)
    apart = [np.linalg.norm(anchors - other + 1e-6, axis=1) for other in (near, far)]
    triplet = np.maximum(apart[0] - apart[1] + 2.5, 0).mean()
    assert float(loss.detach()) == pytest.approx(np.mean(bce) + triplet, rel=1e-4)
    assert figures["triplet"] == pytest.approx(triplet, rel=1e-4)


def test_accuracy_asks_whether_fake_is_more_likely(tmp_path: Path) -> None:
    """The released program compared the logit with 0.5, which is a probability of 0.62."""
    network = tiny()
    torch.nn.init.zeros_(network.dense[3].weight)
    torch.nn.init.constant_(network.dense[3].bias, 0.3)
    clips = pool(tmp_path)
    _, figures = StyleGruTask(network, clips, clips, 64).loss(np.random.default_rng(0))
    labels = np.random.default_rng(0).integers(0, 2, 64)
    assert figures["accuracy"] == pytest.approx((64 + labels.sum()) / 192, abs=1e-6)


def test_one_label_alone_teaches_nothing(tmp_path: Path) -> None:
    real = [video for video in TRAINING if video.entry.label == 0]
    with pytest.raises(LabelsMissing, match="3 real and 0 fake"):
        run(recipe(tmp_path), real, HELD_OUT, tmp_path, lambda text: None)
    with pytest.raises(LabelsMissing, match="validation"):
        run(recipe(tmp_path), TRAINING, HELD_OUT[:1], tmp_path, lambda text: None)


def test_videos_without_a_clip_are_named(tmp_path: Path) -> None:
    told: list[str] = []
    cache = LatentCache(tmp_path, toy_psp(), StyleLevels("coarse"), CUTTING)
    assert gather(cache, [drawn(0, 9, lost=range(0, 48, 4))], told.append) == []
    assert told[0].startswith("drawn-0-9.mp4 is left out")


def test_a_missing_style_encoder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    asked = replace(recipe(tmp_path), psp=tmp_path / "absent.pt")
    with pytest.raises(CheckpointInvalid, match=r"absent\.pt"):
        run(asked, TRAINING, HELD_OUT, tmp_path, lambda text: None)
    wrong = replace(asked, psp=write(tiny(), 1, tmp_path / FILE))
    with pytest.raises(CheckpointInvalid, match="is StyleGRU, not pSp encoder"):
        run(wrong, TRAINING, HELD_OUT, tmp_path, lambda text: None)


def test_altered_clips_keep_their_shape_and_are_sometimes_mirrored() -> None:
    crops = np.zeros((4, 32, 32, 3), np.uint8)
    crops[:, :, :16] = 200
    sides = set()
    for seed in range(12):
        degraded = altered(crops, np.random.default_rng(seed))
        assert degraded.shape == crops.shape
        assert degraded.dtype == np.uint8
        sides.add(bool(degraded[..., :16, :].mean() > degraded[..., 16:, :].mean()))
    assert sides == {True, False}


@pytest.mark.parametrize(("key", "value"), [("levels", "some"), ("triplets", 1), ("colour", "red")])
def test_what_is_wrong_is_refused(key: str, value: object) -> None:
    with pytest.raises((ValidationError, ValueError), match=key.removesuffix("s")):
        StyleGruRecipe(**{key: value})  # type: ignore[arg-type]
