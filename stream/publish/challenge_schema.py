"""Schema of challenges on the wire, and of what a caller's own page is told to show."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from stream.compliance import Action, Outcome, Phase, Shown, Task
from stream.publish.wire import Number, WireModel


class ChallengeStepData(WireModel):
    """One thing that the person in a stream was asked to do, and what the video showed."""

    action: Action = Field(description="sides as the person sees them")
    prompt: str = Field(description="the words in which it was asked")
    asked: datetime
    until: datetime = Field(description="up to when it counted")
    outcome: Outcome | None = Field(description="null while it is asked")
    reached: Number = Field(description="the most that was measured, in `unit`")
    needed: Number = Field(description="what would have been enough")
    unit: str = Field(
        description="`deg`, `times` the size, `share` of the likeness that is gone, `p`: share of"
        " other colours that would have fitted as well"
    )
    delay_s: Number = Field(description="from the prompt until it was done; null when it was not")
    sentence: str = Field(description="the same in plain words")


class RiseData(WireModel):
    """Ratings while something was asked for, against those before."""

    before: Number = Field(description="median logit")
    inside: Number = Field(description="median logit")
    change: Number = Field(description="null when there are too few ratings")
    low: Number = Field(description="lower end of its 95 % interval")
    high: Number = Field(description="upper end")
    ratings_before: int
    ratings_inside: int
    sentence: str


class ChallengeData(WireModel):
    """Something that the person in a stream is asked to do. Context: it changes no score."""

    id: str
    stream: str
    epoch: int
    task: Task = Field(description="what the operator chose")
    by: str
    shown: Shown = Field(description="`operator`: to be read out; `caller`: on the caller's page")
    phase: Phase
    prompt: str = Field(description="what is to be said now; empty when nothing is")
    started: datetime
    deadline: datetime = Field(description="over at the latest")
    ended: datetime | None
    steps: tuple[ChallengeStepData, ...] = Field(description="what was asked so far")
    outcome: Outcome | None = Field(description="null before the end")
    rise: RiseData | None = Field(description="null before the end")
    sentence: str = Field(description="the outcome in plain words")


class ChallengeChangedData(WireModel):
    """The person in a stream is asked for something, or what was seen of it is known."""

    kind: Literal["challenge_changed"] = "challenge_changed"
    id: str
    challenge: ChallengeData


class PromptData(WireModel):
    """What a caller's page is to show."""

    challenge: str
    phase: Phase
    prompt: str = Field(description="in large letters; empty: nothing")
    remaining_s: Number = Field(description="to do it; null when nothing is asked now")
    colours: tuple[str, ...] = Field(
        description="to show full-screen at once, one after the other; empty: none"
    )
    colours_s: float = Field(description="seconds that all of them together take")


class PromptMessage(WireModel):
    """What a caller's page is to show; on the data channel `prompts` and nowhere else."""

    v: Literal[1] = 1
    type: Literal["prompt"] = "prompt"
    stream: str
    ts_emit: datetime
    data: PromptData
