"""Verification: whether a face did what it was asked, told from what was measured of it.

Theory of operation. The face is watched at rest before it is asked for anything; every measure is
taken against the medians of that time, so neither the camera's angle nor the person's own
features count. For each action of the set there is a *reach*: how far it is done, 1 being enough.
An action is done once its reach has stayed at 1 for `HOLD_S` (a cover: `COVERED_S`).

A recording cannot know what is asked, nor when. So it does not count if the reach is there
already when the prompt appears, if it comes sooner than anybody reacts, or if another action of
the set comes first. What cannot be measured is not held against anybody: it is *unjudged*, with a
reason.

Pure: series in, results out; times are seconds of one clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stream.challenge.observing import Grey, Observation, likeness
from stream.challenge.settings import ChallengeSettings
from stream.compliance import Action, Outcome

HOLD_S = 0.3
"""How long an action must last."""

COVERED_S = 0.8
"""How long a covered mouth must last: one that talks looks unlike itself for a moment, too."""

SHAPES = 16
"""Patches of mouth and chin at rest, with which later ones are compared."""

REACT_S = 0.2
"""Nobody reacts sooner than this to a prompt that cannot be foreseen."""

REST_S = 0.8
"""Before a prompt, the time in which the person must not be doing what will be asked."""

AT_REST = 0.6
"""Reach below which an action is not being done."""

GAP_S = 1.0
"""A face that is not seen for so long was out of view."""

LEAST_HZ = 3.0
"""Observations a second below which nothing short can be seen."""

LEAST_PX = 48.0
LEAST_BRIGHTNESS = 28.0
MAX_SIDE = 0.6
"""Size of a face at rest, against the picture, beyond which it can come no closer in view."""

MAX_TURN = 20.0
LEAST_UPPER = 0.6
"""What covers a face leaves the eyes as they were, and the face in front of the camera."""

OTHERS: Mapping[Action, tuple[Action, ...]] = {
    Action.TURN_LEFT: (Action.TURN_RIGHT, Action.LOOK_UP),
    Action.TURN_RIGHT: (Action.TURN_LEFT, Action.LOOK_UP),
    Action.LOOK_UP: (Action.TURN_LEFT, Action.TURN_RIGHT, Action.COVER),
    Action.CLOSER: (Action.TURN_LEFT, Action.TURN_RIGHT, Action.COVER),
    Action.COVER: (Action.TURN_LEFT, Action.TURN_RIGHT, Action.CLOSER),
}
"""Actions that may not come before the one that is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """One face at rest: what its later measures are taken against.

    Attributes:
        turn_deg: median turn.
        tilt_deg: median tilt.
        side: median size against the picture.
        upper: median patch of the eyes.
        lowers: patches of mouth and chin, in all the shapes that they took.
        track: whose face it is.
        epoch: stretch of media time.
    """

    turn_deg: float
    tilt_deg: float
    side: float
    upper: Grey
    lowers: tuple[Grey, ...]
    track: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What a video showed of one action.

    Attributes:
        outcome: how far it followed.
        reached: the most that was measured, in the action's unit; None without a measure.
        needed: what would have been enough.
        delay_s: seconds from the prompt until it was done; None when it was not.
        reason: why it could not be judged, or what came instead; empty when it followed.
    """

    outcome: Outcome
    reached: float | None
    needed: float
    delay_s: float | None = None
    reason: str = ""


def at_rest(seen: Sequence[Observation], seconds: float) -> Rest | str:
    """Return the face at rest, or the reason why nothing can be asked of it.

    Args:
        seen: everything observed before the first prompt.
        seconds: for how long that was.
    """
    if len(seen) < LEAST_HZ * seconds:
        return "too few pictures came in"
    single = [one for one in seen if one.faces == 1 and one.upper is not None]
    if sum(one.faces > 1 for one in seen) > 0.2 * len(seen):
        return "several faces are in view"
    if len(single) < 0.6 * len(seen):
        return "no face was in view for long enough"
    if np.median([one.face_px for one in single]) < LEAST_PX:
        return "the face is too small in the picture"
    if np.median([one.brightness for one in single]) < LEAST_BRIGHTNESS:
        return "the face is too dark"
    last = single[-1]
    own = [one for one in single if one.epoch == last.epoch and one.track == last.track]
    return Rest(
        turn_deg=float(np.median([one.turn_deg for one in own])),
        tilt_deg=float(np.median([one.tilt_deg for one in own])),
        side=float(np.median([one.side for one in own])),
        upper=_median([one.upper for one in own if one.upper is not None]),
        lowers=_spread([one.lower for one in own if one.lower is not None]),
        track=last.track,
        epoch=last.epoch,
    )


def unit_of(action: Action) -> str:
    """Return the unit in which an action is measured."""
    if action in (Action.TURN_LEFT, Action.TURN_RIGHT, Action.LOOK_UP):
        return "deg"
    return {Action.CLOSER: "times", Action.COVER: "share", Action.FLASH: "p"}[action]


def needed(action: Action, settings: ChallengeSettings) -> float:
    """Return how much of an action is enough, in its unit."""
    return {
        Action.TURN_LEFT: settings.turn_deg,
        Action.TURN_RIGHT: settings.turn_deg,
        Action.LOOK_UP: settings.tilt_deg,
        Action.CLOSER: settings.nearer,
        Action.COVER: settings.covered,
        Action.FLASH: settings.flash_p,
    }[action]


def measured(action: Action, one: Observation, rest: Rest) -> float:
    """Return how much of an action a face shows in one frame, in the action's unit."""
    turn = one.turn_deg - rest.turn_deg
    match action:
        case Action.TURN_LEFT:
            return turn
        case Action.TURN_RIGHT:
            return -turn
        case Action.LOOK_UP:
            return one.tilt_deg - rest.tilt_deg
        case Action.CLOSER:
            return one.side / max(rest.side, 1e-6)
        case _:
            if one.upper is None or one.lower is None or abs(turn) > MAX_TURN:
                return 0.0
            if likeness(one.upper, rest.upper) < LEAST_UPPER:
                return 0.0
            alike = max(likeness(one.lower, shape) for shape in rest.lowers)
            return max(1.0 - max(alike, 0.0), 0.0)


