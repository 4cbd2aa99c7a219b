"""Promises of the benchmark of the published detectors."""

import pytest
import torch

from benchmarks import detectors
from benchmarks.detectors import HOPS, Live, Spread, Subject, chart, measure, subjects, table
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
