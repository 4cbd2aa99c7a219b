"""A stream whose person was asked for something a minute ago, and is asked again, for pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from stream.challenge.drawing import words_of
from stream.challenge.rise import rise
from stream.challenge.verify import Verified
from stream.challenge.words import sentence, step_sentence
from stream.compliance import Action, Challenge, Outcome, Phase, Shown, StepResult, Task
from stream.events import ChallengeChanged
from tests.support.wall import PlayedWall, cameras

PAST_S = 300.0


async def asked(wall: PlayedWall) -> None:
    """Have somebody asked for something a minute ago, who followed, and once more now."""
    (camera,) = cameras(1)
    await wall.add(camera, ago=PAST_S)
    wall.past(PAST_S)
    now = wall.rig.clock.utc()

    def step(action: Action, ago: float, **result: Any) -> StepResult:
        begun = now - timedelta(seconds=ago)
        return StepResult(
            action, words_of(action), begun, begun + timedelta(seconds=11), unit="deg", **result
        )

    def found(action: Action, delay_s: float, reached: float, enough: float) -> dict[str, Any]:
        seen = Verified(Outcome.FOLLOWED, reached, enough, delay_s)
        said = step_sentence(action, seen)
        return {"outcome": seen.outcome, "delay_s": delay_s, "sentence": said}

    turned = found(Action.TURN_LEFT, 2.4, 38.0, 30.0)
    raised = found(Action.LOOK_UP, 1.9, 16.0, 10.0)
    steps = (step(Action.TURN_LEFT, 64, **turned), step(Action.LOOK_UP, 57, **raised))
    first = Challenge(
        id="1",
        stream=camera.id,
        epoch=1,
        task=Task.RANDOM,
        by="ann",
        shown=Shown.OPERATOR,
        phase=Phase.DONE,
        prompt="",
        started=now - timedelta(seconds=70),
        deadline=now - timedelta(seconds=30),
        ended=now - timedelta(seconds=53),
        steps=steps,
        outcome=Outcome.FOLLOWED,
        rise=rise([(n / 4, 0.1) for n in range(20)], [(n / 4, 0.1) for n in range(40)]),
        sentence=sentence(
            Outcome.FOLLOWED,
            [Verified(Outcome.FOLLOWED, 38, 30, 2.4), Verified(Outcome.FOLLOWED, 16, 10, 1.9)],
        ),
    )
    second = replace(
        first,
        id="2",
        phase=Phase.ASKING,
        prompt=words_of(Action.COVER),
        started=now - timedelta(seconds=5),
        deadline=now + timedelta(seconds=40),
        ended=None,
        steps=(step(Action.COVER, 0),),
        outcome=None,
        rise=None,
        sentence="",
    )
    wall.rig.publish(*(ChallengeChanged(camera.id, 1, each) for each in (first, second)))
