"""Promises of the page on scaling: its figures are those of the newest results, or it says none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.scaling import PAGE, newest, written

HARDWARE = {"cpu": "AMD EPYC", "measured": "2026-11-30", "load_1m": 0.4}


def point(workers: int, cores: int, *held: int) -> dict[str, Any]:
    cpu = {"server": 0.11, "workers": 0.8, "others": 0.03, "client": 0.01}
    load = {"streams": max(held, default=1), "latency": {"p95_ms": 141.2}, "cpu": cpu}
    loads = [{**load, "holds": bool(held)}]
    return {"workers": workers, "cores": cores, "held": list(held), "loads": loads}


def capacity_result(spare: int = 0, **hardware: str) -> dict[str, Any]:
    projected = {"cores": 8, "streams": 57, "least": 49, "most": 84, "gateways": 1}
    return {
        "hardware": {**HARDWARE, **hardware},
        "seconds": 10.0,
        "points": [point(0, 1), point(1, 1, 10, 9), point(2, 2, 18, 18)],
        "ratio": {"what": "2 workers over 1", "value": 1.89, "target": 1.8},
        "law": {
            "formula": "streams = a n",
            "law": {"a": 10.0, "s": 0.11},
            "least_s": 0.0,
            "most_s": 0.2,
            "spare": spare,
            "projected": [projected],
        },
    }


FAULTS = {
    "hardware": HARDWARE,
    "faults": [
        {
            "fault": "worker killed",
            "times": 10,
            "noticed_s": {"p50": 0.31, "most": 0.74},
            "scored_s": {"p50": 2.04, "most": 3.36},
            "events_lost": 0,
            "split_brain_scores": None,
        }
    ],
}


GATEWAYS = {
    "hardware": HARDWARE,
    "connected": 1000,
    "streams": 64,
    "messages_per_s": 4166.4,
    "age_s": {"p50": 0.081, "p95": None, "p99": 0.3124, "max": None},
    "slow": 8,
    "slow_cut": 8,
    "memory": [{"flat": True}, None],
}


OUTAGE = {
    "fault": "the head is away",
    "times": 2,
    "noticed_s": None,
    "scored_s": {"p50": 0.1, "most": 0.2},
    "events_lost": 0,
    "split_brain_scores": 0,
    "silent_s": {"p50": 0.31, "most": 0.44},
    "moved_s": {"p50": 2.5, "most": 3.7},
}


def page(folder: Path, **results: Any) -> str:
    for name, result in results.items():
        (folder / f"{name.replace('_', '-')}.json").write_text(json.dumps(result))
    return written(PAGE.read_text(encoding="utf-8"), folder)


def test_the_page_is_what_the_newest_results_make_of_it() -> None:
    """After a new result: `python -m docs.scaling`."""
    text = PAGE.read_text(encoding="utf-8")
    assert written(text) == text


def test_without_results_the_page_says_so_and_has_no_figure(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert "Not measured yet" in text
    assert "How long each takes was not measured" in text
    assert "How many clients a gateway serves was not measured" in text
    assert "projected |" not in text


def test_what_workers_held_is_told_by_round_and_the_projection_is_called_one(
    tmp_path: Path,
) -> None:
    text = page(tmp_path, capacity_cores_abc=capacity_result())
    assert "| one process without Ray, 1 core | none | – | – |" in text
    assert "| 1 worker, 1 core | 10, 9 | 141 ms | 0.11, 0.80, 0.03, 0.01 |" in text
    assert "| 2 workers, 2 cores | 18, 18 | 141 ms |" in text
    assert "**A projection, not a measurement:**" in text
    assert "| 8 | 57 | 49 to 84 | 1 |" in text
    assert "it fits exactly, whatever is true" in text
    assert "whatever is true" not in page(tmp_path, capacity_cores_abc=capacity_result(spare=2))


def test_failures_are_told_with_their_median_and_longest(tmp_path: Path) -> None:
    text = page(tmp_path, cluster_faults_abc=FAULTS)
    line = "| worker killed | 10 | 0.3 s, at most 0.7 s | 2.0 s, at most 3.4 s | 0 | – |"
    assert line in text
    assert "make up events" not in text
    once_never = {**FAULTS["faults"][0], "noticed_s": None}
    once_never["scored_s"] = {"p50": 2.0, "most": 3.0, "never": 1}
    text = page(tmp_path, scripted_faults_abc={**FAULTS, "faults": [once_never]})
    assert "Workers that make up events" in text
    assert "| worker killed | 10 | – | 2.0 s, at most 3.0 s, 1 times never | 0 | – |" in text


def test_how_many_clients_gateways_serve_is_told(tmp_path: Path) -> None:
    text = page(tmp_path, gateways_abc=GATEWAYS)
    assert "1000 WebSocket clients" in text
    assert "at a client p50 81 ms, p99 312 ms. Of 8 clients" in text
    assert "flat at 1 of 1 gateways" in text
    unread = {**GATEWAYS, "age_s": dict.fromkeys(("p50", "p99"))}
    assert "p50 unknown, p99 unknown" in page(tmp_path, gateways_abc=unread)


def test_the_newest_result_counts_by_the_day_it_was_measured(tmp_path: Path) -> None:
    for name, day in {"f": "2026-11-29", "a": "2026-12-01"}.items():
        result = capacity_result(measured=day)
        (tmp_path / f"capacity-cores-{name}.json").write_text(json.dumps(result))
    found = newest("capacity-cores", tmp_path)
    assert found is not None
    assert found[0] == "capacity-cores-a"
    assert newest("cluster-faults", tmp_path) is None


def test_a_page_without_its_places_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 places for capacity"):
        written("# Scaling", tmp_path)


def test_an_outage_says_how_long_streams_were_silent_and_when_they_moved_again(
    tmp_path: Path,
) -> None:
    result = {
        **FAULTS,
        "faults": [OUTAGE, {**OUTAGE, "fault": "the store is away", "moved_s": None}],
    }
    text = page(tmp_path, cluster_faults_abc=result)
    assert "While the head is away, no stream was without a score for more than 0.4 s; once" in text
    assert "were scored elsewhere after 2.5 s, at most 3.7 s." in text
    assert "While the store is away" in text
    assert "what was told then was stored after it." in text
