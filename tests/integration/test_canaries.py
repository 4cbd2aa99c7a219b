"""Faults on a real path, each noticed by the canaries within two rounds.

The clips go encoded through the decoder, the face finder and the shipped weights; only the socket
is left out, which the test at the end has. A stepped path repeats itself bit for bit, so one round
that was seen stands for every round like it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from cli import wiring
from cli.settings import Settings
from stream.analyzer.analyzer import Analyzer
from stream.canaries.clips import FPS, Clip
from stream.canaries.judge import Judge, Learned
from stream.canaries.learned_file import LearnedFile
from stream.canaries.records import FindingKind, Role, Sight, State
from stream.canaries.service import Canaries
from stream.canaries.settings import CanarySettings
from stream.clock import ManualClock, SystemClock
from stream.errors import StreamUnknown
from stream.event_log.event_log import EventLog, StampedEvent
from stream.ingest import decode
from stream.ingest.source import Packet
from stream.monitoring.metrics import Metrics
from stream.pipeline import Pipeline
from stream.publish.hub import Hub
from stream.scheduling.degradation import OverloadSettings
from stream.webrtc.outgoing import drawn_pictures
from styleflow.faces.face import Image
from styleflow.weights.checkpoint import build, seeded_untrained
from tests.support.canaries import FAKE, REAL, encoded, seen
from tests.support.faces import finder_or_skip, textured_face
from tests.support.path import toy_pipeline

SECONDS = 3.2

Packets = dict[Role, tuple[Packet, ...]]


@pytest.fixture(scope="module")
def packets() -> Packets:
    finder_or_skip()
    return {role: encoded(role, SECONDS) for role in Role}


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return wiring.pipeline(Settings(), ManualClock())


def a_round(packets: Packets, pipeline: Pipeline) -> tuple[Sight, Sight]:
    return (
        seen(REAL, packets[Role.REAL], pipeline),
        seen(FAKE, packets[Role.FAKE], pipeline),
    )


@pytest.fixture(scope="module")
def well(packets: Packets, pipeline: Pipeline) -> tuple[Sight, Sight]:
    return a_round(packets, pipeline)


def installed(well: tuple[Sight, Sight], pipeline: Pipeline) -> Judge:
    """Return a judge that has learned what is expected."""
    judge = Judge(Learned(), learn_rounds=3, latency_s=3.0)
    judge.learned.renew(digests(pipeline), {REAL.id: "1", FAKE.id: "1"})
    assert [judge.take(well).state for _ in range(4)][-1] is State.OK
    return judge


def digests(pipeline: Pipeline) -> dict[str, str]:
    return {scorer.card.name: scorer.card.sha256 for scorer in pipeline.scorers}


def noticed(judge: Judge, sights: tuple[Sight, Sight]) -> set[FindingKind]:
    """Judge two rounds with a fault, of which the second must be told; return what was found."""
    assert judge.take(sights).state is State.DOUBTFUL
    outcome = judge.take(sights)
    assert outcome.state is State.FAILING
    return {finding.kind for finding in outcome.findings}


def test_a_well_path_stays_well(
    well: tuple[Sight, Sight], pipeline: Pipeline, packets: Packets
) -> None:
    judge = installed(well, pipeline)
    assert judge.take(a_round(packets, pipeline)).state is State.OK


def test_a_wrong_model_file_is_noticed(
    well: tuple[Sight, Sight], pipeline: Pipeline, packets: Packets
) -> None:
    """Its digest is another one, so it would be learned anew, if it told the pair apart."""
    wrong = wiring.around(Settings(), ManualClock(), build(seeded_untrained(), "cpu"))
    judge = installed(well, pipeline)
    assert "has other weights" in judge.learned.renew(digests(wrong), judge.learned.clips)
    assert noticed(judge, a_round(packets, wrong)) == {FindingKind.NOT_TOLD_APART}


def test_other_weights_under_the_same_name_and_digest_are_noticed(
    well: tuple[Sight, Sight], pipeline: Pipeline, packets: Packets
) -> None:
    wrong = wiring.around(Settings(), ManualClock(), build(seeded_untrained(), "cpu"))
    found = noticed(installed(well, pipeline), a_round(packets, wrong))
    assert FindingKind.NOT_TOLD_APART in found


def test_a_broken_face_finder_is_noticed(
    well: tuple[Sight, Sight],
    pipeline: Pipeline,
    packets: Packets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = type(finder_or_skip())
    monkeypatch.setattr(finder, "find_all", lambda self, requests: [() for _ in requests])
    assert noticed(installed(well, pipeline), a_round(packets, pipeline)) == {FindingKind.MISSING}


def swapped(image: Image) -> Image:
    """Return a picture whose red and blue are taken for each other."""
    return np.ascontiguousarray(image[..., ::-1])


def stretched(image: Image) -> Image:
    """Return a picture of full range that is read as one of video levels."""
    levels = (image.astype(np.float32) - 16.0) * (255.0 / 219.0)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def squeezed(image: Image) -> Image:
    """Return a picture of video levels that is read as one of full range."""
    return np.rint(image.astype(np.float32) * (219.0 / 255.0) + 16.0).astype(np.uint8)


@pytest.mark.parametrize("slip", [swapped, stretched, squeezed])
def test_a_slip_of_colours_is_noticed(
    well: tuple[Sight, Sight],
    pipeline: Pipeline,
    packets: Packets,
    monkeypatch: pytest.MonkeyPatch,
    slip: Callable[[Image], Image],
) -> None:
    seen_rightly = decode.as_seen

    def as_seen(*picture: Any) -> Image:
        return slip(seen_rightly(*picture))

    monkeypatch.setattr(decode, "as_seen", as_seen)
    found = noticed(installed(well, pipeline), a_round(packets, pipeline))
    assert FindingKind.CHANGED in found


def test_a_halved_frame_rate_is_noticed(
    well: tuple[Sight, Sight],
    pipeline: Pipeline,
    packets: Packets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The decoder gives every second picture only."""
    every = decode.Decoder.decode
    count = 0

    def halved(self: decode.Decoder, packet: Packet) -> list[decode.Picture]:
        nonlocal count
        count += 1
        return every(self, packet)[: count % 2]

    monkeypatch.setattr(decode.Decoder, "decode", halved)
    found = noticed(installed(well, pipeline), a_round(packets, pipeline))
    assert FindingKind.CHANGED in found


