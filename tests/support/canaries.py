"""Canaries in the test's hands: a played analyzer, sights of a well path, and its figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stream.canaries.clips import Clip
from stream.canaries.learned_file import LearnedFile
from stream.canaries.records import Canary, Opinion, Role, Sight
from stream.canaries.service import Canaries
from stream.canaries.settings import CanarySettings
from stream.clock import Clock
from stream.errors import OfferRefused, StreamError
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
