"""Findings of `styleflow doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from cli.settings import Settings


class State(StrEnum):
    """How a part of the machine is doing."""

    FINE = "fine"
    NOTE = "note"  # works, but somebody should know
    WRONG = "wrong"  # the analyzer does not start, or not all of it works


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: a part of the machine and how it is doing.

    Attributes:
        part: what was looked at.
        state: how it is doing.
        found: what is there.
        todo: what to do about it; empty when nothing.
    """

    part: str
    state: State
    found: str
    todo: str = ""


Check = Callable[[Settings], Iterator[Finding]]
