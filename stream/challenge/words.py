"""Results of challenges in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence

from stream.challenge.verify import Verified
from stream.compliance import Action, Outcome

CONTEXT = "This stands beside the score and does not change it."


def step_sentence(action: Action, found: Verified) -> str:
    """Return what was seen of one action, with its numbers."""
    if found.outcome is Outcome.UNJUDGED:
        return f"{_asked(action)}: could not be judged, {found.reason}."
    amount = _amount(action, found)
    match found.outcome:
        case Outcome.FOLLOWED:
            return f"{_asked(action)}: done {found.delay_s or 0.0:.1f} s after the prompt{amount}."
        case Outcome.EARLY:
            return f"{_asked(action)}: {found.reason}."
        case Outcome.OTHER_FIRST:
            return f"{_asked(action)}: done{amount}, but {found.reason}."
        case _:
            why = f"; {found.reason}" if found.reason else ""
            return f"{_asked(action)}: not seen{amount}{why}."


def sentence(outcome: Outcome, steps: Sequence[Verified], reason: str = "") -> str:
    """Return the outcome of a whole challenge.

    Args:
        outcome: of all actions together.
        steps: what was seen of each.
        reason: why nothing was asked at all; empty when something was.
    """
    why = reason or next((one.reason for one in steps if one.outcome is outcome), "")
    match outcome:
        case Outcome.FOLLOWED:
            delays = " and ".join(f"{one.delay_s or 0.0:.1f} s" for one in steps)
            said = f"The video followed what was asked, {delays} after the prompt"
        case Outcome.EARLY:
            said = f"The video did not follow as a person does: {why}"
        case Outcome.OTHER_FIRST:
            said = f"The video did not follow what was asked: {why}, as in a recording"
        case Outcome.NOT_FOLLOWED:
            said = "The video did not follow what was asked"
        case Outcome.UNJUDGED:
            said = f"This could not be judged: {why or 'nothing was asked'}"
    return f"{said}. {CONTEXT}"


def _asked(action: Action) -> str:
    return {
        Action.TURN_LEFT: "Turn left",
        Action.TURN_RIGHT: "Turn right",
        Action.LOOK_UP: "Look up",
        Action.CLOSER: "Come closer",
        Action.COVER: "Cover the mouth",
        Action.FLASH: "Colours on the screen",
    }[action]


def _amount(action: Action, found: Verified) -> str:
    if found.reached is None:
        return ""
    reached, enough = found.reached, found.needed
    match action:
        case Action.TURN_LEFT | Action.TURN_RIGHT | Action.LOOK_UP:
            return f", by {max(reached, 0.0):.0f} degrees where {enough:.0f} are enough"
        case Action.CLOSER:
            return f", to {reached:.1f} times the size where {enough:.1f} are enough"
        case Action.COVER:
            return f", {100 * reached:.0f} % unlike itself where {100 * enough:.0f} % are enough"
        case Action.FLASH:
            return f", as well as {100 * reached:.1f} % of other colours would fit"
