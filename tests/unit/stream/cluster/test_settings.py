"""Settings of a cluster: labels are text, and figures that contradict each other are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from stream.cluster.settings import ClusterSettings
from stream.errors import SettingInvalid

read = TypeAdapter(ClusterSettings).validate_python


def test_one_process_does_everything_unless_asked_otherwise() -> None:
    assert ClusterSettings().workers == 0
    assert ClusterSettings().address == ""


@pytest.mark.parametrize(("workers", "taken"), [(0, 0), (4, 4), ("auto", None), (None, None)])
def test_workers_are_counted_or_found(workers: int | str | None, taken: int | None) -> None:
    assert read({"workers": workers}).workers == taken


def test_labels_are_taken_as_text() -> None:
    settings = read({"labels": {"gpu": True, "row": 2, "site": " north "}})
    assert settings.labels == {"gpu": "true", "row": "2", "site": "north"}


@pytest.mark.parametrize(
    "labels",
    [
        {"": "x"},
        {"site": ""},
        {"site": "a,b"},
        {"site": "a=b"},
        {"site": "a\nb"},
        {"site": "x" * 65},
        {"s" * 33: "x"},
        {"-site": "x"},
        {"site": None},
        {"site": 1.5},
        {f"label{number}": "x" for number in range(17)},
    ],
)
def test_labels_are_bounded(labels: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read({"labels": labels})


@pytest.mark.parametrize("workers", [-1, 257, "many", ""])
def test_workers_are_bounded(workers: object) -> None:
    with pytest.raises(ValidationError):
        read({"workers": workers})


def test_a_worker_is_not_lost_before_it_could_answer_twice() -> None:
    with pytest.raises(SettingInvalid, match="beat_s"):
        ClusterSettings(beat_s=1.0, lost_s=1.9)


def test_a_stream_is_not_moved_to_a_worker_that_it_would_leave_at_once() -> None:
    with pytest.raises(SettingInvalid, match="low"):
        ClusterSettings(high=0.6, low=0.6)
