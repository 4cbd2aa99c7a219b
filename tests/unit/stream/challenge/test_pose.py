"""Pose: a rendered head that turns and tilts is read so, with its side."""

import numpy as np
import pytest

from stream.challenge.pose import head_pose
from styleflow.faces.align import yaw_deg
from tests.support.faces import finder_or_skip
from tests.support.posed import posed


def test_landmarks_that_are_one_point_have_no_pose() -> None:
    assert head_pose(np.ones((468, 2))) == (0.0, 0.0)


@pytest.mark.parametrize("side", [1, -1])
def test_a_turned_head_is_read_with_its_side(side: int) -> None:
    """The reading lags behind: a rendered 45 degrees read as 32 to 39."""
    finder = finder_or_skip()
    turns = [yaw_deg(finder.find(posed(turn=side * turn))[0].points) for turn in (0, 15, 30, 45)]
    assert np.all(np.diff(turns) * side > 3)
    assert 30 < side * turns[-1] < 45


def test_a_head_that_looks_up_is_read_so() -> None:
    finder = finder_or_skip()
    tilts = []
    for tilt in (-20, 0, 10, 20, 30):
        mesh = finder.find(posed(tilt=tilt))[0].mesh
        assert mesh is not None
        tilts.append(head_pose(mesh)[1])
    assert np.all(np.diff(tilts) > 3)
    assert tilts[3] - tilts[1] > 9
