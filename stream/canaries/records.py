"""Values of canaries: the clips, what was seen of one, and what is wrong. No behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from stream.canary import PREFIX


class Role(StrEnum):
    """What a canary shows."""

    REAL = "real"
    FAKE = "fake"


class State(StrEnum):
    """How the detector fares with its canaries. A closed list.

    `off` is where none are sent. `doubtful` is one round with findings, which is soon repeated; two
    in a row are `failing`, or `late` when nothing but the time is wrong.
    """

    OFF = "off"
    WAITING = "waiting"
    LEARNING = "learning"
    OK = "ok"
    DOUBTFUL = "doubtful"
    LATE = "late"
    FAILING = "failing"


class FindingKind(StrEnum):
    """What can be wrong with a round. A closed list."""

    MISSING = "missing"
    CHANGED = "changed"
    NOT_TOLD_APART = "not_told_apart"
    LATE = "late"


class RoundResult(StrEnum):
    """What became of a round, as it is counted."""

    OK = "ok"
    LEARNING = "learning"
    FINDINGS = "findings"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Canary:
    """One known clip.

    Attributes:
        pair: name of the pair that it belongs to.
        role: real or fake.
    """

    pair: str
    role: Role

    @property
    def id(self) -> str:
        """The id of its stream."""
        return f"{PREFIX}{self.pair}.{self.role}"

    @property
    def name(self) -> str:
        """What people call it."""
        return f"Canary: {self.pair}, {self.role}"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one detector said of a canary.

    Attributes:
        logit: mean of its ratings after warming up.
        score: the last smoothed score, 0..1.
        ratings: how many there were.
    """

    logit: float
    score: float
    ratings: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What came out at the end of the path of one canary, once.

    Attributes:
        canary: which one.
        opinions: by name of detector; empty when no face was scored.
        fps: decoded pictures per media second.
        face_px: mean side of the face box, source pixels.
        brightness: mean luma of the face, 0..255.
        sharpness: mean variance of the face's Laplacian.
        latency_s: from the moment at which a picture was due at the encoder to its score, median.
        failure: why the clip did not get through; empty when it did.
    """

    canary: Canary
    opinions: Mapping[str, Opinion] = field(default_factory=dict)
    fps: float | None = None
    face_px: float | None = None
    brightness: float | None = None
    sharpness: float | None = None
    latency_s: float | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: of what kind.
        canary: id of the canary that showed it.
        text: what was seen, and what was expected; one sentence without its full stop.
        hint: what to do about it, likewise.
        detector: whose scores show it; empty when it is none's alone.
    """

    kind: FindingKind
    canary: str
    text: str
    hint: str
    detector: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """A range that a figure of a canary is expected in.

    Attributes:
        low: its lower end.
        high: its upper end.
    """

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether a value lies in it."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one round showed.

    Attributes:
        state: how the detector fares now.
        findings: what is wrong, the gravest first.
        result: how the round is counted.
    """

    state: State
    findings: tuple[Finding, ...]
    result: RoundResult


@dataclass(frozen=True, slots=True)
class Report:
    """How the detector fares with its canaries, for people.

    Attributes:
        state: in one word.
        checked_at: UTC at which the last round ended; None before the first.
        findings: of the last round.
        sights: of the last round, in the order in which they were sent.
        expected: ranges by canary and figure; without those that are still learned.
        rounds: how many there were, by result.
        learned: rounds that were learned from.
        learn_rounds: how many it takes.
        anew: why it learns anew; empty when it does not.
        skipped: why the last round was skipped; empty when it was not.
        every_s: seconds from one round to the next.
        latency_s: the bound of the latency.
        canaries: all clips, in the order in which they are sent.
        sending: id of the one that is on its way; empty between rounds.
    """

    state: State
    checked_at: datetime | None
    findings: tuple[Finding, ...]
    sights: tuple[Sight, ...]
    expected: Mapping[str, Mapping[str, Expected]]
    rounds: Mapping[RoundResult, int]
    learned: int
    learn_rounds: int
    anew: str
    skipped: str
    every_s: float
    latency_s: float
    canaries: tuple[Canary, ...] = ()
    sending: str = ""


NOTHING_SENT = Report(
    state=State.OFF,
    checked_at=None,
    findings=(),
    sights=(),
    expected={},
    rounds=dict.fromkeys(RoundResult, 0),
    learned=0,
    learn_rounds=0,
    anew="",
    skipped="",
    every_s=0.0,
    latency_s=0.0,
)
"""The report where there are no canaries."""
