"""Frame log: notes of the frames that were looked at, bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream.ingest.frame_log import FrameLog
from styleflow.faces.face import Image
from tests.support.path import frames

PICTURE: Image = np.zeros((12, 16, 3), dtype=np.uint8)


def test_notes_say_where_a_frame_stood_and_what_was_left_out_before_it() -> None:
    log = FrameLog()
    first, second = frames("a", PICTURE, 2)
    log.add(first, 0, 1, 1)
    log.add(second, 3, 2, 4)
    one, two = log.snapshot()
    assert (one.arrived, one.epoch, one.slot, one.at) == (100.0, 0, 0, 0.0)
    assert (two.left_out, two.detect_factor, two.hop_factor) == (3, 2, 4)
    assert two.capture == second.capture
    assert two.number > one.number


def test_the_first_frame_of_every_epoch_is_marked() -> None:
    log = FrameLog()
    for number, frame in enumerate(frames("a", PICTURE, 4)):
        log.add(replace(frame, epoch=number // 2), 0, 1, 1)
    assert [note.begins for note in log.snapshot()] == [True, False, True, False]


def test_old_notes_give_way_by_time_and_by_number() -> None:
    log = FrameLog(max_seconds=1.0)
    for frame in frames("a", PICTURE, 50):
        log.add(frame, 0, 1, 1)
    notes = log.snapshot()
    assert notes[-1].arrived - notes[0].arrived <= 1.0
    assert len(notes) == 13
    log = FrameLog(max_notes=5)
    for frame in frames("a", PICTURE, 50):
        log.add(frame, 0, 1, 1)
    assert [note.slot for note in log.snapshot()] == [45, 46, 47, 48, 49]
