"""Frame log: which sampled frames of a stream were looked at lately, and under which conditions.

Packets tell what was received, not what became of it: where the cadence grid begins depends on
pictures long gone, and frames are left out under overload. With these notes beside the packets, the
same frames can be scored again. Bounded in seconds and in notes; the oldest give way.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from stream.events import CaptureConditions, Frame

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class FrameNote:
    """One frame that was looked at; its picture is that of a packet.

    Attributes:
        arrived: monotonic arrival of its packet.
        epoch: see `Frame`.
        slot: see `Frame`.
        at: media seconds since the epoch began.
        left_out: sampled frames right before it that were not looked at.
        begins: nothing of this epoch was looked at before, so nothing is remembered at it.
        detect_factor: how many times as rare detections were, to save work.
        hop_factor: how many times as long it was between two ratings, likewise.
        capture: the conditions under which it was captured.
        number: rises from note to note.
    """

    arrived: float
    epoch: int
    slot: int
    at: float
    left_out: int
    begins: bool
    detect_factor: int
    hop_factor: int
    capture: CaptureConditions
    number: int = field(default=0, compare=False)


class FrameLog:
    """The newest notes of one stream; one thread writes, any may read.

    Args:
        max_seconds: arrival time between the oldest and the newest note, at most.
        max_notes: notes held, at most.
    """

    def __init__(self, max_seconds: float = 60.0, max_notes: int = 4096) -> None:
        self._max_seconds = max_seconds
        self._notes: deque[FrameNote] = deque(maxlen=max_notes)
        self._lock = threading.Lock()
        self._epoch: int | None = None

    def add(self, frame: Frame, left_out: int, detect_factor: int, hop_factor: int) -> None:
        """Take note of a frame that is looked at now."""
        note = FrameNote(
            arrived=frame.arrived,
            epoch=frame.epoch,
            slot=frame.slot,
            at=frame.at,
            left_out=left_out,
            begins=frame.epoch != self._epoch,
            detect_factor=detect_factor,
            hop_factor=hop_factor,
            capture=frame.capture,
            number=next(_NUMBERS),
        )
        self._epoch = frame.epoch
        with self._lock:
            self._notes.append(note)
            while note.arrived - self._notes[0].arrived > self._max_seconds:
                self._notes.popleft()

    def snapshot(self) -> tuple[FrameNote, ...]:
        """Return what is held now, oldest first."""
        with self._lock:
            return tuple(self._notes)
