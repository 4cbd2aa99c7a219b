"""Promises of capacity over cores: which points are measured, what is compared, what is written."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.capacity_cores import Found, Load, Point, Run, chart, fitted, points, ratio
from benchmarks.hardware import hardware
from benchmarks.latency import Spread


def load(streams: int, p95_ms: float = 90.0, refused: int = 0, worth: float | None = None) -> Load:
    spread = Spread(100, 30.0, p95_ms, p95_ms)
    cpu = {"server": 0.01 * streams, "workers": 0.1 * streams, "others": 0.02, "client": 0.01}
    return Load(streams, refused, spread, streams if worth is None else worth, 0.0, cpu, {})


def measured(workers: int, cores: int, *held: int) -> Found:
    loads = [one for n in held for one in (load(n), load(n + 1, p95_ms=900.0))]
    return Found(Point(workers, cores), list(held), loads)


def test_lists_of_workers_and_cores_go_together() -> None:
    assert points("0,1,2", "1,1,2", 2) == [Point(0, 1), Point(1, 1), Point(2, 2)]
    assert [str(one) for one in points("0,2", "1,2", 2)] == [
        "one process on 1 core",
        "2 workers on 2 cores",
    ]


@pytest.mark.parametrize(
    ("workers", "cores"), [("1,2", "1"), ("one", "1"), ("1", "3"), ("-1", "1"), ("1", "0")]
)
def test_points_that_cannot_be_measured_are_refused(workers: str, cores: str) -> None:
    with pytest.raises(ValueError, match=r"lists of as many numbers|cannot be measured"):
        points(workers, cores, 2)


@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (load(4), True),
        (load(4, p95_ms=301.0), False),
        (load(4, refused=1), False),
        (load(4, worth=3.7), False),
    ],
)
def test_a_load_holds_within_every_limit(one: Load, *, holds: bool) -> None:
    assert one.holds is holds


def test_two_on_two_are_compared_with_one_on_one_by_the_medians_of_the_rounds() -> None:
    found = ratio([measured(0, 1, 12), measured(1, 1, 9, 10, 11), measured(2, 2, 17, 18, 20)])
    assert found is not None
    assert (found["value"], found["reached"]) == (1.8, True)
    assert (found["least"], found["most"]) == (1.55, 2.22)
    assert ratio([measured(0, 1, 12), measured(2, 2, 20)]) is None


def test_the_law_goes_through_the_points_with_a_worker_per_core_alone() -> None:
    found = fitted([measured(0, 1, 12), measured(1, 1, 10), measured(1, 2, 11), measured(2, 2, 18)])
    assert found is not None
    assert (found.law.at(1), found.law.at(2)) == (pytest.approx(10), pytest.approx(18))
    assert found.projected[0].gateways == 1


def test_results_are_written_and_drawn(tmp_path: Path) -> None:
    where, path = hardware(), tmp_path / "capacity-cores.json"
    found = [
        measured(1, 1, 10, 10),
        measured(2, 2, 19, 18),
        Found(Point(0, 1), [0], [load(1, 900)]),
    ]
    Run(found, 1.0, path, where, [0, 1], Console()).save()
    document = json.loads(path.read_text())
    assert document["ratio"]["value"] == 1.85
    assert [one["cores"] for one in document["law"]["projected"]] == [8, 16, 64]
    assert document["points"][1]["capacity"] == 18.5
    assert document["points"][0]["loads"][0]["holds"] is True
    chart(found, where, path.with_suffix(".png"))
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_where_nothing_held_a_chart_is_drawn_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "nothing.png"
    chart([Found(Point(1, 1), [0], [load(1, 900)])], hardware(), path)
    assert path.exists()


def test_rounds_take_turns_and_none_begins_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured in time stands in the file, with the loads of both points."""
    tried: list[tuple[Point, int]] = []

    def measured_here(point: Point, streams: int, *_: object) -> Load:
        tried.append((point, streams))
        return load(streams, p95_ms=90.0 if streams <= 9 * point.cores else 900.0)

    monkeypatch.setattr("benchmarks.capacity_cores.measure", measured_here)
    monkeypatch.setattr("benchmarks.capacity_cores.render", lambda path: path)
    monkeypatch.setattr("benchmarks.capacity_cores.repeated", lambda clip, path, seconds: path)
    found = [Found(Point(1, 1)), Found(Point(2, 2))]
    run = Run(found, 1.0, tmp_path / "cores.json", hardware(), [0, 1], Console())
    run.rounds(2, 64, minutes=1.0)
    assert [one.held for one in found] == [[9, 9], [18, 18]]
    points_in_turn = [point for point, _ in itertools.groupby(tried, key=lambda one: one[0])]
    assert points_in_turn == [Point(1, 1), Point(2, 2)] * 2
    assert json.loads((tmp_path / "cores.json").read_text())["ratio"]["value"] == 2.0
    run.rounds(3, 64, minutes=0.0)
    assert [one.held for one in found] == [[9, 9, 9], [18, 18, 18]]
