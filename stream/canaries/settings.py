"""Settings of canaries: which known clips go the whole path, how often, and what is expected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from stream.errors import SettingInvalid

DEMO = "demo"
"""Name of the pair that ships."""


@dataclass(frozen=True, slots=True)
class OwnPair:
    """A known-real and a known-fake clip of this site.

    Attributes:
        name: what the pair is called; letters, digits and dashes, at most 32.
        real: video file of a real face; its first ten seconds are sent.
        fake: video file of a synthesised face, likewise.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$")]
    real: Path
    fake: Path


@dataclass(frozen=True, slots=True)
class CanarySettings:
    """Known clips that are sent through the whole path to see whether the detector still works.

    Attributes:
        enabled: whether any are sent.
        every_s: seconds from one round to the next. A round takes about eight seconds for each
            clip, of a stream's computing; while something is learned or doubtful it comes sooner.
        pair: demo, a portrait that ships, authentic and synthesised anew; or none.
        own: pairs of this site, each with its name and two files.
        latency_s: seconds by which the score of a picture must be there.
        learn_rounds: rounds without findings from which the expected ranges are learned.
    """

    enabled: bool = False
    every_s: Annotated[float, Field(ge=30, le=86_400, allow_inf_nan=False)] = 300.0
    pair: Literal["demo", "none"] = "demo"
    own: Annotated[tuple[OwnPair, ...], Field(max_length=8)] = ()
    latency_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 3.0
    learn_rounds: Annotated[int, Field(ge=2, le=50)] = 5

    def __post_init__(self) -> None:
        names = [pair.name for pair in self.own] + ([DEMO] if self.pair == DEMO else [])
        for name in names:
            if names.count(name) > 1:
                raise SettingInvalid("own", name, "names a pair twice")
        if self.enabled and not names:
            raise SettingInvalid("pair", self.pair, "leaves no canary at all; say demo, or own")
