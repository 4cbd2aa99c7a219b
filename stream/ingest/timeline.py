"""Media time of pictures from their PTS. Pure; no clock is read.

`Timeline` gives every decoded picture its epoch and its media time, and says which pictures are
contaminated. The decoder does not say so itself: FFmpeg conceals what it misses and flags nothing,
so a loss is judged from the hole that it leaves between two PTS. The declared frame rate is never
used, because cameras lie about it: the usual distance between pictures is measured.

A stamp may be wrong by itself. A picture whose stamp leaps, or comes before its predecessor's, is
dropped and counted, and nothing else is concluded from it: only a run of pictures that go on from
such a stamp says that the sender's clock has been set, and begins an epoch. A file's picture is not
dropped, because it is known to come right after its predecessor. Where the stamps are no clock at
all, another one takes their place (`substitute.py`).

But a sender may also leave pictures out before it encodes: a webcam in the dark, a phone's film.
Where a loss would show otherwise, a hole is taken for that, up to a stated length: nothing is lost
on the way out of a file, and H.264 counts its own pictures. What such a source lacks shows in the
measured frame rate (`conditions.py`).

A caller is another matter. Its pictures come with word of every loss, and a browser that has no
time or no bandwidth skips pictures and sends smaller ones. So a caller's holes are no losses, and
a picture of another size but the same shape goes on in the same epoch: perception maps what it
knows of a face onto the new size, and no evidence is lost with the bandwidth. A file may be a
recorded call, so its pictures may change their size likewise.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from itertools import pairwise

from stream.events import EpochCause
from stream.ingest.substitute import SubstituteClock
from styleflow.pictures.shape import is_scaled

JUMP_S = 1.0
JUMP_FRAMES = 10
"""A PTS that leaps by more than both of these is a stray one, or begins a new epoch."""

LASTING = 3
"""So many pictures in a row that go on from a leap make it last: they begin a new epoch."""

UNSURE = 6
"""So many in a file, where a run neither begins with a keyframe nor follows a pause."""

LASTING_S = 10.0
"""Pictures of such a run are no further apart than this."""

PAUSE_S = 60.0
"""Those of a file are no further apart than this: a screen that was recorded may stand still."""

GAP_RATIO = 1.5
"""A distance between pictures of more than this many usual ones means that some are missing."""

RECENT = 64
"""How many distances the usual one is judged from."""

MIN_DELTAS = 3


class Damage(Enum):
    """Why pictures are no evidence until the next keyframe."""

    GAP = "gap"
    DECODE_ERROR = "decode_error"
    CORRUPT = "corrupt"
    NO_KEYFRAME = "no_keyframe"


class Discard(Enum):
    """Why a picture has no place in media time."""

    NO_PTS = "no_pts"
    OUT_OF_ORDER = "out_of_order"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the timeline needs to know about one decoded picture, in presentation order.

    Attributes:
        pts: presentation time in `time_base` units, or None.
        time_base: seconds per unit.
        codec: name of the codec.
        size: width and height.
        keyframe: decodable on its own.
        damaged: the decoder reported an error since the previous picture.
        corrupt: this very picture is damaged, keyframe or not.
        broken: a picture that this one builds on is known to be missing.
        vouched: a hole of fewer pictures than this before it is no loss; 0 when every hole is one.
        dts: decoding time in `time_base` units, or None.
        arrived: monotonic seconds.
    """

    pts: int | None
    time_base: Fraction
    codec: str
    size: tuple[int, int]
    keyframe: bool
    damaged: bool = False
    corrupt: bool = False
    broken: bool = False
    vouched: int = 0
    dts: int | None = None
    arrived: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a picture stands in media time.

    Attributes:
        epoch: counts from 1.
        at: media seconds since the epoch's first picture.
        began: set on an epoch's first picture: why it began.
        missing: pictures that the distance to the previous one says are lost.
        damage: why this picture is contaminated, or None.
        ticks: `at` in units of the picture's time base, from any origin.
        substituted: the stamps are no clock, and another one took their place.
        astray: its own stamp gives it no place.
    """

    epoch: int
    at: float
    began: EpochCause | None
    missing: int
    damage: Damage | None
    ticks: int = 0
    substituted: bool = False
    astray: bool = False


class Timeline:
    """Media time of one stream, across all its connections.

    Args:
        first_epoch: number of the epoch that the first picture begins.
    """

    def __init__(self, first_epoch: int = 1) -> None:
        self.epoch = first_epoch - 1
        self._told = False
        self._scales = False
        self._complete = False
        self._clock = SubstituteClock(arrivals=True)
        self._cause: EpochCause | None = EpochCause.CONNECTED
        self._format: tuple[str, tuple[int, int], Fraction] | None = None
        self._origin = 0
        self._last = 0  # stamp that the next one has to go on from
        self._placed = 0  # where the newest picture was placed, from the same origin
        self._shift = 0  # from stamps to places, where the epoch's first stamp was a stray one
        self._alone = True  # no stamp has gone on from the epoch's first
        self._run: list[int] = []  # stamps that leapt, each going on from the one before
        self._run_is_sound = False
        self._run_begins_with_key = False
        self._passed_over = 0
        self._broken = False  # a picture that the next ones build on is known to be missing
        self._damage: Damage | None = Damage.NO_KEYFRAME
        self._deltas: deque[int] = deque(maxlen=RECENT)

    def reconnected(self, *, losses_are_told: bool = False, complete: bool = False) -> None:
        """Let the next picture begin a new epoch, whatever its PTS.

        Args:
            losses_are_told: from now on a hole between two PTS means nothing; what was lost is said
                by `corrupt` and `damaged`. And the picture may be scaled at any time.
            complete: nothing is lost on the way, arrival means nothing, and the picture may be
                scaled at any time: a file.
        """
        self._scales = complete or losses_are_told
        self._complete = complete
        self._clock = SubstituteClock(arrivals=not complete)
        self._told = losses_are_told
        self._cause = EpochCause.CONNECTED
        self._damage = Damage.NO_KEYFRAME

    def declared(self, frame_rate: Fraction | None, duration_s: float | None) -> None:
        """Take in what a file says of itself; it tells the time where the stamps cannot."""
        self._clock.declared(frame_rate, duration_s)

    def place(self, stamp: Stamp) -> Moment | Discard:
        """Return where a picture stands, or why it is to be dropped."""
        self._clock.hear(stamp.pts, stamp.dts, stamp.arrived, stamp.time_base)
        if not self._clock.runs:
            leapt = len(self._run)
            place = self._by_stamp(stamp)
            placed = isinstance(place, Moment)
            sound = isinstance(place, Moment) and not place.astray
            began = isinstance(place, Moment) and place.began is not None
            if began:
                self._clock.pardon(leapt)
            self._clock.judge(stamp.pts, stamp.time_base, placed=sound, began=began)
            if self._clock.runs and self._damage is Damage.GAP and not self._broken:
                self._damage = None  # it was only told by the stamps
            if placed or not self._clock.runs:
                return place
        return self._by_substitute(stamp)

    def _by_substitute(self, stamp: Stamp) -> Moment:
        """Place a picture whose stamp is no clock; a hole between two is no loss."""
        step = self._clock.step(stamp.time_base)
        pts = self._placed + step
        cause = self._cause or self._change(stamp)
        if cause is None and step * stamp.time_base > JUMP_S and step > JUMP_FRAMES * self._usual():
            cause = EpochCause.PTS_JUMP
        if cause is not None:
            self._begin(stamp, pts, cause)
        else:
            self._deltas.append(step)
            self._placed, self._passed_over = pts, 0
            if stamp.broken:
                self._damage = Damage.GAP
            self._note(stamp)
        at = float((pts - self._origin) * stamp.time_base)
        return Moment(self.epoch, at, cause, 0, self._damage, pts, substituted=True)

    def _by_stamp(self, stamp: Stamp) -> Moment | Discard:
        pts = stamp.pts
        if pts is None:
            # FFmpeg's RTSP client gives the first access unit no PTS. It is dropped, but as the
            # keyframe that it usually is, it still makes its successors sound.
            return self._astray(stamp, Discard.NO_PTS)
        cause = self._cause or self._change(stamp)
        if cause is None and not self._goes_on(stamp, pts):
            if not self._lasts(stamp, pts):
                leaps = self._leaps(stamp, pts)
                return self._astray(stamp, Discard.STRAY if leaps else Discard.OUT_OF_ORDER)
            if self._complete and not self._may_be_pause(stamp) and self._is_no_setting():
                return self._anchor(stamp, pts)
            cause = EpochCause.PTS_JUMP if pts > self._last else EpochCause.PTS_BACKWARD
        if cause is not None:
            self._begin(stamp, pts, cause)
            return Moment(self.epoch, 0.0, cause, 0, self._damage, pts)
        if self._complete and self._clock.is_crowded(pts - self._last, stamp.time_base):
            return self._crowd(stamp, pts)
        missing = self._lost(stamp, pts - self._last)
        self._deltas.append((pts - self._last) // (1 + self._passed_over))
        self._last, self._passed_over = pts, 0
        self._placed = max(pts + self._shift, self._placed + 1)
        self._alone = False
        self._run.clear()
        unvouched = not self._told and not stamp.vouched
        if missing or stamp.broken or (unvouched and self._began_with_gap()):
            self._damage = Damage.GAP
        self._note(stamp)
        return self._here(stamp, missing)

    def _here(self, stamp: Stamp, missing: int = 0, *, astray: bool = False) -> Moment:
        at = float((self._placed - self._origin) * stamp.time_base)
        return Moment(self.epoch, at, None, missing, self._damage, self._placed, astray=astray)

    def _astray(self, stamp: Stamp, why: Discard) -> Moment | Discard:
        """Drop a picture whose stamp gives it no place; one of a file follows its predecessor."""
        self._passed_over += 1
        goes_on = self._cause is None and self._change(stamp) is None
        self._note(stamp)
        if not (self._complete and goes_on) or self._may_begin(stamp):
            return why
        self._placed += self._clock.step(stamp.time_base)
        return self._here(stamp, astray=True)

    def _anchor(self, stamp: Stamp, pts: int) -> Moment | Discard:
        """Let the stamps go on from here, in the same epoch."""
        place = self._astray(stamp, Discard.STRAY)
        self._last, self._shift = pts, self._placed - pts
        self._run.clear()
        return place

    def _may_begin(self, stamp: Stamp) -> bool:
        """Return whether a file's picture whose stamp leapt may be of another stretch of time."""
        return stamp.pts is not None and (self._run_begins_with_key or self._may_be_pause(stamp))

    def _may_be_pause(self, stamp: Stamp) -> bool:
        """Return whether a file may simply have shown nothing new before this picture."""
        if stamp.pts is None or self._clock.is_beyond_end(stamp.pts, stamp.time_base):
            return False
        return JUMP_S < (stamp.pts - self._last) * stamp.time_base <= PAUSE_S

    def _crowd(self, stamp: Stamp, pts: int) -> Moment:
        """Place a file's picture that its stamp puts closer to the last than pictures are."""
        self._note(stamp)
        self._last = pts
        step = 1 if self._usual() else self._clock.step(stamp.time_base)
        self._placed = max(pts + self._shift, self._placed + step)
        self._run.clear()
        return self._here(stamp, astray=True)

    def _change(self, stamp: Stamp) -> EpochCause | None:
        """Return why the pictures are others than before, or None when they are the same."""
        codec, size, time_base = self._format or ("", (0, 0), stamp.time_base)
        if (stamp.codec, stamp.time_base) != (codec, time_base):
            return EpochCause.CODEC_CHANGED
        if stamp.size != size and not (self._scales and is_scaled(size, stamp.size)):
            return EpochCause.SIZE_CHANGED
        self._format = (codec, stamp.size, time_base)
        return None

    def _goes_on(self, stamp: Stamp, pts: int) -> bool:
        return pts > self._last and not self._leaps(stamp, pts)

    def _leaps(self, stamp: Stamp, pts: int) -> bool:
        leap, base = abs(pts - self._last), stamp.time_base  # in whole numbers: this is asked often
        long = leap * base.numerator > JUMP_S * base.denominator
        return long and leap > JUMP_FRAMES * self._usual()

    def _lasts(self, stamp: Stamp, pts: int) -> bool:
        """Take in a stamp that does not go on; return whether those before it lead up to it."""
        apart = PAUSE_S if self._complete else LASTING_S
        follows = self._run and 0 < (pts - self._run[-1]) * stamp.time_base <= apart
        if not follows:
            self._run.clear()
            self._run_is_sound, self._run_begins_with_key = False, stamp.keyframe
        self._run.append(pts)
        self._run_is_sound = stamp.keyframe or (self._run_is_sound and not stamp.damaged)
        sure = not self._complete or self._may_begin(stamp)
        return len(self._run) >= (LASTING if sure else UNSURE)

    def _is_no_setting(self) -> bool:
        """Return whether a run of leapt stamps does not say that a file's clock was set.

        Either no stamp went on from the epoch's first, which was the stray one then, or others have
        lately led nowhere.
        """
        return self._alone or self._clock.faults - (len(self._run) - 1) >= 2

    def _begin(self, stamp: Stamp, pts: int, cause: EpochCause) -> None:
        if cause is not EpochCause.PTS_JUMP:
            self._deltas.clear()
        # Kept, so that a source with a picture every two seconds becomes usual in time.
        self._deltas.extend(later - sooner for sooner, later in pairwise(self._run))
        leapt = cause in (EpochCause.PTS_JUMP, EpochCause.PTS_BACKWARD)
        healed = leapt and self._run_is_sound
        self.epoch += 1
        self._cause = None
        self._format = (stamp.codec, stamp.size, stamp.time_base)
        self._origin = self._last = self._placed = pts
        self._shift, self._alone = 0, True
        self._passed_over = 0
        self._run.clear()
        healed = healed or (leapt and self._complete)
        if cause is not EpochCause.CONNECTED and not self._told and not healed:
            self._damage = self._damage or Damage.GAP
        if stamp.broken:
            self._damage = Damage.GAP
        self._note(stamp)

    def _note(self, stamp: Stamp) -> None:
        """Update the damage: what came before is healed by a keyframe that is itself intact."""
        self._broken = self._broken or stamp.broken
        if stamp.damaged:
            self._damage = Damage.DECODE_ERROR
        if stamp.keyframe:
            self._damage = None
            self._broken = False
        if stamp.corrupt:
            self._damage = Damage.CORRUPT

    def _usual(self) -> int:
        """Return the upper quartile of recent distances, or 0 while too few are known.

        A quartile rather than the median, because some cameras alternate between two distances;
        rather than the maximum, because losses must not pass for usual.
        """
        if len(self._deltas) < MIN_DELTAS:
            return 0
        ordered = sorted(self._deltas)
        return ordered[3 * (len(ordered) - 1) // 4]

    def _lost(self, stamp: Stamp, delta: int) -> int:
        """Return how many pictures were lost, as far as holes tell, right before this one."""
        missing = 0 if self._told else max(0, self._missing(delta) - self._passed_over)
        return 0 if missing < stamp.vouched and not stamp.broken else missing

    def _missing(self, delta: int) -> int:
        """Return how many pictures are missing before one that comes `delta` after the last."""
        usual = self._usual()
        if not usual or delta <= GAP_RATIO * usual:
            return 0
        return max(1, round(delta / usual) - 1)

    def _began_with_gap(self) -> bool:
        """Return, once the usual distance is known, whether one of the first was too long."""
        known = len(self._deltas) == MIN_DELTAS
        return known and max(self._deltas) > GAP_RATIO * self._usual()
