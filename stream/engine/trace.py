"""Trace of an engine's transitions, for whoever debugs it; the engine itself writes nothing."""

from __future__ import annotations

from typing import Protocol


class Trace(Protocol):
    """Told every transition of an engine as it happens."""

    def __call__(self, transition: str, /, **facts: object) -> None:
        """Take note of one transition and what belongs to it."""
        ...


def ignore(transition: str, /, **facts: object) -> None:
    """Take no note of anything."""
