"""Workers of a machine: how many there are, and which share of a GPU each of them asks for."""

from __future__ import annotations

import pytest

from stream.cluster.crew import Crew, crew
from stream.errors import SettingInvalid


@pytest.mark.parametrize(
    ("wanted", "gpus", "made"),
    [
        (None, 1, Crew(1, 1, 1.0)),
        (None, 8, Crew(8, 8, 1.0)),
        (2, 8, Crew(2, 8, 1.0)),
        (8, 8, Crew(8, 8, 1.0)),
        (2, 1, Crew(2, 1, 0.5)),
        (3, 1, Crew(3, 1, 0.3333)),
        (5, 2, Crew(5, 2, 0.3333)),
    ],
)
def test_each_worker_has_a_gpu_or_shares_one_fairly(
    wanted: int | None, gpus: int, made: Crew
) -> None:
    assert crew(wanted, 64, gpus, on_gpu=True) == made


@pytest.mark.parametrize("workers", range(1, 30))
@pytest.mark.parametrize("gpus", [1, 2, 3, 8])
def test_the_gpus_suffice_for_every_worker(workers: int, gpus: int) -> None:
    """Symptom: a worker for which Ray had no GPU left waited for one without end."""
    made = crew(workers, 4, gpus, on_gpu=True)
    on_one = int(1 / made.gpu + 1e-9)
    assert on_one * gpus >= workers


@pytest.mark.parametrize(("wanted", "workers"), [(None, 6), (0, 0), (3, 3)])
def test_on_processors_nobody_asks_for_a_gpu(wanted: int | None, workers: int) -> None:
    assert crew(wanted, 6, 2, on_gpu=False) == Crew(workers)


def test_detectors_for_a_gpu_are_not_started_where_there_is_none() -> None:
    """Symptom: Ray was told of a GPU that there was not."""
    with pytest.raises(SettingInvalid, match="none"):
        crew(None, 4, 0, on_gpu=True)
