"""CADDM: boxes, the live detector, and its tail of tiny maps, on a slim network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.detectors.caddm.artifacts import artifact_boxes
from styleflow.detectors.caddm.boxes import PRIORS, decode_boxes, prior_boxes
from styleflow.detectors.caddm.live import CaddmDetector, DeployableCaddm
from styleflow.detectors.caddm.network import CaddmDims, CaddmPrediction, CellConv2d
from styleflow.errors import ShapeMismatch
from styleflow.training.caddm.loss import BoxTargets, assign_boxes, caddm_loss, no_boxes
from styleflow.weights.checkpoint import Checkpoint, build, load, save

SLIM = CaddmDims(backbone="resnet10-slim", window=3)


@pytest.fixture(scope="module")
def detector() -> CaddmDetector:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return DeployableCaddm(SLIM).deploy()


def crops(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 224, 224, 3), dtype=torch.uint8, generator=generator)


def rows(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def frame_logits(detector: CaddmDetector, images: Tensor) -> Tensor:
    with torch.no_grad():
        return detector.model(detector.model.network_input(images)).logit


def push(detector: CaddmDetector, state: object, at: Tensor, images: Tensor) -> None:
    detector.push(state, at, images, torch.zeros_like(at))  # type: ignore[arg-type]


def test_prior_boxes_are_168_in_level_row_column_order() -> None:
    boxes = prior_boxes() * 224
    assert tuple(boxes.shape) == (PRIORS, 4) == (168, 4)
    assert boxes[0].tolist() == [16, 16, 40, 80]
    assert boxes[1].tolist() == [16, 16, 80, 40]
    assert boxes[2].tolist() == [48, 16, 40, 80]
    assert boxes[-1].tolist() == [112, 112, 224, 224]


def test_no_offset_leaves_the_prior_box() -> None:
    decoded = decode_boxes(torch.zeros(1, PRIORS, 4), prior_boxes())[0] * 224
    assert decoded[0].tolist() == pytest.approx([-4, -24, 36, 56], abs=1e-4)


def prediction(scores: dict[int, float]) -> CaddmPrediction:
    """A prediction whose prior boxes hold an artifact with these probabilities, others never."""
    classes = torch.zeros(1, PRIORS, 2)
    classes[..., 1] = -20.0
    for index, score in scores.items():
        classes[0, index, 1] = math.log(score / (1 - score))
    return CaddmPrediction(torch.zeros(1, 2), torch.zeros(1, PRIORS, 4), classes)


def test_best_box_first_and_its_double_left_out() -> None:
    """Boxes 166 and 167 are the same full square."""
    (found,) = artifact_boxes(prediction({166: 0.7, 167: 0.9, 40: 0.8, 30: 0.2}))
    assert [round(box.score, 4) for box in found] == [0.9, 0.8]
    assert (found[0].x0, found[0].y0, found[0].x1, found[0].y1) == (0, 0, 224, 224)


def test_number_of_boxes_is_bounded() -> None:
    every = prediction(dict.fromkeys(range(PRIORS), 0.99))
    (found,) = artifact_boxes(every, overlap_max=1.0, limit=5)
    assert len(found) == 5


def test_axes_of_released_training_are_exchanged_back() -> None:
    """Box 4 lies in column 2 of row 0; networks of the released program mean row 2."""
    (shown,) = artifact_boxes(prediction({4: 0.9}))
    (raw,) = artifact_boxes(prediction({4: 0.9}), axes_exchanged=False)
    assert (raw[0].x0, raw[0].y0, raw[0].x1, raw[0].y1) == pytest.approx((60, 0, 100, 56))
    assert (shown[0].x0, shown[0].y0, shown[0].x1, shown[0].y1) == pytest.approx((0, 60, 56, 100))


@pytest.mark.parametrize("box", [math.nan, math.inf])
def test_undefined_offsets_show_no_crash(box: float) -> None:
    broken = prediction({4: 0.9})
    broken.box_offsets[:] = box
    assert len(artifact_boxes(broken)) == 1


@pytest.mark.parametrize(("cells", "batch"), [(7, 1), (7, 4), (3, 1), (3, 40)])
@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 0), (3, 1)])
def test_cell_convolution_is_a_convolution(
    cells: int, batch: int, kernel: int, padding: int
) -> None:
    """Few cells or many, one matrix product or torch's own: the same map."""
    conv = CellConv2d(5, 6, kernel, padding=padding)
    x = torch.rand(batch, 5, cells, cells)
    assert torch.allclose(conv(x), nn.Conv2d.forward(conv, x), atol=1e-6)


