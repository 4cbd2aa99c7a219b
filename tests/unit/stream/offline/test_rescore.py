"""Scores made again of recorded packets: the same events, whatever was left out then."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stream.errors import SourceError, VideoBeyondLimits
from stream.events import Event, Frame, Score
from stream.ingest.context import IngestContext
from stream.ingest.counters import Tally
from stream.ingest.frame_builder import FrameBuilder
from stream.ingest.frame_log import FrameLog, FrameNote
from stream.ingest.source import Packet, SourceTraits
from stream.offline.replay import STREAM
from stream.offline.rescore import rescore
from stream.scheduling.degradation import Relief
from tests.support.packets import recorded
from tests.support.path import toy_pipeline

PIXELS = 1_000_000


def live(packets: list[Packet]) -> tuple[list[Score], tuple[FrameNote, ...]]:
    """Return what an analyzer says of packets, leaving out some frames, and its notes."""
    pipeline, log, events = toy_pipeline(), FrameLog(), list[Event]()
    context = IngestContext(pipeline.cadence_hz, random.Random(0))
    builder = FrameBuilder(STREAM, context, Tally())
    builder.connected(SourceTraits(live=True))
    pipeline.open(STREAM)
    left_out = 0
    for packet in packets:
        for frame in builder.take(packet):
            if not isinstance(frame, Frame):
                continue
            if frame.slot % 7 == 3:
                left_out += 1
                continue
            if frame.slot == 20:
                pipeline.relieve(Relief(2, 2))
            relief = pipeline.relief
            log.add(frame, left_out, relief.detect_factor, relief.hop_factor)
            events += pipeline.process([(frame, left_out)]).events
            left_out = 0
    return [event for event in events if isinstance(event, Score)], log.snapshot()


@pytest.mark.parametrize("b_frames", [0, 2])
def test_the_same_frames_give_the_same_scores(tmp_path: Path, b_frames: int) -> None:
    packets = recorded(tmp_path, count=120, b_frames=b_frames)
    scores, notes = live(packets)
    again: list[Event] = []
    pipeline = toy_pipeline()
    assert rescore(packets, notes, pipeline, again.append, PIXELS) == len(notes)
    assert [event for event in again if isinstance(event, Score)] == scores
    assert len(scores) > 5
    assert pipeline.relief == Relief()


def test_larger_pictures_and_rubbish_are_refused(tmp_path: Path) -> None:
    packets = recorded(tmp_path, count=25)
    _, notes = live(packets)
    with pytest.raises(VideoBeyondLimits):
        rescore(packets, notes, toy_pipeline(), list[Event]().append, 100)
    rubbish = [
        Packet(b"\0\0\1\x65" + bytes(9), 0, 0, p.time_base, True, p.arrived, p.format)
        for p in packets * 10
    ]
    with pytest.raises(SourceError):
        rescore(rubbish, notes, toy_pipeline(), list[Event]().append, PIXELS)
