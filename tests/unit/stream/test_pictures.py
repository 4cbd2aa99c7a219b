"""Pictures: kept only for who looks, never more than one per stream, always of what was rated."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from stream.events import Frame
from stream.pictures import WIDTHS, Pictures, encode_jpeg, step_for
from styleflow.faces.face import Box
from tests.support.wire import score

BOX = Box(10, 20, 50, 60)


def frame(slot: int, *, epoch: int = 1, width: int = 64, stream: str = "lobby") -> Frame:
    image = np.full((48, width, 3), (200, 30, 60), dtype=np.uint8)
    return Frame(stream, epoch, slot, slot * 0.04, 100.0, image)


def rated(at: Frame, track: int = 1):  # type: ignore[no-untyped-def]
    return score(at.stream, track, epoch=at.epoch, end=at.at)


def offer(pictures: Pictures, slot: int, now: float, *, rate: bool = True, epoch: int = 1) -> bool:
    shown = frame(slot, epoch=epoch)
    return pictures.offer(shown, [(1, BOX)], [rated(shown)] if rate else [], now)


def test_nothing_is_kept_of_a_stream_that_nobody_watches() -> None:
    pictures = Pictures()
    assert not offer(pictures, 1, 10.0)
    assert pictures.still("lobby", 320) is None


def test_watching_ends_when_nobody_asks_again() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    assert offer(pictures, 1, 10.1)
    pictures.prune(10.0 + pictures.settings.patience_s - 0.1)
    assert pictures.still("lobby", 320) is not None
    pictures.prune(10.0 + pictures.settings.patience_s + 0.1)
    assert pictures.still("lobby", 320) is None
    assert not pictures.watched("lobby")


def test_box_and_score_are_of_the_frame_that_is_shown() -> None:
    """A score of another frame, such as one that was already on its way, is not attached."""
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    shown = frame(9)
    late = score(epoch=1, end=frame(8).at, track=2)
    pictures.offer(shown, [(1, BOX), (2, BOX)], [rated(shown), late], 10.0)
    still = pictures.still("lobby", 320)
    assert still is not None
    assert (still.epoch, still.slot, still.at) == (1, 9, shown.at)
    assert [face.score is not None for face in still.faces] == [True, False]


def test_a_rated_picture_gives_way_to_rated_ones_at_a_modest_rate() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    kept = [slot for slot in range(100) if offer(pictures, slot, 10.0 + slot * 0.01)]
    assert len(kept) == 5
    assert min(b - a for a, b in pairwise(kept)) * 0.01 >= 0.21


def test_an_unrated_frame_is_shown_only_when_the_rated_one_is_old() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    assert offer(pictures, 1, 10.0)
    assert not offer(pictures, 2, 10.3, rate=False)
    assert offer(pictures, 3, 10.7, rate=False)
    assert offer(pictures, 4, 11.0, rate=False)


def test_a_new_epoch_is_shown_at_once() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    offer(pictures, 1, 10.0)
    assert offer(pictures, 0, 10.01, rate=False, epoch=2)


def test_a_picture_is_made_once_for_all_who_look() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    offer(pictures, 1, 10.0)
    assert pictures.ready("lobby", 300) is None
    first = pictures.still("lobby", 300)
    assert pictures.still("lobby", 320) is first
    assert pictures.ready("lobby", 310) is first
    pictures.still("lobby", 100)
    assert pictures.encoded == 2


@pytest.mark.parametrize(("asked", "made"), [(1, 160), (160, 160), (161, 320), (9999, 1280)])
def test_widths_come_in_steps(asked: int, made: int) -> None:
    assert step_for(asked) == made
    assert made in WIDTHS


def test_jpeg_keeps_shape_and_colour_and_never_enlarges() -> None:
    wide = encode_jpeg(frame(1, width=640).image, 320, 90)
    small = encode_jpeg(frame(1, width=64).image, 320, 90)
    back = cv2.imdecode(np.frombuffer(wide, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert back.shape == (24, 320, 3)
    assert np.abs(back.mean(axis=(0, 1)) - (200, 30, 60)).max() < 4
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_a_removed_stream_leaves_nothing() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    offer(pictures, 1, 10.0)
    pictures.forget("lobby")
    assert not pictures.watched("lobby")
    assert pictures.still("lobby", 320) is None
