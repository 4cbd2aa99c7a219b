"""Promises of the benchmark of the published detectors."""

import pytest
import torch

from benchmarks import detectors, frame_costs
from benchmarks.detectors import HOPS, Live, Spread, Subject, chart, measure, subjects, table
from benchmarks.frame_costs import Run, compared, measure_all
from benchmarks.hardware import hardware


@pytest.mark.slow
def test_both_sides_agree_and_every_hop_is_measured(tmp_path):
    with torch.inference_mode():
        found = [measure(s, 3, "cpu") for s in subjects("cpu", quick=True, released=False)]
    assert [cost.detector for cost in found] == [
        "styleflow (16 units)",
        "caddm-resnet10-slim",
        "fakestormer",
    ]
    for cost in found:
        assert cost.difference < 1e-4
        assert [hop.hop for hop in cost.hops] == list(HOPS)
        assert cost.clip_gmac == cost.hops[0].plain_gmac
        assert cost.peak_mb is None or cost.peak_mb > cost.weights_mb
        for hop in cost.hops:
            assert hop.ratio.low <= hop.ratio.median <= hop.ratio.high
            assert hop.live_ms.low <= hop.live_ms.median <= hop.live_ms.high
        assert all(hop.live_gmac <= hop.plain_gmac * 1.01 for hop in cost.hops[:3])
    assert table(found).row_count == 3 * len(HOPS)
    chart(found, hardware(), tmp_path / "detectors.png")
    assert (tmp_path / "detectors.png").read_bytes().startswith(b"\x89PNG")


def test_a_spread_is_median_least_and_greatest():
    assert Spread.of([3.0, 1.0, 7.0]) == Spread(3.0, 1.0, 7.0)
    assert Spread.of([4.0, 1.0]) == Spread(2.5, 1.0, 4.0)


def test_the_released_width_comes_beside_the_compact_one(monkeypatch):
    made = []
    monkeypatch.setattr(detectors, "styleflow", lambda dims, device: made.append(dims.hidden))
    monkeypatch.setattr(detectors, "caddm", lambda *_: None)
    monkeypatch.setattr(detectors, "fakestormer", lambda *_: None)
    list(subjects("cpu", quick=False, released=True))
    assert made == [1024, 4096]


def test_live_styleflow_is_rated_on_the_engines_grid():
    """What is timed is what the engine asks for: nothing is recomputed at any hop."""
    subject = next(subjects("cpu", quick=True, released=False))
    crops = torch.zeros(1, 32, 32, 32, 3, dtype=torch.uint8)
    for hop in HOPS:
        live = Live(subject.live(hop), crops, hop)
        with torch.inference_mode():
            live.cycle()
        assert int(live.state.frames[0] - 1) % hop == 0


def test_sides_that_disagree_are_no_comparison():
    (_, caddm, _) = subjects("cpu", quick=True, released=False)
    odd = Subject(caddm.name, caddm.network, caddm.live, lambda clips: caddm.plain(clips) + 1)
    with torch.inference_mode(), pytest.raises(SystemExit, match="differ by 1"):
        measure(odd, 1, "cpu")


def test_a_frame_cost_compares_a_run_with_float32():
    """Streams are what two cores bear; ranks survive a shift that is the same for all."""
    plain = Run(1.0, (400.0, 500.0, 900.0), (0.1, 0.3, 0.2), 7, 10.0, 20.0)
    moved = Run(1.0, (200.0, 250.0, 300.0), (0.2, 0.4, 0.3), 7, 5.0, 9.0)
    cost = compared("gend-toy", "bfloat16", moved, plain)
    assert (cost.face_ms, cost.low, cost.high) == (250.0, 200.0, 300.0)
    assert cost.streams == {"1 Hz": 8.0, "2 Hz": 4.0}
    assert cost.logit_rms == pytest.approx(0.1)
    assert cost.rank_correlation == 1.0
    assert compared("gend-toy", "float32", plain, plain).logit_rms == 0.0


@pytest.mark.slow
def test_every_precision_is_measured_in_a_process_of_its_own():
    told = []
    found = measure_all(["clip-slim"], 3, told.append)
    assert found == told
    assert [cost.precision for cost in found] == ["float32", "bfloat16", "int8"]
    assert all(cost.crops == 3 and cost.face_ms > 0 for cost in found)
    assert frame_costs.table(found).row_count == 3
