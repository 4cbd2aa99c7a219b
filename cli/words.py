"""Verdicts in the words of people: suspect, clear, undecided, none yet.

The wire says `ok` for clear, and `abstain` or `warming` where there is no verdict; those words stay
there. Whoever reads a terminal reads the words of the glossary: *undecided* where there is evidence
enough and it leans neither way, *none yet* where there is not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from stream.events import Verdict

STATES: Mapping[str, str] = {
    "suspect": "suspect",
    "abstain": "none yet",
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


def of_state(state: str, reasons: Collection[str]) -> str:
    """Return the word for a state on the wire; one that is not known stands for itself."""
    enough = set(reasons) == {"undecided"} or (state == "warming" and not reasons)
    if enough and state in ("abstain", "warming"):
        return "undecided"
    return STATES.get(state, state)


def of_verdict(verdict: str) -> str:
    """Return the word for a verdict of an event, while a face is still watched."""
    return "none yet" if verdict == Verdict.PENDING.value else verdict


def of_outcome(verdict: Verdict) -> str:
    """Return the word for the verdict on a video that has ended: nothing is still to come."""
    return "undecided" if verdict is Verdict.PENDING else verdict.value
