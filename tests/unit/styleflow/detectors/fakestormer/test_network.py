"""FakeSTormer: token layout, the fast path, and the live detector, on a toy network."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.live import DeployableFakeStormer, FakeStormerDetector
from styleflow.detectors.fakestormer.network import (
    FakeStormerPrediction,
    head_volume,
    ordered_volume,
)
from styleflow.errors import ShapeMismatch
from styleflow.weights.checkpoint import Checkpoint, build, load, save

TOY = FakeStormerDims(image_px=32, patch_px=8, width=24, depth=3, heads=3, frames=4)


def toy(seed: int = 3) -> DeployableFakeStormer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DeployableFakeStormer(TOY)
        with torch.no_grad():
            for token in (model.backbone.cls_token, model.backbone.pos_embed):
                token.normal_()
            model.backbone.time_embed.normal_()
    return model.eval()


@pytest.fixture(scope="module")
def detector() -> FakeStormerDetector:
    return toy().deploy()


def crops(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator)


def rows(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def push(detector: FakeStormerDetector, state: object, row: int, images: Tensor) -> None:
    for image in images:
        detector.push(state, rows(row), image[None], rows(0))  # type: ignore[arg-type]


def whole(detector: FakeStormerDetector, clips: Tensor) -> FakeStormerPrediction:
    with torch.no_grad():
        return detector.model(detector.model.network_input(clips))


def test_outputs_have_their_shapes(detector: FakeStormerDetector) -> None:
    got = whole(detector, crops(8).view(2, 4, 32, 32, 3))
    assert tuple(got.logit.shape) == (2,)
    assert tuple(got.spatial.shape) == (2, 4)
    assert tuple(got.temporal.shape) == (2, 4, 4, 4)


def test_head_volume_is_scrambled_as_released() -> None:
    """Cell (t, h, w) holds the token with flat index q: place q // T of frame q mod T."""
    T, G = 4, 3
    place = torch.arange(G * G).expand(T, -1)
    frame = torch.arange(T)[:, None].expand(-1, G * G)
    volume = head_volume(torch.stack([place, frame], -1)[None], G)[0]
    for t in range(T):
        for h in range(G):
            for w in range(G):
                q = t * G * G + h * G + w
                assert volume[:, t, h, w].tolist() == [q // T, q % T]


def test_neighbours_in_a_batch_change_nothing(detector: FakeStormerDetector) -> None:
    clips = crops(12).view(3, 4, 32, 32, 3)
    together = whole(detector, clips)
    for index in range(3):
        alone = whole(detector, clips[index : index + 1])
        assert torch.allclose(together.logit[index], alone.logit[0], atol=1e-5)
        assert torch.allclose(together.spatial[index], alone.spatial[0], atol=1e-5)
        assert torch.allclose(together.temporal[index], alone.temporal[0], atol=1e-5)


def test_score_only_path_gives_the_same_logit(detector: FakeStormerDetector) -> None:
    clips = detector.model.network_input(crops(8).view(2, 4, 32, 32, 3))
    with torch.no_grad():
        assert torch.allclose(detector.model.score(clips), detector.model(clips).logit, atol=1e-6)


def test_dead_tensors_change_nothing() -> None:
    """What the import lets a file leave out has no effect on any output."""
    model = toy()
    clips = model.network_input(crops(4)[None])
    with torch.no_grad():
        before = model(clips)
        model.backbone.temp_token.fill_(7.0)
        model.backbone.norm_t_cls.weight.fill_(7.0)
        model.backbone.time_embed[:, -1] = 7.0
        after = model(clips)
    assert torch.equal(before.logit, after.logit)
    assert torch.equal(before.spatial, after.spatial)
    assert torch.equal(before.temporal, after.temporal)


def test_window_slides_from_oldest_to_newest(detector: FakeStormerDetector) -> None:
    """After every push the rating is that of the last four frames, in their order."""
    images = crops(9)
    state = detector.init_state(2)
    for seen in range(1, 10):
        push(detector, state, 1, images[seen - 1 : seen])
        got = detector.rate(state, rows(1))
        if seen < 4:
            assert got.isnan().all()
        else:
            want = whole(detector, images[None, seen - 4 : seen]).logit
            assert torch.allclose(got, want, atol=1e-5)


def test_frames_order_matters(detector: FakeStormerDetector) -> None:
    images = crops(4)
    forth, back = whole(detector, images[None]), whole(detector, images.flip(0)[None])
    assert not torch.allclose(forth.logit, back.logit, atol=1e-4)


def test_full_and_filling_rows_are_rated_together(detector: FakeStormerDetector) -> None:
    state = detector.init_state(3)
    push(detector, state, 0, crops(3))
    push(detector, state, 2, crops(5, seed=1))
    got = detector.rate(state, rows(2, 1, 0))
    assert got.isnan().tolist() == [False, True, True]
    want = whole(detector, crops(5, seed=1)[None, 1:]).logit
    assert torch.allclose(got[:1], want, atol=1e-5)
    maps = detector.vulnerability(state, rows(1, 2))
    assert maps.spatial.isnan().all(1).tolist() == [True, False]
    assert maps.temporal.flatten(1).isnan().any(1).tolist() == [True, False]
    assert torch.allclose(maps.logit[1:], want, atol=1e-5)


def test_clear_starts_anew(detector: FakeStormerDetector) -> None:
    state = detector.init_state(1)
    push(detector, state, 0, crops(5))
    detector.clear(state, rows(0))
    push(detector, state, 0, crops(3, seed=1))
    assert detector.rate(state, rows(0)).isnan().all()


def test_reanchor_replaces_the_newest_frame(detector: FakeStormerDetector) -> None:
    images = crops(6)
    state = detector.init_state(2)
    push(detector, state, 0, images[:5])
    detector.reanchor(state, rows(0, 1), images[5:].expand(2, -1, -1, -1))
    want = whole(detector, images[None, [1, 2, 3, 5]]).logit
    assert torch.allclose(detector.rate(state, rows(0)), want, atol=1e-5)
    assert not state.crops[1].any()


def test_other_rows_stay_bit_identical(detector: FakeStormerDetector) -> None:
    state = detector.init_state(3)
    for row in range(3):
        push(detector, state, row, crops(4, seed=row))
    before = state.crops[rows(0, 2)].clone(), state.pushed[rows(0, 2)].clone()
    push(detector, state, 1, crops(2, seed=9))
    detector.clear(state, rows(1))
    assert torch.equal(state.crops[rows(0, 2)], before[0])
    assert torch.equal(state.pushed[rows(0, 2)], before[1])


def test_state_does_not_grow(detector: FakeStormerDetector) -> None:
    state = detector.init_state(2)
    size = state.crops.shape
    push(detector, state, 0, crops(40))
    assert state.crops.shape == size == (2, 4, 32, 32, 3)


def test_wrong_crops_are_refused(detector: FakeStormerDetector) -> None:
    state = detector.init_state(1)
    with pytest.raises(ShapeMismatch, match="32"):
        push(detector, state, 0, torch.zeros(1, 16, 16, 3, dtype=torch.uint8))
    with pytest.raises(ShapeMismatch, match="clips"):
        detector.model.network_input(crops(3)[None])


def test_network_can_be_trained() -> None:
    """Every weight that an output depends on has a gradient; the dead ones have none."""
    model = toy().train()
    out = model(model.network_input(crops(8).view(2, 4, 32, 32, 3)))
    (out.logit.sum() + out.spatial.sum() + out.temporal.square().sum()).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    dead = ("temp_token", "norm_t_cls.weight", "norm_t_cls.bias")
    assert without == {f"backbone.{name}" for name in dead}


@pytest.mark.parametrize(
    "wrong",
    [{"patch_px": 15}, {"heads": 5}, {"frames": 5}, {"depth": 0}, {"cadence_hz": -1.0}],
)
def test_impossible_dimensions_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FakeStormerDims(**wrong)  # type: ignore[arg-type]


def test_checkpoint_carries_it(tmp_path: Path, detector: FakeStormerDetector) -> None:
    """Saved, loaded and built again it rates as before, under its own name."""
    checkpoint = Checkpoint(
        kind="fakestormer-c23",
        version="test",
        dimensions=TOY,
        tensors=detector.model.state_dict(),
        calibration=Calibration(),
        status=TrainingStatus.UNCALIBRATED,
        provenance="made by a test",
    )
    path = tmp_path / "fakestormer.safetensors"
    save(checkpoint, path)
    again = build(load(path))
    assert isinstance(again, FakeStormerDetector)
    state, same = again.init_state(1), detector.init_state(1)
    push(again, state, 0, crops(4))
    push(detector, same, 0, crops(4))
    assert torch.equal(again.rate(state, rows(0)), detector.rate(same, rows(0)))
    assert again.card.name == "fakestormer-c23"


def test_half_precision_is_close(detector: FakeStormerDetector) -> None:
    half = toy().deploy(dtype=torch.bfloat16)
    a, b = detector.init_state(1), half.init_state(1)
    push(detector, a, 0, crops(4))
    push(half, b, 0, crops(4))
    rough = half.rate(b, rows(0))
    assert rough.dtype == torch.float32
    assert torch.allclose(detector.rate(a, rows(0)), rough, atol=0.05)


def test_repaired_networks_do_as_was_meant() -> None:
    """The learnt temporal token is used, and a cell of the map follows its own patch."""
    dims = replace(TOY, repaired=True)
    model = DeployableFakeStormer(dims)
    model.load_state_dict(toy().state_dict())
    patches = model.backbone.embed(torch.rand(2, 3, 4, 32, 32))
    token = model.backbone.temp_token + model.backbone.time_embed[:, -1:]
    assert torch.equal(model.backbone.seed(patches), token[:, 0].expand(2, -1))
    volume = ordered_volume(patches, dims.grid)
    assert torch.equal(volume[1, :, 2, 1, 3], patches[1, 2, dims.grid + 3])
    clips = torch.rand(2, 3, 4, 32, 32)
    assert torch.allclose(model.score(clips), model(clips).logit, atol=1e-5)
    assert not torch.allclose(model(clips).temporal, toy()(clips).temporal, atol=1e-3)


def test_both_maps_come_with_the_rating(detector: FakeStormerDetector) -> None:
    """The temporal map is the prediction's; the spatial one is the frame's answer, laid out."""
    state = detector.init_state(2)
    push(detector, state, 0, crops(4))
    maps = detector.maps(state, rows(0, 1))
    said = detector.vulnerability(state, rows(0))
    assert torch.allclose(maps.temporal[:1], said.temporal, atol=1e-6)
    highest = maps.spatial[0].flatten(1).amax(1)
    assert torch.allclose(highest, torch.sigmoid(said.spatial[0]), atol=1e-6)
    assert maps.spatial[0].shape == (4, 4, 4)
    assert maps.spatial[1].isnan().all()
    assert maps.temporal[1].isnan().all()


def test_the_spatial_map_is_the_attention_that_the_block_pays(
    detector: FakeStormerDetector,
) -> None:
    """What the spatial token gathers is the patches' values by exactly these shares."""
    block = detector.model.backbone.last
    sequence = torch.randn(3, 5, TOY.width)
    shares = block.attn.first_looks_at(sequence)
    assert torch.allclose(shares.sum(-1), torch.ones(3), atol=1e-6)
    one_head = copy.deepcopy(block.attn)
    one_head.heads = 1
    values = one_head.qkv(sequence)[..., 2 * TOY.width :]
    gathered = (one_head.first_looks_at(sequence)[..., None] * values).sum(1)
    assert torch.allclose(one_head.proj(gathered), one_head(sequence)[:, 0], atol=1e-5)


def test_patches_are_of_both_kinds_and_only_of_full_windows(
    detector: FakeStormerDetector,
) -> None:
    state = detector.init_state(2)
    push(detector, state, 0, crops(4))
    push(detector, state, 1, crops(3))
    shown, none = detector.patches(state, rows(0, 1))
    assert none == ()
    assert {patch.kind for patch in shown} == {"spatial", "temporal"}
    strongest = max(patch.strength for patch in shown if patch.kind == "spatial")
    maps = detector.maps(state, rows(0))
    assert strongest == pytest.approx(maps.spatial[0, -1].max().item())
    assert max(p.strength for p in shown if p.kind == "temporal") == pytest.approx(1.0)
    row, column = divmod(int(maps.temporal[0, -1].argmax()), 4)
    hottest = max((p for p in shown if p.kind == "temporal"), key=lambda p: p.strength)
    assert (hottest.x0, hottest.y0) == (column / 4, row / 4)
