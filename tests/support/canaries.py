"""Canaries in the test's hands: a played analyzer, sights of a well path, and its figures."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from stream.canaries.clips import FPS, SIZE, Clip, demo_images
from stream.canaries.learned_file import LearnedFile
from stream.canaries.records import Canary, Opinion, Role, Sight
from stream.canaries.service import Canaries
from stream.canaries.settings import CanarySettings
from stream.canaries.sighting import Sighting
from stream.clock import Clock, ManualClock
from stream.errors import OfferRefused, SourceError, StreamError
from stream.events import EpochStarted, Frame, ReasonCode, StreamChanged
from stream.ingest.context import IngestContext, SourceAccess
from stream.ingest.ingest import Ingest
from stream.ingest.source import Packet, SourceSettings, SourceTraits, SourceUrl, StreamFormat
from stream.pipeline import Pipeline
from stream.webrtc.calls import CallAnswer
from styleflow.cards import ModelCard
from tests.support.wire import CARD

REAL = Canary("demo", Role.REAL)
FAKE = Canary("demo", Role.FAKE)
WELL = Sight(
    REAL,
    {CARD.name: Opinion(-0.6, 0.1, 20)},
    fps=25.0,
    face_px=200.0,
    brightness=170.0,
    sharpness=200.0,
    latency_s=0.1,
)


def pair(logit: float = -0.6, gap: float = 1.0, **figures: Any) -> tuple[Sight, Sight]:
    """Return a round of two clips, well but for what is given.

    Args:
        logit: of the real one.
        gap: how much further the fake one leans to fake.
        figures: of both.
    """
    real = replace(WELL, opinions={CARD.name: Opinion(logit, 0.1, 20)}, **figures)
    fake = replace(
        WELL, canary=FAKE, opinions={CARD.name: Opinion(logit + gap, 0.4, 20)}, **figures
    )
    return real, fake


class PlayedHost:
    """An analyzer that takes no call, and remembers what was asked of it."""

    def __init__(self, *models: ModelCard) -> None:
        self.models = models or (CARD,)
        self.full = ""
        self.fault: Exception | None = None
        self.refusal: StreamError = OfferRefused("played")
        self.asked: list[str] = []

    def no_room_for_canary(self) -> str:
        """Return what the test has set."""
        return self.full

    async def open_canary(self, stream: str, name: str) -> None:
        """Start nothing."""
        self.asked.append(f"open {stream}")
        if self.fault is not None:
            raise self.fault

    async def answer_canary(self, stream: str, offer: str) -> CallAnswer:
        """Refuse."""
        self.asked.append(f"call {stream}")
        raise self.refusal

    async def remove(self, stream: str) -> None:
        """Stop nothing."""
        self.asked.append(f"remove {stream}")


def played_canaries(clock: Clock, host: PlayedHost | None = None, **settings: Any) -> Canaries:
    """Return canaries of a played analyzer: two clips without a picture."""
    sent = [Clip(canary, "1", lambda: iter(())) for canary in (REAL, FAKE)]
    chosen = CanarySettings(enabled=True, **settings)
    return Canaries(chosen, sent, host or PlayedHost(), clock, LearnedFile(None))


# --- a real path, stepped: packets -> decoder -> faces -> scores, without a socket ---------------

_RTP = Fraction(1, 90_000)


def encoded(role: Role, seconds: float) -> tuple[Packet, ...]:
    """Return the packets of one of the demo's clips in H.264, as a call may send them."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = SIZE
    encoder.pix_fmt, encoder.time_base = "yuv420p", _RTP
    encoder.framerate = Fraction(round(FPS))
    encoder.gop_size, encoder.thread_count = 1000, 1
    encoder.options = {"preset": "veryfast", "tune": "zerolatency", "crf": "25"}
    known = StreamFormat("h264", *SIZE, None)
    made = []
    for index, image in enumerate(demo_images(role, seconds)):
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = round(index / FPS / _RTP), _RTP
        for unit in encoder.encode(frame):
            arrived = index / FPS
            pts = round(index / FPS / _RTP)
            made.append(Packet(bytes(unit), pts, pts, _RTP, unit.is_keyframe, arrived, known))
    return tuple(made)


@dataclass
class PacketSource:
    """Packets that are there already."""

    traits = SourceTraits()

    given: Sequence[Packet]

    def packets(self) -> Iterator[Packet]:
        """Yield them, then end."""
        yield from self.given
        raise SourceError(ReasonCode.ENDED, "the clip is over")

    def close(self) -> None:
        """Release nothing."""


def seen(canary: Canary, packets: Sequence[Packet], pipeline: Pipeline) -> Sight:
    """Return what comes of a clip's packets at the end of a pipeline."""
    sighting, clock = Sighting(canary), ManualClock()
    access = SourceAccess(lambda *_: PacketSource(packets))
    context = IngestContext(pipeline.cadence_hz, random.Random(0), access=access)
    settings = SourceSettings(SourceUrl.parse("demo://authentic"))
    ingest = Ingest(canary.id, settings, clock, context)

    def take(events: Iterable[Any]) -> None:
        for event in events:
            sighting.take(event, clock.monotonic())

    def emit(item: Frame | StreamChanged | EpochStarted) -> None:
        if isinstance(item, Frame):
            take(pipeline.process([(item, 0)]).events)
            take(pipeline.reports(clock.monotonic()))

    pipeline.open(canary.id)
    try:
        ingest.run(emit, lambda seconds: False)
    finally:
        take(pipeline.close(canary.id))
    return sighting.conclude()
