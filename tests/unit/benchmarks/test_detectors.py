"""Promises of the benchmark of the published detectors."""

import pytest
import torch

from benchmarks.detectors import HOPS, Subject, chart, measure, subjects, table
from benchmarks.hardware import hardware


def test_both_sides_agree_and_every_hop_is_measured(tmp_path):
    with torch.inference_mode():
        found = [measure(s, 1, "cpu") for s in subjects("cpu", quick=True, released=False)]
    assert [cost.detector for cost in found] == [
        "styleflow (16 units)",
        "caddm-resnet10-slim",
        "fakestormer",
    ]
    for cost in found:
        assert cost.difference < 1e-4
        assert [hop.hop for hop in cost.hops] == list(HOPS)
        assert all(hop.live_gmac <= hop.plain_gmac * 1.01 for hop in cost.hops[:3])
    assert table(found).row_count == 3 * len(HOPS)
    chart(found, hardware(), tmp_path / "detectors.png")
    assert (tmp_path / "detectors.png").read_bytes().startswith(b"\x89PNG")


def test_sides_that_disagree_are_no_comparison():
    (_, caddm, _) = subjects("cpu", quick=True, released=False)
    odd = Subject(caddm.name, caddm.network, caddm.live, lambda clips: caddm.plain(clips) + 1)
    with torch.inference_mode(), pytest.raises(SystemExit, match="differ by 1"):
        measure(odd, 1, "cpu")
