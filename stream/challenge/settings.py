"""Settings of challenges: how long, how often, and what counts as done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

Seconds = Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class ChallengeSettings:
    """How people are asked for something that only they can do.

    Attributes:
        enabled: allow operators to ask. Nothing is computed while nobody does.
        watch_s: seconds for which the person is watched at rest before the first prompt.
        wait_s: up to so many seconds more, at random, before each prompt.
        rest_s: seconds between one action's end and the next prompt, before that.
        step_s: seconds to do what is asked.
        read_s: seconds more where the operator has to read it out.
        actions: how many are asked one after the other, other than the flash.
        cooldown_s: seconds from the end of one challenge of a stream to the next.
        at_once: challenges of all streams at a time; a further one is refused.
        kept: results per stream that are kept in memory; the store keeps them as events.
        turn_deg: turn of the head that counts, as the landmarks read it: 45 degrees of a rendered
            head read as 32 to 39.
        tilt_deg: how far up, as the landmarks read it: 20 degrees of a rendered head read as 11.
        nearer: how many times as large the face must become.
        covered: how much less the lower half of the face must look like itself, 0..1.
        flash_s: seconds for which the page shows colours.
        flash_colours: how many, one after the other.
        flash_p: largest share of other sequences of colours that may fit the light on the face as
            well as the one that was shown.
    """

    enabled: bool = True
    watch_s: Annotated[float, Field(ge=1.5, le=60, allow_inf_nan=False)] = 4.0
    wait_s: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 2.0
    rest_s: Annotated[float, Field(ge=0.5, le=60, allow_inf_nan=False)] = 2.0
    step_s: Annotated[float, Field(ge=1, le=60, allow_inf_nan=False)] = 6.0
    read_s: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 5.0
    actions: Annotated[int, Field(ge=1, le=4)] = 2
    cooldown_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 20.0
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    kept: Annotated[int, Field(ge=1, le=256)] = 8
    turn_deg: Annotated[float, Field(ge=5, le=80, allow_inf_nan=False)] = 30.0
    tilt_deg: Annotated[float, Field(ge=3, le=60, allow_inf_nan=False)] = 10.0
    nearer: Annotated[float, Field(ge=1.1, le=5, allow_inf_nan=False)] = 1.7
    covered: Annotated[float, Field(ge=0.05, le=1, allow_inf_nan=False)] = 0.5
    flash_s: Annotated[float, Field(ge=1.5, le=10, allow_inf_nan=False)] = 3.0
    flash_colours: Annotated[int, Field(ge=4, le=20)] = 6
    flash_p: Annotated[float, Field(gt=0, le=0.2, allow_inf_nan=False)] = 0.01
