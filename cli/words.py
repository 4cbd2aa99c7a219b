"""Verdicts in the words of people: suspect, clear, undecided, none yet.

The wire says `ok` for clear, `abstain` for undecided and `warming` for none yet; those words stay
there. Whoever reads a terminal reads the words of the glossary.
"""

from __future__ import annotations

from collections.abc import Mapping

from stream.events import Verdict

STATES: Mapping[str, str] = {
    "suspect": "suspect",
    "abstain": "undecided",
    "ok": "clear",
    "warming": "none yet",
}
"""Words of a score's state on the wire, the most urgent first."""

STYLES: Mapping[str, str] = {
    "suspect": "bold red",
    "clear": "green",
    "undecided": "yellow",
    "none yet": "dim",
}
"""How a word looks on a terminal."""


def of_state(state: str) -> str:
    """Return the word for a state on the wire; one that is not known stands for itself."""
    return STATES.get(state, state)


def of_verdict(verdict: str) -> str:
    """Return the word for a verdict of an event, while a face is still watched."""
    return "none yet" if verdict == Verdict.PENDING.value else verdict


def of_outcome(verdict: Verdict) -> str:
    """Return the word for the verdict on a video that has ended: nothing is still to come."""
    return "undecided" if verdict is Verdict.PENDING else verdict.value
