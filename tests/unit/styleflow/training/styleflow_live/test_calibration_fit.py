"""When there is nothing to calibrate on: no number that looks like a probability comes of it."""

import pytest

from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.training.styleflow_live.tasks import fit_calibration


@pytest.mark.parametrize(
    ("labels", "logits"),
    [
        ([0, 0, 0], [-1.0, 0.0, 1.0]),
        ([1, 1], [0.5, 2.0]),
        ([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]),
        ([0, 1], [0.0, float("nan")]),
    ],
    ids=["only real", "only fake", "all equal", "no number"],
)
def test_nothing_is_fitted_to_ratings_that_say_nothing(labels: list[int], logits: list[float]):
    found = fit_calibration(labels, logits, prior=0.1)
    assert found == Calibration()
    assert not found.fitted


def test_two_clips_that_differ_are_enough():
    assert fit_calibration([0, 1], [-1.0, 1.0]).fitted


@pytest.mark.parametrize(
    ("calibrated", "status"),
    [(True, TrainingStatus.TRAINED), (False, TrainingStatus.UNCALIBRATED)],
)
def test_the_status_says_whether_it_was(calibrated: bool, status: TrainingStatus):
    assert TrainingStatus.after_training(calibrated=calibrated) is status
