"""Media time runs on across epochs, in order and without overlap."""

import pytest

from stream.offline.media_time import MAX_EPOCHS, MediaTime


def test_epochs_follow_each_other_one_step_apart() -> None:
    media = MediaTime(0.04)
    media.begin(1)
    assert [media.advance(1, at) for at in (0.0, 1.0, 2.96)] == [0.0, 1.0, 2.96]
    media.begin(2)
    assert media.advance(2, 0.0) == pytest.approx(3.0)
    assert media.advance(2, 2.96) == pytest.approx(5.96)
    assert media.at(1, 1.0) == 1.0
    assert media.at(2, 1.0) == pytest.approx(4.0)


def test_an_epoch_without_a_picture_takes_no_time() -> None:
    media = MediaTime(0.04)
    media.begin(1)
    media.begin(2)
    assert media.advance(2, 0.5) == 0.5


def test_epochs_without_end_take_no_memory_without_end() -> None:
    media = MediaTime(1.0)
    for epoch in range(3 * MAX_EPOCHS):
        media.begin(epoch)
        media.advance(epoch, 0.0)
    assert media.elapsed_s == 3 * MAX_EPOCHS - 1
    assert media.at(0, 0.0) == 0.0