def test_rate_stands_for_the_mean_probability(detector: CaddmDetector) -> None:
    """The authors average probabilities, so the sigmoid of the rating is that average."""
    images = crops(3)
    state = detector.init_state(2)
    for image in images:
        push(detector, state, rows(1), image[None])
    want = frame_logits(detector, images).sigmoid().mean()
    assert torch.allclose(detector.rate(state, rows(1)).sigmoid()[0], want, atol=1e-6)


def test_only_the_window_counts(detector: CaddmDetector) -> None:
    images = crops(5)
    state = detector.init_state(1)
    for image in images:
        push(detector, state, rows(0), image[None])
    want = frame_logits(detector, images[2:]).sigmoid().mean()
    assert torch.allclose(detector.rate(state, rows(0)).sigmoid()[0], want, atol=1e-6)


def test_extreme_logits_stay_finite(detector: CaddmDetector) -> None:
    state = detector.init_state(2)
    state.logits[:] = torch.tensor([[800.0, 900.0, 700.0], [-800.0, -900.0, -700.0]])
    state.pushed[:] = 3
    high, low = detector.rate(state, rows(0, 1)).tolist()
    assert 700 <= high <= 900
    assert -900 <= low <= -700


def test_nothing_seen_is_not_a_number(detector: CaddmDetector) -> None:
    state = detector.init_state(2)
    push(detector, state, rows(0), crops(1))
    assert detector.rate(state, rows(0, 1)).isnan().tolist() == [False, True]
    detector.clear(state, rows(0))
    assert detector.rate(state, rows(0)).isnan().all()
    assert detector.artifacts(state, rows(0)) == ((),)


def test_a_batch_is_its_rows(detector: CaddmDetector) -> None:
    images = crops(3)
    together, apart = detector.init_state(4), detector.init_state(4)
    push(detector, together, rows(2, 0, 3), images)
    for row, image in zip((2, 0, 3), images, strict=True):
        push(detector, apart, rows(row), image[None])
    every = rows(0, 2, 3)
    assert torch.allclose(
        detector.rate(together, every), detector.rate(apart, every), atol=1e-4, rtol=1e-5
    )


def test_other_rows_stay_bit_identical(detector: CaddmDetector) -> None:
    state = detector.init_state(3)
    push(detector, state, rows(0, 1, 2), crops(3))
    before = [t[rows(0, 2)].clone() for t in parts(state)]
    push(detector, state, rows(1), crops(1, seed=1))
    detector.reanchor(state, rows(1), crops(1, seed=2))
    detector.clear(state, rows(1))
    for was, now in zip(before, parts(state), strict=True):
        assert torch.equal(was, now[rows(0, 2)])


def parts(state: object) -> list[Tensor]:
    return [getattr(state, name) for name in ("logits", "pushed", "box_offsets", "box_classes")]


def test_reanchor_replaces_the_newest_frame(detector: CaddmDetector) -> None:
    first, second, again = crops(3)
    state, plain = detector.init_state(2), detector.init_state(2)
    push(detector, state, rows(0), first[None])
    push(detector, state, rows(0), second[None])
    detector.reanchor(state, rows(0, 1), torch.stack([again, again]))
    push(detector, plain, rows(0), first[None])
    push(detector, plain, rows(0), again[None])
    assert torch.allclose(detector.rate(state, rows(0)), detector.rate(plain, rows(0)), atol=1e-5)
    assert detector.rate(state, rows(1)).isnan().all()


def test_missing_frames_change_nothing(detector: CaddmDetector) -> None:
    a, b = detector.init_state(1), detector.init_state(1)
    detector.push(a, rows(0), crops(1), rows(0))
    detector.push(b, rows(0), crops(1), rows(9))
    assert torch.equal(detector.rate(a, rows(0)), detector.rate(b, rows(0)))


def test_weights_of_our_own_training_show_boxes_as_they_are() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        released = DeployableCaddm(SLIM)
    ours = DeployableCaddm(replace(SLIM, axes_exchanged=False))
    ours.load_state_dict(released.state_dict())
    shown = []
    for network in (released, ours):
        heads = network.adm.multi_scale_detection_module
        for det, cls in zip(heads.ms_dets, heads.ms_cls, strict=True):
            nn.init.zeros_(det.weight)
            nn.init.zeros_(det.bias)
            nn.init.zeros_(cls.weight)
            cls.bias.data.copy_(torch.tensor([0.0, 9.0, 0.0, -9.0]))
        detector = network.deploy()
        state, row = detector.init_state(1), torch.tensor([0])
        detector.push(state, row, crops(1), torch.zeros(1, dtype=torch.int64))
        shown.append(detector.artifacts(state, row)[0][0])
    exchanged, plain = shown
    assert (exchanged.x0, exchanged.y0) == (plain.y0, plain.x0)
    assert plain.y1 - plain.y0 > plain.x1 - plain.x0  # the first prior of a cell stands upright


