"""Exact streaming: whatever is pushed frame by frame equals the same windows computed whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.clips import ClipSpec, Framing, PspInput, WideCrop
from styleflow.detectors.layers.style_gru import style_flow
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.live import StyleFlowDetector, StyleFlowState
from styleflow.detectors.styleflow.network import StyleFlow, StyleFlowDims, style_crops
from styleflow.detectors.styleflow.psp import PspDims
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.errors import ShapeMismatch
from styleflow.graph_pool import GraphPool
from styleflow.graphs import capture_steps, rehearsed
from styleflow.weights import checkpoint
from styleflow.weights.checkpoint import Checkpoint

CARD = ModelCard("styleflow", "test", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "0" * 64)
DIMS = StyleFlowDims(
    psp=PspDims(size_px=32, width=2, units=(1, 1, 1, 1)),
    levels=StyleLevels("coarse"),
    hidden=16,
    gru_head=8,
    content=ContentDims(size_px=16, width=2),
    heads=2,
    head=8,
    inner=32,
)


def network(dims: StyleFlowDims = DIMS) -> StyleFlow:
    """Return a toy detector whose statistics are those of no layer in particular."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = StyleFlow(dims)
        for name, tensor in net.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif "bn" in name and name.endswith(("weight", "bias")):
                tensor.add_(torch.randn_like(tensor) * 0.1)
        torch.nn.init.normal_(net.resnet.head.STA.lp.weight, std=0.2)
        for module in net.resnet.modules():
            if isinstance(module, torch.nn.Conv3d):
                torch.nn.init.kaiming_normal_(module.weight, a=1.0)
        # Latents of an untrained encoder hardly move; make the style branch matter.
        for style in net.psp.encoder.styles:
            style.linear.weight.data.mul_(200)
        net.resnet.head.time_T.mlp_head[1].weight.data.mul_(4)
        net.resnet.head.time_T.pos_embedding.data.mul_(0.1)
    return net.eval().requires_grad_(requires_grad=False)


NETWORK = network()