async def test_a_round_goes_the_whole_path_and_leaves_nothing_behind() -> None:
    """Over a socket: drawn, encoded, encrypted, called, decoded, scored, judged."""
    clock = SystemClock()
    events, everybody = EventLog(clock), Recorder()
    analyzer = Analyzer(
        toy_pipeline(),
        Hub(clock),
        Metrics(CollectorRegistry()),
        clock,
        overload=OverloadSettings(enabled=False),  # a busy machine would skip the round
        events=events,
    )
    events.attach(everybody)
    still = [textured_face(128, 1)] * 40
    sent = [Clip(canary, "1", lambda: drawn_pictures(iter(still), FPS)) for canary in (REAL, FAKE)]
    async with analyzer:
        settings = CanarySettings(enabled=True, latency_s=30.0)
        canaries = Canaries(settings, sent, analyzer, clock, LearnedFile(None))
        events.attach(canaries, canaries=True)
        await canaries.check()
        report = canaries.report()
        assert report.skipped == ""
        assert [sight.failure for sight in report.sights] == ["", ""]
        assert all(sight.opinions for sight in report.sights)
        assert all(sight.latency_s is not None for sight in report.sights)
        assert analyzer.sessions.of(REAL.id) is None
        with pytest.raises(StreamUnknown):
            analyzer.status(FAKE.id)
    assert everybody.taken == []
    assert sum(analyzer.sessions.ends.values()) == 0


class Recorder:
    """A sink that did not ask for canaries."""

    def __init__(self) -> None:
        self.taken: list[StampedEvent] = []

    def accept(self, stamped: StampedEvent) -> None:
        """Remember an event."""
        self.taken.append(stamped)
