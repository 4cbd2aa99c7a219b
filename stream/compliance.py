"""Challenges as values: what a person was asked, and how far the video followed. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Task(StrEnum):
    """Task that an operator can ask for. A closed list."""

    RANDOM = "random"
    TURN = "turn"
    LOOK_UP = "look_up"
    CLOSER = "closer"
    COVER = "cover"
    FLASH = "flash"


class Action(StrEnum):
    """One thing that the person is asked to do, sides as the person sees them. A closed list."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    CLOSER = "closer"
    COVER = "cover"
    FLASH = "flash"


class Phase(StrEnum):
    """Stage of a challenge: watched at rest, asked, at rest between two actions, or over."""

    WATCHING = "watching"
    ASKING = "asking"
    RESTING = "resting"
    DONE = "done"


class Outcome(StrEnum):
    """How far the video followed what was asked. A closed list."""

    FOLLOWED = "followed"
    NOT_FOLLOWED = "not_followed"
    EARLY = "early"  # it was done already when it was asked for
    OTHER_FIRST = "other_first"  # another action of the set came before the one that was asked for
    UNJUDGED = "unjudged"


class Shown(StrEnum):
    """Place where the prompt is shown: the operator's page, or the caller's as well."""

    OPERATOR = "operator"
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One action that was asked for, and what the video showed.

    Attributes:
        action: what was asked.
        prompt: the words in which it was asked.
        asked: wall clock at which the prompt appeared.
        until: wall clock up to which it counted.
        outcome: how far the video followed; None while it is still asked.
        reached: the most that was measured, in `unit`; None when nothing could be.
        needed: what would have been enough.
        unit: of both: `deg`, `times`, `share` or `p`.
        delay_s: seconds from the prompt until it was done; None when it was not.
        sentence: the same in plain words.
    """

    action: Action
    prompt: str
    asked: datetime
    until: datetime
    outcome: Outcome | None = None
    reached: float | None = None
    needed: float | None = None
    unit: str = ""
    delay_s: float | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Rise:
    """Ratings while the task was asked for, against those before.

    Attributes:
        before: median logit before; None without ratings.
        inside: median logit inside; None without ratings.
        change: `inside` less `before`; None when there are too few.
        low: lower end of the change's 95 % interval.
        high: upper end of it.
        ratings_before: how many there were.
        ratings_inside: how many there were.
        sentence: the same in plain words.
    """

    before: float | None
    inside: float | None
    change: float | None
    low: float | None
    high: float | None
    ratings_before: int
    ratings_inside: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A task that the person in a stream is asked to do.

    Attributes:
        id: unguessable, unique.
        stream: whose video.
        epoch: its stretch of continuous media time.
        task: what the operator chose.
        by: who asked.
        shown: where the prompt is.
        phase: where it stands.
        prompt: what is to be said now; empty when nothing is.
        started: wall clock at which it was asked for; the person is watched at rest from then on.
        deadline: wall clock at which it is over at the latest.
        ended: wall clock at which it was over; None before.
        steps: what was asked so far; what is still to come is told to nobody.
        outcome: of all steps together; None before the end.
        rise: how the ratings changed; None before the end.
        sentence: the outcome in plain words; empty before the end.
    """

    id: str
    stream: str
    epoch: int
    task: Task
    by: str
    shown: Shown
    phase: Phase
    prompt: str
    started: datetime
    deadline: datetime
    ended: datetime | None = None
    steps: tuple[StepResult, ...] = ()
    outcome: Outcome | None = None
    rise: Rise | None = None
    sentence: str = ""
