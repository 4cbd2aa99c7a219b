"""People who do what they are asked, as what is measured of them: rendered once, played at will."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from stream.challenge.observing import Observation, observe
from stream.compliance import Action
from styleflow.faces.face import Image
from styleflow.faces.finder import FaceFinder
from tests.support.faces import finder_or_skip
from tests.support.posed import covered, portrait, posed

HZ = 12.5
"""The default detector's cadence."""

RISING = (0.0, 0.3, 0.6, 0.8, 1.0)
MOVE_S = 0.5
"""Seconds from rest until an action is done."""

DONE: dict[Action, Callable[[float], Image]] = {
    Action.TURN_LEFT: lambda share: posed(turn=48 * share),
    Action.TURN_RIGHT: lambda share: posed(turn=-48 * share),
    Action.LOOK_UP: lambda share: posed(tilt=32 * share),
    Action.CLOSER: lambda share: portrait(1 + share),
    Action.COVER: lambda share: covered(portrait(), share) if share else portrait(),
}
"""A picture of each action, `share` of the way there."""


@dataclass(frozen=True)
class Doing:
    """Something that a person does.

    Attributes:
        action: what.
        start: seconds at which the movement begins.
        end: seconds at which the person is at rest again.
    """

    action: Action
    start: float
    end: float

    def share(self, at: float) -> float:
        """Return how far it is done at a time."""
        if not self.start <= at < self.end:
            return 0.0
        return min((at - self.start) / MOVE_S, (self.end - at) / MOVE_S, 1.0)


@cache
def _finder() -> FaceFinder:
    return finder_or_skip()


@cache
def rendered(action: Action, share: float) -> Observation:
    """Return what is measured of a rendered picture, the landmarks found in it by the networks."""
    picture = DONE[action](share)
    faces = _finder().find(picture)
    return observe(picture, [(1, face) for face in faces], 0.0, 0)


def person(
    doings: Sequence[Doing], begin: float, end: float, *, epoch: int = 0, hz: float = HZ
) -> list[Observation]:
    """Return what is measured of a person who does some things between two times."""
    made = []
    for at in np.arange(begin, end, 1 / hz):
        shares = {doing.action: doing.share(float(at)) for doing in doings}
        action, share = max(shares.items(), key=lambda one: one[1], default=(Action.COVER, 0.0))
        seen = rendered(action, min(RISING, key=lambda step: abs(step - share)))
        made.append(replace(seen, at=float(at), epoch=epoch))
    return made


def nobody(begin: float, end: float, *, faces: int = 0) -> list[Observation]:
    """Return frames without a face, or with several."""
    return [Observation(float(at), 0, faces) for at in np.arange(begin, end, 1 / HZ)]


def still(at: float) -> Observation:
    """Return what is measured of somebody who sits there, without any picture."""
    patch = np.random.default_rng(1).normal(120, 20, (16, 16)).astype(np.float32)
    skin = np.full((4, 3), (190.0, 140.0, 120.0), np.float32)
    return Observation(at, 1, 1, 1, 0.0, 0.0, 0.3, 140.0, 120.0, patch, patch, skin)
