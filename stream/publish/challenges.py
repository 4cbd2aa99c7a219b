"""Challenges on the wire: as events for subscribers, and as prompts for a caller's own page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stream.compliance import Challenge, Phase, Rise, StepResult
from stream.events import ChallengeChanged
from stream.publish.challenge_schema import (
    ChallengeChangedData,
    ChallengeData,
    ChallengeStepData,
    PromptData,
    PromptMessage,
    RiseData,
)


def challenge_data(challenge: Challenge) -> ChallengeData:
    """Return the wire's form of a challenge."""
    return ChallengeData(
        id=challenge.id,
        stream=challenge.stream,
        epoch=challenge.epoch,
        task=challenge.task,
        by=challenge.by,
        shown=challenge.shown,
        phase=challenge.phase,
        prompt=challenge.prompt,
        started=challenge.started,
        deadline=challenge.deadline,
        ended=challenge.ended,
        steps=tuple(_step(step) for step in challenge.steps),
        outcome=challenge.outcome,
        rise=None if challenge.rise is None else _rise(challenge.rise),
        sentence=challenge.sentence,
    )


def challenge_changed_data(name: str, event: ChallengeChanged) -> ChallengeChangedData:
    """Return the wire's form of what became of a challenge.

    Args:
        name: durable name of the event.
        event: what changed.
    """
    return ChallengeChangedData(id=name, challenge=challenge_data(event.challenge))


def prompt_text(
    challenge: Challenge, colours: Sequence[str], colours_s: float, utc: datetime
) -> str:
    """Return the message that tells a caller's page what to show; the result is not for it.

    Args:
        challenge: as it is now.
        colours: to show full-screen one after the other, at once; empty when none are.
        colours_s: for how many seconds all of them together.
        utc: when it is sent.
    """
    asking = challenge.phase is Phase.ASKING
    data = PromptData(
        challenge=challenge.id,
        phase=challenge.phase,
        prompt=challenge.prompt,
        remaining_s=(challenge.steps[-1].until - utc).total_seconds() if asking else None,
        colours=tuple(colours),
        colours_s=colours_s,
    )
    return PromptMessage(stream=challenge.stream, ts_emit=utc, data=data).model_dump_json()


def _step(step: StepResult) -> ChallengeStepData:
    return ChallengeStepData(
        action=step.action,
        prompt=step.prompt,
        asked=step.asked,
        until=step.until,
        outcome=step.outcome,
        reached=step.reached,
        needed=step.needed,
        unit=step.unit,
        delay_s=step.delay_s,
        sentence=step.sentence,
    )


def _rise(rise: Rise) -> RiseData:
    return RiseData(
        before=rise.before,
        inside=rise.inside,
        change=rise.change,
        low=rise.low,
        high=rise.high,
        ratings_before=rise.ratings_before,
        ratings_inside=rise.ratings_inside,
        sentence=rise.sentence,
    )