def verify(
    action: Action,
    seen: Sequence[Observation],
    rest: Rest,
    prompted: float,
    until: float,
    settings: ChallengeSettings,
) -> Verified:
    """Return whether a face did what it was asked.

    Args:
        action: any but the flash.
        seen: observations from `REST_S` before the prompt on, oldest first; others are ignored.
        rest: the face at rest.
        prompted: when the prompt appeared.
        until: up to when it counts.
        settings: what is enough.
    """
    enough = needed(action, settings)
    if action is Action.CLOSER and rest.side > MAX_SIDE:
        why = "the face fills the picture already"
        return Verified(Outcome.UNJUDGED, None, enough, reason=why)
    clear = [one for one in seen if one.upper is not None and one.epoch == rest.epoch]
    before = [one for one in clear if prompted - REST_S <= one.at < prompted + REACT_S]
    inside = [one for one in clear if prompted <= one.at <= until]
    found = _Reaches(rest, settings)
    most = _most(action, inside, rest)
    if before and found.median(action, before) >= AT_REST:
        return Verified(Outcome.EARLY, most, enough, reason="it was so before it was asked for")
    done = found.first(action, inside)
    if done is not None:
        for other in OTHERS[action]:
            rested = not before or found.median(other, before) < AT_REST
            if rested and (came := found.first(other, inside)) is not None and came < done:
                return Verified(Outcome.OTHER_FIRST, most, enough, reason=_came_first(other))
        if done < prompted + REACT_S:
            why = "it came sooner than anybody reacts"
            return Verified(Outcome.EARLY, most, enough, reason=why)
        return Verified(Outcome.FOLLOWED, most, enough, delay_s=done - prompted)
    why_not = _unseen(seen, inside, prompted, until, rest)
    if why_not:
        return Verified(Outcome.UNJUDGED, most, enough, reason=why_not)
    return Verified(Outcome.NOT_FOLLOWED, most, enough)


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of several actions: all must be followed, and one that is not decides."""
    if not outcomes:
        return Outcome.UNJUDGED
    for decisive in (Outcome.EARLY, Outcome.OTHER_FIRST, Outcome.NOT_FOLLOWED, Outcome.UNJUDGED):
        if decisive in outcomes:
            return decisive
    return Outcome.FOLLOWED


class _Reaches:
    """How far actions are done, against one face at rest."""

    def __init__(self, rest: Rest, settings: ChallengeSettings) -> None:
        self._rest = rest
        self._settings = settings

    def of(self, action: Action, one: Observation) -> float:
        """Return how far an action is done in a frame; 1 is enough, 0 is at rest."""
        value, enough = measured(action, one, self._rest), needed(action, self._settings)
        if action is Action.CLOSER:
            return (value - 1.0) / (enough - 1.0)
        return value / enough

    def median(self, action: Action, seen: Sequence[Observation]) -> float:
        """Return how far an action is done in most of some frames."""
        return float(np.median([self.of(action, one) for one in seen]))

    def first(self, action: Action, seen: Sequence[Observation]) -> float | None:
        """Return when an action begins to be done for long enough; None when it never is."""
        hold = COVERED_S if action is Action.COVER else HOLD_S
        since: float | None = None
        last: float | None = None
        for one in seen:
            if self.of(action, one) < 1.0 or (last is not None and one.at - last > GAP_S):
                since = None
            if self.of(action, one) >= 1.0:
                since = one.at if since is None else since
                if one.at - since >= hold:
                    return since
            last = one.at
        return None


def _most(action: Action, seen: Sequence[Observation], rest: Rest) -> float | None:
    """Return the most that was measured; of three in a row the middle one counts."""
    values = [measured(action, one, rest) for one in seen]
    if not values:
        return None
    if len(values) < 3:
        return max(values)
    threes = zip(values, values[1:], values[2:], strict=False)
    return float(max(sorted(three)[1] for three in threes))


def _unseen(
    seen: Sequence[Observation],
    inside: Sequence[Observation],
    prompted: float,
    until: float,
    rest: Rest,
) -> str:
    """Return why a face that did not follow could not be judged; empty when it could."""
    window = [one for one in seen if prompted <= one.at <= until]
    if any(one.epoch != rest.epoch for one in window):
        return "the video was interrupted"
    if len(window) < LEAST_HZ * (until - prompted):
        return "too few pictures came in"
    if sum(one.faces > 1 for one in window) > 0.2 * len(window):
        return "several faces are in view"
    times = [prompted, *(one.at for one in inside), until]
    lost = sum(b - a for a, b in pairwise(times) if b - a > GAP_S)
    if lost > 0.4 * (until - prompted):
        return "the face was out of view"
    return ""


def _came_first(other: Action) -> str:
    return {
        Action.TURN_LEFT: "the head turned left first",
        Action.TURN_RIGHT: "the head turned right first",
        Action.LOOK_UP: "the head tilted up first",
        Action.CLOSER: "the face came closer first",
        Action.COVER: "the face was covered first",
    }[other]


def _spread(patches: Sequence[Grey]) -> tuple[Grey, ...]:
    """Return the median of some patches, and single ones from first to last."""
    places = np.linspace(0, len(patches) - 1, min(SHAPES - 1, len(patches)))
    return (_median(patches), *(patches[round(float(place))] for place in places))


def _median(patches: Sequence[Grey]) -> Grey:
    return np.asarray(np.median(np.stack(patches), axis=0), np.float32)