def faces(frames: int, seed: int) -> Tensor:
    """Return aligned crops of one track, `(T, 32, 32, 3)` uint8; coarse, so that means vary."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (frames, 2, 2, 3), generator=generator, dtype=torch.uint8)
    return coarse.repeat_interleave(16, 1).repeat_interleave(16, 2)


def whole(track: Tensor, end: int, net: StyleFlow = NETWORK) -> Tensor:
    """Return the logit of the window of 32 frames that ends before frame `end`."""
    return net(track[None, end - 32 : end])[0]


def windows(track: Tensor, ends: list[int]) -> Tensor:
    """Return the logits of several windows of one track, which is encoded only once."""
    latents = NETWORK.latents(track, at_once=len(track))
    flow = style_flow(torch.stack([latents[end - 32 : end] for end in ends]))
    clips = torch.stack([track[end - 32 : end] for end in ends])
    tokens = NETWORK.resnet.features(NETWORK.content_input(clips))
    return NETWORK.resnet.head(tokens, NETWORK.style_gru.code(flow))


def detector(hop: int = 8, **options: object) -> StyleFlowDetector:
    return StyleFlowDetector(NETWORK, CARD, Calibration(), hop=hop, **options)  # type: ignore[arg-type]


def feed(
    live: StyleFlowDetector,
    state: StyleFlowState,
    rows: list[int],
    images: list[Tensor],
    missing: int = 0,
) -> None:
    live.push(
        state,
        torch.tensor(rows),
        torch.stack(images),
        torch.full((len(rows),), missing, dtype=torch.int64),
    )


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_style_content_and_time_all_matter_in_these_tests() -> None:
    """Otherwise an error in one of them could hide below the tolerance."""
    track = faces(33, 1)
    other_style, other_content = network(), network()
    other_style.style_gru.hidden_state.mul_(-1)
    other_content.resnet.s1.pathway0_stem.conv.weight.mul_(-1)
    logit = whole(track, 32)
    for other in (
        whole(track, 32, other_style),
        whole(track, 32, other_content),
        whole(track, 33),
        whole(track.flip(0), 33),
    ):
        assert (other - logit).abs() > 1e-2


@pytest.mark.parametrize("hop", [1, 2, 4, 7, 8, 16, 32])
def test_live_windows_equal_offline_windows(hop: int) -> None:
    """Three tracks at different phases in one batch, rated every hop."""
    live = detector(hop, keep_content=hop != 4)
    state = live.init_state(4)
    begins = {0: 0, 2: 5, 3: 12}
    tracks = {row: faces(76, row) for row in begins}
    got: dict[int, list[tuple[int, Tensor]]] = {row: [] for row in begins}
    for tick in range(76):
        rows = [row for row, begin in begins.items() if tick >= begin]
        feed(live, state, rows, [tracks[row][tick - begins[row]] for row in rows])
        seen = {row: tick - begins[row] + 1 for row in rows}
        due = [row for row in rows if seen[row] >= 32 and (seen[row] - 32) % hop == 0]
        for row, logit in zip(
            due, live.rate(state, torch.tensor(due, dtype=torch.int64)), strict=True
        ):
            got[row].append((seen[row], logit))
    for row, ratings in got.items():
        ends, logits = zip(*ratings, strict=True)
        close(torch.stack(logits), windows(tracks[row], list(ends)))


@pytest.mark.parametrize(("hop", "steps"), [(2, "ends_after"), (8, "ends")])
def test_windows_of_recorded_steps_equal_offline_windows(hop: int, steps: str) -> None:
    """Tracks come one by one: batches of one to three in buckets of one to four."""
    live, pool = detector(hop, keep_content=False), GraphPool()
    assert live.gru.staggered is (steps == "ends_after")
    capture_steps(live, rehearsed, pool)
    state = live.init_state(3)
    tracks = [faces(50, 30 + row) for row in range(3)]
    for tick in range(50):
        rows = [row for row in range(3) if tick >= 3 * row]
        feed(live, state, rows, [tracks[row][tick - 3 * row] for row in rows])
        if tick >= 40 and tick % hop == 0:
            logits = live.rate(state, torch.tensor(rows))
            for row, logit in zip(rows, logits, strict=True):
                close(logit, windows(tracks[row], [tick - 3 * row + 1])[0])
    assert pool.counts.replayed > 50
    assert not any(pool.counts.fallen_back.values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("hop", [2, 8])
def test_windows_on_a_gpu_equal_offline_windows(hop: int) -> None:
    """Recorded as CUDA graphs, for two tracks."""
    live = StyleFlowDetector(network().cuda(), CARD, Calibration(), hop=hop, keep_content=False)
    pool = GraphPool()
    capture_steps(live, pool=pool)
    state, tracks = live.init_state(2), [faces(48, 40 + row) for row in range(2)]
    rows = torch.tensor([0, 1], device="cuda")
    with torch.inference_mode():
        for tick in range(48):
            images = torch.stack([track[tick] for track in tracks]).cuda()
            live.push(state, rows, images, torch.zeros_like(rows))
        logits = live.rate(state, rows).cpu()
    wanted = torch.stack([windows(track, [48])[0] for track in tracks])
    torch.testing.assert_close(logits, wanted, atol=2e-2, rtol=2e-2)
    assert pool.counts.replayed > 48
    assert not any(pool.counts.fallen_back.values())


def test_pieces_of_the_offline_path_are_the_offline_path() -> None:
    """What these tests compare with is `StyleFlow.forward`, with every frame encoded once."""
    track = faces(41, 20)
    close(windows(track, [32, 41]), torch.stack([whole(track, 32), whole(track, 41)]))


@pytest.mark.parametrize("keep_content", [False, True])
@pytest.mark.parametrize("hop", [4, 5])
def test_ratings_off_the_grid_are_exact_too(hop: int, keep_content: bool) -> None:
    """Ratings at any frame, twice at the same frame and long after each other."""
    live = detector(hop, keep_content=keep_content)
    state = live.init_state(1)
    track = faces(90, 3)
    row = torch.tensor([0])
    for frame in range(90):
        feed(live, state, [0], [track[frame]])
        for _ in range({33: 1, 34: 2, 36: 1, 37: 1, 45: 1, 46: 1, 47: 1, 88: 3}.get(frame, 0)):
            close(live.rate(state, row)[0], whole(track, frame + 1))


def test_a_window_that_is_not_full_has_no_logit() -> None:
    live = detector()
    state = live.init_state(2)
    track = faces(32, 4)
    for frame in range(31):
        feed(live, state, [0], [track[frame]])
    assert live.rate(state, torch.tensor([0, 1])).isnan().all()
    feed(live, state, [0], [track[31]])
    logits = live.rate(state, torch.tensor([1, 0]))
    assert logits[0].isnan()
    close(logits[1], whole(track, 32))


@pytest.mark.parametrize("hop", [1, 2, 8])
def test_a_long_gap_begins_a_new_window(hop: int) -> None:
    """Nothing from before the gap enters a window after it, cached features included."""
    live = detector(hop, keep_content=True)
    state = live.init_state(1)
    before, after = faces(41, 5), faces(40, 6)
    row = torch.tensor([0])
    for image in before:
        feed(live, state, [0], [image])
        live.rate(state, row)
    for frame, image in enumerate(after):
        feed(live, state, [0], [image], missing=3 if frame == 0 else 0)
        logit = live.rate(state, row)[0]
        if frame < 31:
            assert logit.isnan()
        else:
            close(logit, whole(after, frame + 1))


def test_a_short_gap_is_bridged() -> None:
    live = detector(hop=4, bridge=2)
    state = live.init_state(1)
    track = faces(32, 7)
    for frame, image in enumerate(track):
        feed(live, state, [0], [image], missing=2 if frame == 9 else 0)
    close(live.rate(state, torch.tensor([0]))[0], whole(track, 32))


def test_clear_forgets_everything() -> None:
    """A row's next face is rated as if nobody had been there, and no trace of the first stays."""
    live = detector(hop=2, keep_content=True)
    fresh, state = live.init_state(1), live.init_state(1)
    row = torch.tensor([0])
    for image in faces(40, 8):
        feed(live, state, [0], [image])
        live.rate(state, row)
    live.clear(state, row)
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), tensors(fresh), strict=True))


