"""Partition of a data set into training and validation.

Test videos are for measuring and are in neither part. Nobody whose group validates is trained on:
where a data set's own splits disagree with that, the entry is refused and named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from styleflow.data.index import Entry, Index, Refusal

TRAINING = ("train", "train_real", "train_fake", "")
"""What data sets call the part that is trained on; those without splits say nothing."""

VALIDATION = ("val", "valid", "validation", "validate")
"""What data sets call the part that validates."""

MEASURED = ("test", "dev", "eval")
"""What data sets call the part that is for measuring only."""

SHARED_GROUP = "its group is in another split too"
OTHER_SPLIT = "its split is for neither training, validation nor testing"

_HELD_OUT = 0.1  # share of groups held out where a data set has no validation part


@dataclass(frozen=True, slots=True)
class Partition:
    """What is trained on, what validates, and what is refused for being in the wrong split."""

    training: tuple[Entry, ...]
    validation: tuple[Entry, ...]
    refusals: tuple[Refusal, ...]


def partition(index: Index, held_out: Collection[str] = ()) -> Partition:
    """Return which entries of an index are trained on and which validate.

    The validation part of a data set validates. Where there is none, the groups of `held_out`
    do, or else a tenth of all groups, chosen by their names and so the same in every run.

    Args:
        index: of one or several data sets.
        held_out: groups that are never trained on.
    """
    refusals = [
        Refusal(0, entry.path.name, OTHER_SPLIT, entry.split)
        for entry in index.entries
        if entry.split not in (*TRAINING, *VALIDATION, *MEASURED)
    ]
    trained = [e for e in index.of(*TRAINING) if e.group not in held_out]
    validation = [e for e in index.of(*TRAINING) if e.group in held_out]
    validation += index.of(*VALIDATION)
    if not validation:
        chosen = _tenth({entry.group for entry in trained})
        validation = [e for e in trained if e.group in chosen]
    groups = {entry.group for entry in validation}
    kept = tuple(e for e in trained if e.group not in groups)
    if any(e.split in VALIDATION for e in validation):
        refusals += [
            Refusal(0, e.path.name, SHARED_GROUP, e.group) for e in trained if e.group in groups
        ]
    return Partition(kept, tuple(validation), tuple(refusals))


def _tenth(groups: Collection[str]) -> frozenset[str]:
    """Return a tenth of some groups, at least one of two."""
    ordered = sorted(groups, key=lambda group: hashlib.sha256(group.encode()).digest())
    count = max(round(len(ordered) * _HELD_OUT), min(1, len(ordered) - 1))
    return frozenset(ordered[:count])
