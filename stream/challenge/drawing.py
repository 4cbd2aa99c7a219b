"""Drawing of what is asked: nobody can know it beforehand, which is what a recording fails at."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from stream.challenge.settings import ChallengeSettings
from stream.compliance import Action, Task

Colour = tuple[int, int, int]
"""Red, green and blue of a screen, each 0 or 1."""

COLOURS: tuple[Colour, ...] = (
    (1, 0, 0),
    (0, 1, 0),
    (0, 0, 1),
    (1, 1, 0),
    (0, 1, 1),
    (1, 0, 1),
)

_OF: dict[Task, tuple[Action, ...]] = {
    Task.TURN: (Action.TURN_LEFT, Action.TURN_RIGHT),
    Task.LOOK_UP: (Action.LOOK_UP,),
    Task.CLOSER: (Action.CLOSER,),
    Task.COVER: (Action.COVER,),
}
_ALL = tuple(action for actions in _OF.values() for action in actions)

_WORDS = {
    Action.TURN_LEFT: "Turn your head to your left, past your shoulder, and hold it",
    Action.TURN_RIGHT: "Turn your head to your right, past your shoulder, and hold it",
    Action.LOOK_UP: "Look up at the ceiling, and hold it",
    Action.CLOSER: "Move to within a hand's breadth of the camera, and stay",
    Action.COVER: "Cover the lower half of your face with your hand, and hold it",
    Action.FLASH: "Look at the screen, which will show colours",
}

REST_PROMPT = "Thank you. Sit back and look at the camera"


def words_of(action: Action) -> str:
    """Return how an action is asked for."""
    return _WORDS[action]


def draw(task: Task, settings: ChallengeSettings, rng: Random) -> tuple[Action, ...]:
    """Return what is asked, in order; a task that was chosen is among it, at a random place.

    No action follows itself, and a head that is turned is not turned the other way next.
    """
    if task is Task.FLASH:
        return (Action.FLASH,)
    chosen = [] if task is Task.RANDOM else [rng.choice(_OF[task])]
    others = [a for a in _ALL if task is Task.RANDOM or a not in _OF[task]]
    while len(chosen) < settings.actions and others:
        chosen.append(rng.choice(others))
        taken = next(group for group in _OF.values() if chosen[-1] in group)
        others = [action for action in others if action not in taken]
    rng.shuffle(chosen)
    return tuple(chosen)


def draw_colours(count: int, rng: Random) -> tuple[Colour, ...]:
    """Return a sequence of colours in which none follows itself."""
    shown: list[Colour] = []
    for _ in range(count):
        shown.append(rng.choice([c for c in COLOURS if not shown or c != shown[-1]]))
    return tuple(shown)


def colour_words(colours: Sequence[Colour]) -> tuple[str, ...]:
    """Return colours as a page writes them."""
    return tuple("#" + "".join("ff" if part else "00" for part in colour) for colour in colours)
