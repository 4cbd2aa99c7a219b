"""Settings of the second look: whom it is asked of, how often, and what it may cost at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stream.errors import SettingInvalid


@dataclass(frozen=True, slots=True)
class SecondLookSettings:
    """When a face is shown to the heavier detector, and what that may cost at most.

    Attributes:
        when: how far the first detector's score has to lean, either way, 0..1: 0.4 is a score of
            0.7 and more, or of 0.3 and less. 0 takes every score.
        every_s: seconds after which a face is shown again whatever its score is; 0 only when it
            leans.
        share: of the device thread's time that second looks may take, never more, above 0.
        frames: sampled frames of one look; None means half a clip of the detector.
        at_once: faces that may be looked at a second time at once.
    """

    when: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.4
    every_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 30.0
    share: Annotated[float, Field(gt=0, le=0.9, allow_inf_nan=False)] = 0.2
    frames: Annotated[int, Field(ge=1, le=1024)] | None = None
    at_once: Annotated[int, Field(ge=1, le=64)] = 2

    def __post_init__(self) -> None:
        if not 0 <= self.when <= 1:
            raise SettingInvalid("second_look.when", self.when, "must lie between 0 and 1")
        if not 0 <= self.every_s <= 86_400:
            raise SettingInvalid("second_look.every_s", self.every_s, "must be 0 to 86400 seconds")
        if not 0 < self.share <= 0.9:
            rule = "must be more than 0 and at most 0.9"
            raise SettingInvalid("second_look.share", self.share, rule)
        if self.at_once < 1 or (self.frames is not None and self.frames < 1):
            raise SettingInvalid("second_look", self, "needs at least one face and one frame")
