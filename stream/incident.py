"""Incidents: a face that looked synthesised for a while, and what people said of it. Values only.

The states of an incident are told as events (`IncidentChanged`), so store, alerts, evidence and the
page read them from the event log and need not know one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How much an incident asks for attention. A model that is experimental gives hints."""

    HINT = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def word(self) -> str:
        """The name that messages and settings use."""
        return self.name.lower()


class IncidentStatus(StrEnum):
    """Whether an incident still goes on."""

    OPEN = "open"
    CLOSED = "closed"


class Label(StrEnum):
    """What a person found an incident to be."""

    TRUE = "true"
    FALSE = "false"
    UNCLEAR = "unclear"


class IncidentStep(StrEnum):
    """What changed of an incident. A closed list."""

    OPENED = "opened"
    EXTENDED = "extended"  # the face was suspect again, or the severity rose
    CLOSED = "closed"
    ACKNOWLEDGED = "acknowledged"
    LABELLED = "labelled"
    COMMENTED = "commented"
    EVIDENCE = "evidence"  # what is kept of its video changed


class EvidenceState(StrEnum):
    """What is kept of an incident's video."""

    NONE = "none"  # nothing: the source has no packets, or evidence is off
    PENDING = "pending"  # the time after it is still to come
    KEPT = "kept"
    PRUNED = "pruned"  # it gave way to newer evidence, or to age


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest score of an incident.

    Attributes:
        p: the score, 0..1.
        lo: lower end of its interval.
        hi: upper end of its interval.
        at: wall clock at which its newest packet arrived.
    """

    p: float
    lo: float
    hi: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """Somebody did something at some time.

    Attributes:
        by: name of the token; `local` where no tokens are configured.
        at: wall clock.
    """

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ScoredBy:
    """The model behind an incident's scores.

    Attributes:
        name: of the detector.
        version: of its weights.
        mode: its temporal mode.
        status: how far it may be trusted.
        sha256: of its weights.
    """

    name: str
    version: str
    mode: str
    status: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is kept of an incident's video.

    Attributes:
        state: whether there is any.
        start: wall clock of the first packet; None without any.
        end: wall clock of the last packet; None without any.
        bytes: size of the file.
        sha256: of the file; empty without one.
    """

    state: EvidenceState = EvidenceState.NONE
    start: datetime | None = None
    end: datetime | None = None
    bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What a heavier detector said of an incident's face at its newest sighting.

    Attributes:
        detector: its name.
        status: how far it may be trusted.
        score: 1 leans fake.
        at: media time of the newest frame that it was shown.
        agrees: whether it leans to the same side as the score beside it; None when one of them
            leans to neither, or when the detector is untrained.
    """

    detector: str
    status: str
    score: float
    at: float
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class Incident:
    """One face of one stream that looked synthesised for a while.

    All times are wall clock, UTC.

    Attributes:
        id: never used twice; letters, digits and dashes.
        stream: id of the stream.
        name: what the stream was called.
        epoch: of its first suspect verdict.
        tracks: faces of it: the first one, and those that followed within `incidents.merge_s`.
        scored_by: the model that found it suspect first.
        severity: never falls while it is open.
        status: whether it goes on.
        opened: when the verdict turned suspect.
        last_at: when it was last suspect.
        closed: when it was closed; None while it is open.
        suspect_s: seconds for which it was suspect, all together.
        peak: its highest score.
        acknowledged: who took note of it.
        label: what a person found it to be.
        labelled: who said so.
        notes: how many comments there are.
        evidence: what is kept of its video.
        notice: what must stand beside its scores; empty when nothing must.
        second_look: what a heavier detector said; None when it was shown none of its faces.
    """

    id: str
    stream: str
    name: str
    epoch: int
    tracks: tuple[int, ...]
    scored_by: ScoredBy
    severity: Severity
    status: IncidentStatus
    opened: datetime
    last_at: datetime
    closed: datetime | None
    suspect_s: float
    peak: Peak
    acknowledged: Mark | None = None
    label: Label | None = None
    labelled: Mark | None = None
    notes: int = 0
    evidence: Evidence = Evidence()
    notice: str = ""
    second_look: SecondOpinion | None = None


@dataclass(frozen=True, slots=True)
class Snooze:
    """A stream whose suspect verdicts open no incidents for a while.

    Attributes:
        stream: id of the stream.
        reason: why, in a person's words.
        set: by whom and when.
        until: wall clock at which it ends by itself.
    """

    stream: str
    reason: str
    set: Mark
    until: datetime