def test_rows_that_are_not_named_stay_bit_identical() -> None:
    live = detector(hop=3, keep_content=True)
    state = live.init_state(3)
    for image in faces(40, 9):
        feed(live, state, [0, 1, 2], [image, image.flip(0), image.flip(1)])
    live.rate(state, torch.tensor([0, 1, 2]))
    kept = [tensor[1].clone() for tensor in tensors(state)]
    image = faces(1, 10)[0]
    feed(live, state, [2, 0], [image, image], missing=7)
    live.reanchor(state, torch.tensor([0]), image[None])
    live.rate(state, torch.tensor([0, 2]))
    live.clear(state, torch.tensor([2]))
    assert all(torch.equal(t[1], k) for t, k in zip(tensors(state), kept, strict=True))


def test_after_a_new_anchor_deltas_lie_under_one_transform() -> None:
    """The delta into the next frame is taken against the newest frame's second crop."""
    live = detector(hop=8)
    state = live.init_state(1)
    row = torch.tensor([0])
    track, again = faces(32, 11), faces(1, 12)
    for frame, image in enumerate(track):
        feed(live, state, [0], [image])
        if frame == 19:
            live.reanchor(state, row, again)
    latents = NETWORK.latents(track)
    deltas = latents[1:] - latents[:-1]
    deltas[19] = latents[20] - NETWORK.latents(again)[0]
    code = NETWORK.style_gru.code(deltas.flatten(1)[None])
    tokens = NETWORK.resnet.features(NETWORK.content_input(track[None]))
    close(live.rate(state, row), NETWORK.resnet.head(tokens, code))


