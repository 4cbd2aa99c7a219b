"""Plans that the engine makes for the device, and the device's answers. Values only.

A plan is numbered, because its answer may come back late: an answer for a track that has ended
meanwhile is dropped. Within one plan the device acts in the order forget, push, rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from styleflow.faces.device_picture import Pixels


@dataclass(frozen=True, slots=True, order=True)
class TrackKey:
    """One face of one stream; track ids are never reused within a stream."""

    stream: str
    track: int


@dataclass(frozen=True, slots=True, eq=False)
class Push:
    """Give the model one sampled frame of a track.

    Attributes:
        key: the track.
        image: the aligned crop, `(S, S, 3)` RGB uint8, in memory or on the device.
        reanchored: the same frame under the new anchor, when the anchor moved at this frame.
        missing: grid slots that held no usable frame since the track's previous push. The style
            delta across a gap is not fed; the hidden state decays towards its learned start.
        fresh: forget what the track has gathered before this frame (its first frame, or the
            first one after a gap that was too long).
        look: a detector that does not use every frame uses this one.
    """

    key: TrackKey
    image: Pixels
    reanchored: Pixels | None = None
    missing: int = 0
    fresh: bool = False
    look: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """Ask for the logit of a track after its push."""

    key: TrackKey


@dataclass(frozen=True, slots=True)
class Forget:
    """Release the slot of a track that has ended."""

    key: TrackKey


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one engine wants done for one sampled frame of one stream."""

    number: int
    stream: str
    forgets: tuple[Forget, ...] = ()
    pushes: tuple[Push, ...] = ()
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True)
class Ratings:
    """The device's answer to one plan.

    Attributes:
        number: number of the plan.
        logits: raw outputs of the rated tracks; above 0 leans fake.
        refused: tracks that were pushed but have no slot, because all are taken.
        slots: how many slots the device has, for the event about `refused`.
    """

    number: int
    logits: Mapping[TrackKey, float]
    refused: frozenset[TrackKey] = frozenset()
    slots: int = 0
