"""Promises of the capacity benchmark: what holds, how it is found, and what is compared."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity import (
    Curve,
    Run,
    Variant,
    batching_ratio,
    chart,
    ratios,
    table,
)
from benchmarks.hardware import hardware
from benchmarks.held import Load, search
from benchmarks.latency import Spread
from benchmarks.recompute import Recomputing
from cli.settings import load as load_settings
from styleflow.weights.checkpoint import build, seeded_untrained


def load(streams: int, p95_ms: float = 50.0, busy_ms: float = 5.0, **more: float) -> Load:
    figures = {"worth": float(streams), "lost": 0.0, "fill": 1.0, "cpu": 0.5, **more}
    return Load(streams, Spread(100, 20.0, p95_ms, p95_ms), busy_ms=busy_ms, **figures)


@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (load(4), True),
        (load(4, p95_ms=301.0), False),
        (load(4, lost=0.011), False),
        (load(4, worth=3.8), False),
        (load(4, p95_ms=float("nan")), False),
    ],
)
def test_a_load_holds_within_every_limit(one: Load, *, holds: bool) -> None:
    assert one.holds is holds


@given(st.integers(0, 80), st.integers(1, 64))
def test_the_search_finds_the_edge_and_tries_nothing_twice(edge: int, most: int) -> None:
    asked: list[int] = []

    def measure(streams: int) -> Load:
        asked.append(streams)
        return load(streams, p95_ms=50.0 if streams <= edge else 900.0)

    found = Curve.of(Variant.ANALYZER, search(measure, most))
    assert len(asked) == len(set(asked)) <= 14
    expected = min(edge, most)
    assert found.capacity <= expected
    assert expected - found.capacity <= max(1, found.capacity // 8) - (expected <= 8)


def test_where_nothing_holds_saturation_counts() -> None:
    plain = Curve.of(
        Variant.PLAIN_LOOP, [load(1, p95_ms=2e3, worth=0.4), load(2, p95_ms=3e3, worth=0.7)]
    )
    assert (plain.capacity, plain.worth) == (0, 0.7)
    ours = Curve.of(Variant.ANALYZER, [load(7), load(8, p95_ms=400.0)])
    assert ratios([ours, plain]) == {"plain_loop": 10.0}


def test_batches_are_compared_at_one_load() -> None:
    ours = Curve.of(Variant.ANALYZER, [load(4, busy_ms=9.0), load(8, busy_ms=4.0)])
    alone = Curve.of(Variant.BATCHING_OFF, [load(8, busy_ms=10.0)])
    assert batching_ratio([ours, alone]) == 2.5
    assert batching_ratio([ours]) is None


def test_results_are_written_and_drawn(tmp_path) -> None:
    where = hardware()
    run = Run(load_settings(None, {}, None), 1.0, tmp_path / "capacity.json", where)
    run.found["640x480"] = [
        Curve.of(Variant.ANALYZER, [load(2)]),
        Curve.of(Variant.PLAIN_LOOP, [load(1, p95_ms=900.0, worth=0.5)]),
    ]
    run.save()
    document = json.loads((tmp_path / "capacity.json").read_text())
    assert document["ratios"] == {"plain_loop": 4.0}
    assert table(run.found["640x480"]).row_count == 2
    chart(run.found, where, tmp_path / "capacity.png")
    assert (tmp_path / "capacity.png").read_bytes().startswith(b"\x89PNG")


def test_recomputing_says_the_same_as_stepping() -> None:
    """Within one window, both sides of the comparison must rate alike, whoever joined when."""
    inner = build(seeded_untrained())
    other = Recomputing(inner, frames=8)
    size = inner.clip.size_px
    generator = torch.Generator().manual_seed(0)
    crops = torch.randint(0, 256, (6, 2, size, size, 3), dtype=torch.uint8, generator=generator)
    rows = torch.tensor([2, 0])
    with torch.inference_mode():
        states = inner.init_state(3), other.init_state(3)
        for detector, state in zip((inner, other), states, strict=True):
            for number, images in enumerate(crops):
                some = slice(0, 2 if number >= 2 else 1)  # the second track joins later
                here = rows[some]
                detector.push(state, here, images[some], torch.zeros_like(here))
        first, second = (d.rate(s, rows) for d, s in zip((inner, other), states, strict=True))
        assert torch.allclose(first, second, atol=1e-4)
        other.clear(states[1], rows[:1])
        assert rows[0].item() not in states[1].crops