def test_order_and_company_do_not_matter() -> None:
    """A row's logit is the same alone and in a batch of any order."""
    live = detector(hop=8)
    alone, together = live.init_state(1), live.init_state(3)
    track = faces(32, 13)
    for image in track:
        feed(live, alone, [0], [image])
        feed(live, together, [2, 0, 1], [image.flip(0), image.flip(1), image])
    close(
        live.rate(together, torch.tensor([1, 2, 0]))[0],
        live.rate(alone, torch.tensor([0]))[0],
    )


def test_fewer_style_levels_stream_as_exactly() -> None:
    dims = StyleFlowDims(
        psp=DIMS.psp,
        levels=StyleLevels("coarse,fine"),
        hidden=16,
        gru_head=8,
        content=DIMS.content,
        heads=2,
        head=8,
        inner=32,
    )
    net = network(dims)
    live = StyleFlowDetector(net, CARD, Calibration(), hop=8)
    state = live.init_state(1)
    track = faces(40, 14)
    for image in track:
        feed(live, state, [0], [image])
    close(live.rate(state, torch.tensor([0]))[0], whole(track, 40, net))


def test_the_style_encoder_may_be_fed_as_ffhq_frames() -> None:
    """Live equals whole; the encoder sees all of the wide crop, the content branch its own."""
    dims = dataclasses.replace(DIMS, psp_input=PspInput.FFHQ)
    net = network(dims)
    live = StyleFlowDetector(net, CARD, Calibration(), hop=8)
    wide = WideCrop(32)
    assert live.clip == ClipSpec(32, 25.0, 42, Framing.STYLEFLOW_WIDE)
    own = faces(40, 16)
    track = faces(40, 17)[:, :1, :1].repeat(1, 42, 42, 1)
    track[:, wide.top_px : wide.top_px + 32, wide.left_px : wide.left_px + 32] = own
    state = live.init_state(1)
    for image in track:
        feed(live, state, [0], [image])
    close(live.rate(state, torch.tensor([0]))[0], whole(track, 40, net))
    assert torch.equal(net.content_crops(track), NETWORK.content_crops(own))
    assert style_crops(track, 32, PspInput.FFHQ).shape == own.shape
    edge = track.clone()
    edge[::2, :5] = 255
    assert (whole(edge, 40, net) - whole(track, 40, net)).abs() > 1e-4
    with pytest.raises(ShapeMismatch, match="32, 42, 42, 3"):
        whole(own, 40, net)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_checkpoint_file_brings_the_detector_back(tmp_path: Path, dtype: torch.dtype) -> None:
    """Saved, read, verified and deployed; half precision stays close where it is used."""
    net = network()
    saved = Checkpoint(
        kind="styleflow",
        version="1",
        dimensions=DIMS,
        tensors=net.state_dict(),
        calibration=Calibration(scale=2.0),
        status=TrainingStatus.UNCALIBRATED,
        provenance="toy",
    )
    checkpoint.save(saved, tmp_path / "toy.safetensors")
    loaded = checkpoint.load(tmp_path / "toy.safetensors")
    live = checkpoint.build(loaded, dtype=dtype)
    assert loaded.dimensions == DIMS
    assert live.card.mode is TemporalMode.EXACT
    assert live.clip == ClipSpec(32, 25.0, 32, Framing.STYLEFLOW)
    assert live.calibration.scale == 2.0
    state = live.init_state(1)
    track, row = faces(32, 15), torch.tensor([0])
    for image in track:
        live.push(state, row, image[None], torch.tensor([0]))
    tolerance = 1e-4 if dtype is torch.float32 else 0.1
    logit = live.rate(state, row)[0]
    assert logit.dtype is torch.float32
    torch.testing.assert_close(logit, whole(track, 32), atol=tolerance, rtol=0)


def tensors(state: StyleFlowState) -> list[Tensor]:
    """Return every tensor that a state holds, slots first."""
    content = [] if state.content is None else [state.content.starts, *state.content.middles]
    gru = [getattr(state.gru, field.name) for field in dataclasses.fields(state.gru)]
    return [state.frames, state.newest, state.crops, *gru, *content]
