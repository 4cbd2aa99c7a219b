"""GenD live: frames stand alone, a track averages its last seconds, the device sets the cadence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from styleflow.clips import Framing
from styleflow.detectors.gend.live import DeployableGend, GendDetector
from styleflow.detectors.gend.network import Gend, GendDims, fake_logit
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.errors import ShapeMismatch
from styleflow.graphs import Captured, rehearsed
from styleflow.runtime import Compiled, accelerate
from styleflow.runtime_settings import RuntimeSettings

SLIM = GendDims(encoder="clip-slim", window_s=1.5)


def deployed(dims: GendDims = SLIM) -> GendDetector:
    network = DeployableGend(dims)
    seed_weights(network, 5)
    return network.deploy()


@pytest.fixture(scope="module")
def detector() -> GendDetector:
    return deployed()


def crops(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 224, 224, 3), dtype=torch.uint8, generator=generator)


def rows(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def frame_logits(detector: GendDetector, images: Tensor) -> Tensor:
    with torch.no_grad():
        return fake_logit(detector.model(detector.model.network_input(images)))


def push(detector: GendDetector, state: object, at: Tensor, images: Tensor) -> None:
    detector.push(state, at, images, torch.zeros_like(at))  # type: ignore[arg-type]


def test_rate_stands_for_the_mean_probability(detector: GendDetector) -> None:
    images = crops(3)
    state = detector.init_state(2)
    for image in images:
        push(detector, state, rows(1), image[None])
    want = frame_logits(detector, images).sigmoid().mean()
    torch.testing.assert_close(detector.rate(state, rows(1)).sigmoid()[0], want)


def test_only_the_window_counts(detector: GendDetector) -> None:
    """A second and a half at two frames a second are three frames."""
    assert detector.clip.frames == 3
    images = crops(5)
    state = detector.init_state(1)
    for image in images:
        push(detector, state, rows(0), image[None])
    want = frame_logits(detector, images[2:]).sigmoid().mean()
    torch.testing.assert_close(detector.rate(state, rows(0)).sigmoid()[0], want)


def test_a_batch_is_its_rows_and_others_stay(detector: GendDetector) -> None:
    state, images = detector.init_state(3), crops(2)
    push(detector, state, rows(2, 0), images)
    assert detector.rate(state, rows(0, 1, 2)).isnan().tolist() == [False, True, False]
    torch.testing.assert_close(
        detector.rate(state, rows(2, 0)), frame_logits(detector, images), atol=1e-5, rtol=1e-5
    )
    detector.clear(state, rows(0))
    assert detector.rate(state, rows(0, 2)).isnan().tolist() == [True, False]


def test_a_frame_from_another_crop_takes_the_place_of_the_newest(detector: GendDetector) -> None:
    state, images = detector.init_state(2), crops(3)
    push(detector, state, rows(0), images[:1])
    push(detector, state, rows(0), images[1:2])
    detector.reanchor(state, rows(0, 1), images[2:].expand(2, -1, -1, -1))
    want = frame_logits(detector, images[[0, 2]]).sigmoid().mean()
    torch.testing.assert_close(detector.rate(state, rows(0)).sigmoid()[0], want)
    assert detector.rate(state, rows(1)).isnan().all()


def test_extreme_logits_stay_finite(detector: GendDetector) -> None:
    state = detector.init_state(2)
    state.logits[:] = torch.tensor([[800.0, 900.0, 700.0], [-800.0, -900.0, -700.0]])
    state.pushed[:] = 3
    high, low = detector.rate(state, rows(0, 1)).tolist()
    assert 700 <= high <= 900
    assert -900 <= low <= -700


def test_the_devices_kind_sets_the_cadence_unless_it_is_said() -> None:
    """Two frames a second on a CPU, 12.5 on a GPU; the window keeps its seconds."""
    dims = GendDims()
    assert (dims.on("cpu").clip.cadence_hz, dims.on("cpu").clip.frames) == (2.0, 16)
    assert (dims.on("cuda").clip.cadence_hz, dims.on("cuda").clip.frames) == (12.5, 100)
    assert GendDims(cadence_hz=5.0).on("cuda").clip.cadence_hz == 5.0
    assert deployed().clip.cadence_hz == 2.0


def test_each_encoder_has_its_own_framing() -> None:
    framings = {name: GendDims(encoder=name).clip.framing for name in ("clip-l14", "pe-l")}
    assert set(framings.values()) == {Framing.GEND}
    assert GendDims(encoder="dinov3-l").clip.framing is Framing.GEND_BILINEAR


@pytest.mark.parametrize("encoder", ["clip-slim", "pe-slim", "dinov3-slim"])
@torch.inference_mode()
def test_a_compiled_detector_gives_the_same_logits(encoder: str) -> None:
    plain, fast = (deployed(GendDims(encoder=encoder)) for _ in range(2))
    accelerate(fast, RuntimeSettings(workers=2))
    assert isinstance(fast.judge, Compiled)
    images = crops(3, seed=4)
    answers = []
    for made in (plain, fast):
        state = made.init_state(3)
        push(made, state, rows(0, 1, 2), images)
        answers.append(made.rate(state, rows(0, 1, 2)))
    torch.testing.assert_close(*answers, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("encoder", ["clip-slim", "pe-slim", "dinov3-slim"])
def test_seeded_weights_move_with_what_they_see(encoder: str) -> None:
    """Untrained is not dead: scales of a block start at one, not at zero."""
    made = deployed(GendDims(encoder=encoder))
    logits = frame_logits(made, crops(4))
    assert logits.std() > 1e-4


@pytest.mark.parametrize("encoder", ["clip-slim", "pe-slim", "dinov3-slim"])
@torch.inference_mode()
def test_a_captured_detector_brings_nothing_to_the_device(
    encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA graph records kernels, not copies from the processor's memory."""
    made = deployed(GendDims(encoder=encoder))
    images = crops(3, seed=4)
    wanted = made.judge(images)
    made.judge = Captured(made.judge, rehearsed)
    monkeypatch.setattr(torch, "tensor", lambda *_, **__: pytest.fail("brought to the device"))
    torch.testing.assert_close(made.judge(images), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@torch.inference_mode()
def test_cuda_graphs_of_a_detector_answer_like_the_network() -> None:
    network = DeployableGend(SLIM)
    seed_weights(network, 5)
    made = network.deploy("cuda")
    assert made.clip.cadence_hz == 12.5
    images = crops(3, seed=4).cuda()
    wanted = made.judge(images)
    accelerate(made, RuntimeSettings())
    assert isinstance(made.judge, Captured)
    torch.testing.assert_close(made.judge(images), wanted, atol=1e-4, rtol=1e-4)


def test_crops_of_another_size_are_refused(detector: GendDetector) -> None:
    with pytest.raises(ShapeMismatch, match="GenD crops"):
        detector.model.network_input(crops(1)[:, :200])


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoder": "clip"},
        {"cadence_hz": 0.0},
        {"cadence_hz": 2000.0},
        {"window_s": 0.0},
        {"window_s": 3600.0},
    ],
)
def test_impossible_dimensions_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"encoder|cadence_hz|window"):
        GendDims(**wrong)  # type: ignore[arg-type]


def test_only_layer_norms_need_to_be_trained() -> None:
    """What the paper changes of the encoder is 0.03 % of its numbers."""
    with torch.device("meta"):
        network = Gend(GendDims())
    norms = [p for n, p in network.encoder.named_parameters() if "norm" in n]
    share = sum(p.numel() for p in norms) / sum(p.numel() for p in network.parameters())
    assert share == pytest.approx(0.0003, abs=0.0001)