def test_dropout_acts_in_training_alone() -> None:
    network = DeployableCaddm(SLIM)
    network.base_model.dropout = 0.5
    x = network.network_input(crops(4))
    first, second = (network.train()(x).classes for _ in range(2))
    assert not torch.equal(first, second)
    first, second = (network.eval()(x).classes for _ in range(2))
    assert torch.equal(first, second)


def test_real_crops_may_teach_the_heads_what_is_background() -> None:
    prediction = CaddmPrediction(
        torch.zeros(2, 2), torch.zeros(2, PRIORS, 4), torch.zeros(2, PRIORS, 2)
    )
    fake = assign_boxes(torch.tensor([[0.0, 0.0, 224.0, 224.0]]))
    real = no_boxes()
    targets = BoxTargets(
        torch.stack([real.offsets, fake.offsets]), torch.stack([real.labels, fake.labels])
    )
    released, taught = (
        caddm_loss(prediction, torch.tensor([0, 1]), targets, real_negatives=count)
        for count in (0, 6)
    )
    assert released.mined.sum(1).tolist() == [0, 4]
    assert taught.mined.sum(1).tolist() == [6, 4]
    assert taught.box_classes > released.box_classes


def test_boxes_belong_to_the_newest_frame(detector: CaddmDetector) -> None:
    state = detector.init_state(1)
    newest = crops(1, seed=4)
    push(detector, state, rows(0), crops(1))
    push(detector, state, rows(0), newest)
    with torch.no_grad():
        want = artifact_boxes(detector.model(detector.model.network_input(newest)))
    got = detector.artifacts(state, rows(0))
    assert len(got[0]) == len(want[0]) > 0
    for a, b in zip(got[0], want[0], strict=True):
        assert a.score == pytest.approx(b.score, abs=1e-5)


def test_wrong_crops_are_refused(detector: CaddmDetector) -> None:
    with pytest.raises(ShapeMismatch, match="224"):
        push(detector, detector.init_state(1), rows(0), crops(1)[:, :128, :128])


def test_network_can_be_trained() -> None:
    """Every weight that a score or a box depends on has a gradient."""
    model = DeployableCaddm(SLIM)
    out = model(model.network_input(crops(2)))
    (out.logit.sum() + out.box_offsets.sum() + out.box_classes.sum()).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {"base_model.fc.weight", "base_model.fc.bias"}


@pytest.mark.parametrize(
    "wrong", [{"backbone": "vgg"}, {"window": 0}, {"cadence_hz": 0.0}, {"cadence_hz": math.nan}]
)
def test_impossible_dimensions_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CaddmDims(**wrong)  # type: ignore[arg-type]


def test_checkpoint_carries_it(tmp_path: Path, detector: CaddmDetector) -> None:
    """Saved, loaded and built again it rates as before, under its own name."""
    checkpoint = Checkpoint(
        kind="caddm-resnet34",
        version="test",
        dimensions=SLIM,
        tensors=detector.model.state_dict(),
        calibration=Calibration(),
        status=TrainingStatus.UNCALIBRATED,
        provenance="made by a test",
    )
    path = tmp_path / "caddm.safetensors"
    save(checkpoint, path)
    again = build(load(path))
    state = again.init_state(1)
    again.push(state, rows(0), crops(1), rows(0))
    assert torch.equal(again.rate(state, rows(0)), frame_logits(detector, crops(1)))
    assert (again.card.name, again.clip.size_px) == ("caddm-resnet34", 224)


def test_half_precision_is_close(detector: CaddmDetector) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        half = DeployableCaddm(SLIM).deploy(dtype=torch.bfloat16)
    a, b = detector.init_state(1), half.init_state(1)
    push(detector, a, rows(0), crops(1))
    push(half, b, rows(0), crops(1))
    exact, rough = detector.rate(a, rows(0)), half.rate(b, rows(0))
    assert rough.dtype == torch.float32
    assert torch.allclose(exact, rough, atol=0.05 * max(1.0, exact.abs().item()))
