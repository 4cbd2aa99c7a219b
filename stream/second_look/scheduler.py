"""Schedule of second looks: which face is shown to the heavier detector next. Pure.

A face is due when the first detector's score has come to lean to another side than at its last
second look, or when it has not had one for `every_s`. Streams take turns: the one whose last look
lies furthest back is next, so a stream with many faces takes nothing from the others. Within a
stream those that lean come first, then those not looked at for longest.

A face that is due and cannot be looked at waits, and is counted once under the reason. Nothing else
gives way to it; when it does not lean any more, or is gone, it is due no longer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from stream.engine.plan import TrackKey
from stream.second_look.settings import SecondLookSettings


class Refusal(StrEnum):
    """Why a face that is due is not looked at yet. A closed list."""

    SHARE = "share"  # the look is not earned yet
    BUSY = "busy"  # at_once others are looked at
    OVERLOADED = "overloaded"  # the analyzer leaves work out
    FAILED = "failed"  # the detector has failed lately


def side_of(score: float, when: float) -> int:
    """Return where a score leans far enough: 1 to fake, -1 to real, 0 to neither."""
    lean = 2.0 * score - 1.0
    if not math.isfinite(lean) or abs(lean) < when - 1e-9 or lean == 0:
        return 0
    return 1 if lean > 0 else -1


def agreement(first: float, second: float, when: float) -> bool | None:
    """Return whether two scores lean to the same side; None when one leans to neither."""
    sides = side_of(first, when), side_of(second, when)
    return None if 0 in sides else sides[0] == sides[1]


@dataclass(slots=True)
class _Face:
    """What is known of one face."""

    since: float  # when it was first seen, or last looked at
    score: float = math.nan
    side: int = 0
    looked_side: int = 0
    looked: bool = False
    due_at: float | None = None
    leans: bool = False
    told: set[Refusal] = field(default_factory=set)


class LookScheduler:
    """Faces of all streams that may need a second look; bounded by the faces that are followed.

    Args:
        settings: when a face is due.

    Attributes:
        refused: looks that had to wait, by why; only grows.
    """

    def __init__(self, settings: SecondLookSettings) -> None:
        self.refused: Counter[Refusal] = Counter(dict.fromkeys(Refusal, 0))
        self._settings = settings
        self._faces: dict[TrackKey, _Face] = {}
        self._turns: dict[str, float] = {}  # by stream, when it was granted the last look

    def __len__(self) -> int:
        return len(self._faces)

    def note(self, key: TrackKey, score: float, now: float, *, usable: bool = True) -> None:
        """Take note of the first detector's newest score of a face.

        Args:
            key: the face.
            score: 1 leans fake.
            now: monotonic seconds.
            usable: nothing speaks against the evidence; without, the face is not due.
        """
        face = self._faces.setdefault(key, _Face(now))
        face.score, face.side = score, side_of(score, self._settings.when)
        face.leans = face.side != 0 and not (face.looked and face.side == face.looked_side)
        every_s = self._settings.every_s
        sampled = every_s > 0 and now - face.since >= every_s
        if usable and (face.leans or sampled):
            face.due_at = now if face.due_at is None else face.due_at
        else:
            face.due_at = None
            face.told.clear()

    def score(self, key: TrackKey) -> float | None:
        """Return the first detector's newest score of a face; None when it has none."""
        face = self._faces.get(key)
        return None if face is None else face.score

    def forget(self, key: TrackKey) -> None:
        """Drop a face that has ended."""
        self._faces.pop(key, None)

    def close(self, stream: str) -> None:
        """Drop a stream."""
        self._turns.pop(stream, None)
        for key in [key for key in self._faces if key.stream == stream]:
            del self._faces[key]

    def next(self, without: Collection[TrackKey] = ()) -> TrackKey | None:
        """Return the face whose turn it is; None when none is due.

        Args:
            without: faces that are being looked at.
        """
        due = [
            (self._turns.get(key.stream, -math.inf), not face.leans, face.since, key)
            for key, face in self._faces.items()
            if face.due_at is not None and key not in without
        ]
        return min(due)[-1] if due else None

    def grant(self, key: TrackKey, now: float) -> None:
        """Take note that a look begins: the stream goes to the end of the queue."""
        face = self._faces[key]
        face.looked, face.looked_side, face.since = True, face.side, now
        face.due_at = None
        face.told.clear()
        self._turns[key.stream] = now

    def refuse(self, why: Refusal, without: Collection[TrackKey] = ()) -> None:
        """Count every face that is due and waits, once for each reason."""
        for key, face in self._faces.items():
            if face.due_at is not None and key not in without and why not in face.told:
                face.told.add(why)
                self.refused[why] += 1
