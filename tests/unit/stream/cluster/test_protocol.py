"""Values that cross between versions while an upgrade rolls on."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from stream.cluster.protocol import Beat, Table, WorkerCard, is_called
from tests.support.workers import beat, card

CARD = card("worker-1")


def older(value: Any, fewer: int) -> Any:
    """Return a value as a version wrote it that lacked the last fields."""
    made = object.__new__(type(value))
    made.__setstate__(value.__getstate__()[:-fewer])
    return made


def test_values_come_back_as_they_were() -> None:
    for value in (CARD, beat(CARD, {"gate": 2000}), Table(3, {}, {}, {"moves": 1})):
        assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "fewer", "taken"),
    [
        (CARD, 1, {"name": "worker-1", "made_of": ""}),
        (beat(CARD, {"gate": 2000}), 2, {"owned": {"gate": 2000}, "called": frozenset()}),
        (beat(CARD, {"gate": 2000}), 2, {"holders": {}}),
        (Table(3, {}, {}, {"moves": 1}), 2, {"counts": {"moves": 1}, "drained": {}, "made_of": ""}),
    ],
)
def test_what_an_older_version_does_not_say_is_as_by_default(
    value: WorkerCard | Beat | Table, fewer: int, taken: dict[str, Any]
) -> None:
    read = older(value, fewer)
    assert {name: getattr(read, name) for name in taken} == taken


def test_what_a_newer_version_says_beside_is_passed_over() -> None:
    made = object.__new__(WorkerCard)
    made.__setstate__([*CARD.__getstate__(), "new"])  # type: ignore[attr-defined]
    assert made == CARD


def test_workers_are_called_by_a_name_and_a_number() -> None:
    assert is_called("worker-2", "worker")
    assert not is_called("gpu-worker-2", "worker")
    assert is_called("anything", "")
