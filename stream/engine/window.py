"""Windows of what was sampled: a stream's grid slots, and the frames pushed of each track.

Everything counts in slots of the cadence grid, so that two runs over the same frames agree to the
last bit. Nothing here knows logits; `verdict.py` does.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum

from styleflow.faces.face import FaceQuality


class SlotFate(Enum):
    """Fate of one slot of the cadence grid."""

    USABLE = "usable"
    MISSING = "missing"  # no frame came: lost on the way, or never sent
    CONTAMINATED = "contaminated"
    OVERRUN = "overrun"  # a frame came, but there was no time for it


class Coverage:
    """The fates of a stream's last slots, within one epoch.

    Args:
        slots: how many slots are remembered, at least 1.
    """

    def __init__(self, slots: int) -> None:
        self._fates: deque[SlotFate] = deque(maxlen=slots)
        self._count: Counter[SlotFate] = Counter()  # of the remembered ones
        self._newest: int | None = None

    @property
    def newest(self) -> int | None:
        """The newest slot of this epoch, or None before its first frame."""
        return self._newest

    def advance(self, slot: int, overrun: int, *, contaminated: bool) -> None:
        """Take note of a frame and of the slots that were passed over to reach it.

        Args:
            slot: the frame's slot, later than `newest`.
            overrun: how many of the passed slots were skipped for lack of time.
            contaminated: the frame is no evidence.
        """
        passed = 0 if self._newest is None else slot - self._newest - 1
        skipped = min(max(overrun, 0), passed)
        self._fill(SlotFate.MISSING, passed - skipped)
        self._fill(SlotFate.OVERRUN, skipped)
        self._fill(SlotFate.CONTAMINATED if contaminated else SlotFate.USABLE, 1)
        self._newest = slot

    def restart(self) -> None:
        """Forget everything: a new epoch began."""
        self._fates.clear()
        self._count.clear()
        self._newest = None

    def resize(self, slots: int) -> None:
        """Remember another number of slots from now on, keeping the newest."""
        if slots != self._fates.maxlen:
            self._fates = deque(self._fates, maxlen=slots)
            self._count = Counter(self._fates)

    @property
    def loss(self) -> float:
        """Share of the remembered slots that were missing or contaminated, 0..1."""
        return self._share(SlotFate.MISSING, SlotFate.CONTAMINATED)

    @property
    def overrun(self) -> float:
        """Share of the remembered slots that were skipped for lack of time, 0..1."""
        return self._share(SlotFate.OVERRUN)

    @property
    def contaminated(self) -> bool:
        """Whether the newest frame is no evidence."""
        return bool(self._fates) and self._fates[-1] is SlotFate.CONTAMINATED

    def _fill(self, fate: SlotFate, times: int) -> None:
        room = self._fates.maxlen or 0
        for _ in range(min(times, room)):
            if len(self._fates) == room:
                self._count[self._fates[0]] -= 1
            self._fates.append(fate)
            self._count[fate] += 1

    def _share(self, *fates: SlotFate) -> float:
        if not self._fates:
            return 0.0
        return sum(self._count[fate] for fate in fates) / len(self._fates)


@dataclass(frozen=True, slots=True)
class Admission:
    """How a usable frame joins a track's window.

    Attributes:
        missing: slots without a usable frame since the previous push; 0 when `fresh`.
        fresh: the evidence starts anew with this frame.
    """

    missing: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Hop:
    """What was pushed since the previous rating of a track.

    Attributes:
        frames: usable frames, at least 1.
        quality: mean quality of these frames.
        contaminated: some frame in between was contaminated.
    """

    frames: int
    quality: FaceQuality
    contaminated: bool


class TrackWindow:
    """The sampled frames of one track since its evidence started."""

    def __init__(self) -> None:
        self.start = 0.0
        self.frames = 0
        self.missing = 0
        self._pushed: int | None = None
        self._rated = 0
        self._restart = True
        self._contaminated = False
        self._hop = _QualitySum()

    def admit(self, slot: int, at: float, quality: FaceQuality, gap_slots: int) -> Admission:
        """Take in a usable frame.

        Args:
            slot: the frame's slot, later than every earlier one.
            at: the frame's media time.
            quality: of the aligned face.
            gap_slots: a larger distance from the previous usable frame is a fresh start.
        """
        fresh = self._restart or self._pushed is None or slot - self._pushed > gap_slots
        missing = 0 if fresh or self._pushed is None else slot - self._pushed - 1
        if fresh:
            self.start, self.frames, self.missing = at, 0, 0
            self._rated = slot
            self._restart = False
            self._hop = _QualitySum()
        self.frames += 1
        self.missing += missing
        self._pushed = slot
        self._hop.add(quality)
        return Admission(missing, fresh)

    def taint(self) -> None:
        """Take note of a contaminated frame: the hop that it lies in is contaminated."""
        self._contaminated = True

    def restart(self) -> None:
        """Let the next usable frame be a fresh start, because the device lost the track."""
        self._restart = True

    def due(self, hop_slots: int) -> bool:
        """Return whether the newest usable frame completes a hop."""
        return self._pushed is not None and self._pushed - self._rated >= hop_slots

    def close_hop(self) -> Hop:
        """Return what was gathered since the previous rating, and begin the next hop."""
        hop = Hop(self._hop.frames, self._hop.mean(), self._contaminated)
        self._rated = self._pushed or 0
        self._contaminated = False
        self._hop = _QualitySum()
        return hop


@dataclass(slots=True)
class _QualitySum:
    """A running sum of qualities."""

    frames: int = 0
    face_px: float = 0.0
    sharpness: float = 0.0
    brightness: float = 0.0
    yaw_deg: float = 0.0

    def add(self, quality: FaceQuality) -> None:
        self.frames += 1
        self.face_px += quality.face_px
        self.sharpness += quality.sharpness
        self.brightness += quality.brightness
        self.yaw_deg += quality.yaw_deg

    def mean(self) -> FaceQuality:
        n = self.frames
        return FaceQuality(
            self.face_px / n, self.sharpness / n, self.brightness / n, self.yaw_deg / n
        )
