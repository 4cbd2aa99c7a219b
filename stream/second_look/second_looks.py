"""Second looks: the heavier detector beside the pipeline, fed by what the first one sees.

It belongs to the device thread and is stepped after every batch, when all ordinary work is done. It
has a device of its own, so nothing that it holds or breaks is the first detector's. A fault of it
is counted, ends the looks that go on, and keeps it away for a while; no score is ever late or lost
for it, only those of one batch may come later by what a frame of it takes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from stream.clock import Clock
from stream.device.device import Device
from stream.engine.plan import Forget, Plan, Push, Rate, Ratings, TrackKey
from stream.engine.settings import EngineSettings
from stream.errors import SettingInvalid
from stream.events import (
    AbstainReason,
    Event,
    Frame,
    Perceived,
    Score,
    ScoringModel,
    SecondLook,
    TrackEnded,
)
from stream.second_look.account import ComputeAccount
from stream.second_look.burst import STALE_S, Burst
from stream.second_look.costs import FrameCosts
from stream.second_look.scheduler import LookScheduler, Refusal, agreement
from stream.second_look.settings import SecondLookSettings
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.faces.crops.framing import framer
from styleflow.faces.face import AlignedFace, TrackedFace
from styleflow.faces.settings import AnchorSettings

_log = logging.getLogger(__name__)

AWAY_S = 60.0
"""Seconds for which a detector that failed begins no look."""

_WARM_UP = TrackKey("", 0)
_WARM_UP_FRAMES = 3

Seen = tuple[Frame, Perceived]
"""A frame, and what the first detector saw of it."""


class Outcome(StrEnum):
    """What came of a look that was begun. A closed list."""

    AGREES = "agrees"  # both lean to the same side
    DISAGREES = "disagrees"
    UNSURE = "unsure"  # one of them leans to neither side
    UNTRAINED = "untrained"  # the detector has random weights, so its score says nothing
    INTERRUPTED = "interrupted"  # the face was gone, or hidden for too long
    OVERDRAWN = "overdrawn"  # its frames were dearer than expected, and the share was used up
    UNRATED = "unrated"  # the detector gave no number
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SecondLookStats:
    """What second looks have done so far; a snapshot that any thread may read.

    Attributes:
        outcomes: looks that are over, by what came of them.
        refused: looks that had to wait, by why.
        going: looks that go on.
        spent_s: seconds of the device thread in all.
        used: share of the last minute.
        frame_s: seconds that a frame is expected to cost.
    """

    outcomes: Mapping[Outcome, int]
    refused: Mapping[Refusal, int]
    going: int
    spent_s: float
    used: float
    frame_s: float


class SecondLooks:
    """The heavier detector of all streams.

    Args:
        device: runs it; nobody else's.
        settings: whom it is shown, and what that may cost.
        first: the clip of the detector whose frames it takes.
        engine: how long a gap may be, and how many frames a verdict needs.
        clock: measures what it costs.
        anchor: when a face's crop is framed anew.

    Attributes:
        scoring: what is known of the model.

    Raises:
        SettingInvalid: it wants more frames a second than there are.
    """

    def __init__(
        self,
        device: Device,
        settings: SecondLookSettings,
        first: ClipSpec,
        engine: EngineSettings,
        clock: Clock,
        anchor: AnchorSettings | None = None,
    ) -> None:
        card, clip = device.detector.card, device.detector.clip
        if clip.cadence_hz > first.cadence_hz * (1 + 1e-6):
            rule = (
                f"must want at most the {first.cadence_hz:g} frames a second of the first "
                f"detector; it wants {clip.cadence_hz:g}"
            )
            raise SettingInvalid("second_look.detector", card.name, rule)
        self.scoring = ScoringModel(card, device.detector.calibration.fitted)
        self._device = device
        self._settings = settings
        self._clock = clock
        self._framer = framer(clip, anchor)
        self._clip = clip
        self._gap = engine.gap_slots(clip)
        self._least = settings.frames or max(engine.warmup_frames(clip), 1)
        self._costs = FrameCosts()
        self._account = ComputeAccount(settings.share, clock.monotonic())
        self._scheduler = LookScheduler(settings)
        self._bursts: dict[TrackKey, Burst] = {}
        self._newest: dict[TrackKey, SecondLook] = {}
        self._outcomes: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))
        self._away_until = -1.0
        self._plans = 0
        self._stats = self._snapshot(clock.monotonic())

    @property
    def device(self) -> Device:
        """The heavier detector's device."""
        return self._device

    @property
    def stats(self) -> SecondLookStats:
        """What was done until the end of the latest batch; safe from any thread."""
        return self._stats

    def warm_up(self) -> None:
        """Measure what a frame costs, and how many it takes before there is a number.

        So the first look is paid for like every other.
        """
        blank = np.zeros((self._clip.size_px, self._clip.size_px, 3), np.uint8)
        shown, answered = 0, 0
        while shown < _WARM_UP_FRAMES or (not answered and shown < self._clip.frames):
            push = Push(_WARM_UP, blank, fresh=shown == 0)
            begin = self._clock.monotonic()
            (ratings,) = self._run([Plan(0, "", pushes=(push,), rates=(Rate(_WARM_UP),))])
            if shown:  # the first call also prepares the network
                self._costs.note(self._clock.monotonic() - begin)
            shown += 1
            if not answered and ratings.logits:
                answered = shown
        self._least = max(self._least, answered)
        self._run([Plan(0, "", forgets=(Forget(_WARM_UP),))])
        now = self._clock.monotonic()
        self._account = ComputeAccount(self._settings.share, now)
        self._account.allow(self._price)
        self._stats = self._snapshot(now)

    @property
    def look_s(self) -> float:
        """Seconds that a whole look is expected to cost."""
        return self._price

    @property
    def least_pause_s(self) -> float:
        """Seconds from one look to the next that the share allows in the long run."""
        return self._price / self._settings.share

    def take(
        self, seen: Iterable[Seen], events: Sequence[Event], first: str, *, relieved: bool
    ) -> list[Event]:
        """Take note of a batch, look where it is due, and return its events with what is known.

        Args:
            seen: its frames, as the first detector saw them, each stream's in their order.
            events: what came of it.
            first: name of the first detector.
            relieved: the analyzer leaves work out.
        """
        now = self._clock.monotonic()
        self._account.earn(now)
        told: list[Event] = []
        for event in events:
            match event:
                case Score():
                    key = TrackKey(event.stream, event.track)
                    if event.detector == first:
                        usable = set(event.reasons) <= {AbstainReason.UNDECIDED}
                        self._scheduler.note(key, event.score, now, usable=usable)
                    told.append(self._beside(event, key))
                case TrackEnded():
                    self._forget(TrackKey(event.stream, event.track))
                    told.append(event)
                case _:
                    told.append(event)
        try:
            self._look(seen, now)
        except Exception:
            self._leave_alone(now)
            self._abandon(Outcome.FAILED)
        self._begin(now, relieved=relieved)
        self._stats = self._snapshot(self._clock.monotonic())
        return told

    def close(self, stream: str) -> None:
        """Forget a stream."""
        for key in [key for key in (*self._bursts, *self._newest) if key.stream == stream]:
            self._forget(key)
        self._scheduler.close(stream)

    # --- what is known -------------------------------------------------------------------------

    def _beside(self, score: Score, key: TrackKey) -> Score:
        """Return a score with the newest second look at its face, as it stands to this score."""
        known = self._newest.get(key)
        if known is None:
            return score
        return replace(score, second_look=self._judged(known, score.score))

    def _judged(self, look: SecondLook, score: float) -> SecondLook:
        if look.status is TrainingStatus.UNTRAINED:
            return look
        return replace(look, agrees=agreement(score, look.score, self._settings.when))

    def _forget(self, key: TrackKey) -> None:
        if key in self._bursts:
            self._finish(self._bursts[key], Outcome.INTERRUPTED)
        self._newest.pop(key, None)
        self._scheduler.forget(key)

    # --- looking -------------------------------------------------------------------------------

    def _look(self, seen: Iterable[Seen], now: float) -> None:
        """Show the looks that go on their next frames."""
        for frame, view in seen:
            faces = {face.track: face for face in view.faces}
            for burst in [b for b in self._bursts.values() if b.key.stream == frame.stream]:
                if frame.capture.contaminated:
                    continue
                face = faces.get(burst.key.track)
                if face is not None:
                    self._show(burst, frame, face)
        for burst in list(self._bursts.values()):
            if now - burst.began > STALE_S + 2 * burst.most * self._clip.step_s:
                self._finish(burst, Outcome.INTERRUPTED)

    def _show(self, burst: Burst, frame: Frame, face: AlignedFace) -> None:
        """Show a look one frame, if it wants it and can pay for it."""
        missing = burst.missing(frame.at)
        if missing is None:
            return
        if missing >= self._gap:
            self._finish(burst, Outcome.INTERRUPTED)
            return
        if not self._account.affords(self._costs.expected):
            self._finish(burst, Outcome.OVERDRAWN)
            return
        begin = self._clock.monotonic()
        tracked = TrackedFace(face.track, face.face)
        cut = self._framer.align(frame.image, tracked, frame.at, burst.anchoring)
        if cut is None:
            return
        crop, burst.anchoring = cut
        push = Push(burst.key, crop.image, crop.reanchored, missing, fresh=burst.pushed == 0)
        burst.take(frame.at)
        rates = (Rate(burst.key),) if burst.ripe else ()
        try:
            (ratings,) = self._run([self._plan(burst.key, (push,), rates)])
        finally:
            self._pay(self._clock.monotonic() - begin, burst)
        logit = ratings.logits.get(burst.key)
        if logit is not None:
            self._conclude(burst, logit)
        elif burst.pushed >= burst.most:
            self._finish(burst, Outcome.UNRATED)

    def _pay(self, seconds: float, burst: Burst) -> None:
        self._account.spend(seconds)
        part = min(self._costs.expected, burst.price)
        self._account.release(part)
        burst.price -= part
        self._costs.note(seconds)

    def _conclude(self, burst: Burst, logit: float) -> None:
        model = self.scoring.model
        score = self._device.detector.calibration.probability(logit)
        look = SecondLook(model.name, score, burst.at, None, model.status)
        self._newest[burst.key] = look
        first = self._scheduler.score(burst.key)
        judged = look if first is None else self._judged(look, first)
        if model.status is TrainingStatus.UNTRAINED:
            outcome = Outcome.UNTRAINED
        elif judged.agrees is None:
            outcome = Outcome.UNSURE
        else:
            outcome = Outcome.AGREES if judged.agrees else Outcome.DISAGREES
        self._finish(burst, outcome)

    def _finish(self, burst: Burst, outcome: Outcome) -> None:
        """End a look: its slot is free, and what it has not used is given back."""
        del self._bursts[burst.key]
        self._account.release(burst.price)
        self._outcomes[outcome] += 1
        if not burst.pushed:
            return
        try:
            self._run([Plan(0, burst.key.stream, forgets=(Forget(burst.key),))])
        except Exception:
            self._leave_alone(self._clock.monotonic())

    def _leave_alone(self, now: float) -> None:
        """Begin no look for a while, because the detector has just failed."""
        _log.exception("the second look's detector failed; it is left alone for %g s", AWAY_S)
        self._away_until = now + AWAY_S

    def _abandon(self, outcome: Outcome) -> None:
        """End every look after a fault; their slots begin anew at the next push anyway."""
        for burst in self._bursts.values():
            self._account.release(burst.price)
            self._outcomes[outcome] += 1
        self._bursts.clear()

    # --- beginning -----------------------------------------------------------------------------

    @property
    def _price(self) -> float:
        return self._costs.expected * self._least

    def _begin(self, now: float, *, relieved: bool) -> None:
        """Begin the looks whose turn it is, as far as there is room and time for them."""
        price = self._price
        self._account.allow(price)
        while (key := self._scheduler.next(self._bursts)) is not None:
            why = self._refusal(price, now, relieved=relieved)
            if why is not None:
                self._scheduler.refuse(why, self._bursts)
                return
            self._scheduler.grant(key, now)
            self._bursts[key] = Burst(key, self._clip, self._least, price, now)

    def _refusal(self, price: float, now: float, *, relieved: bool) -> Refusal | None:
        if now < self._away_until:
            return Refusal.FAILED
        if relieved:
            return Refusal.OVERLOADED
        if len(self._bursts) >= self._settings.at_once:
            return Refusal.BUSY
        return None if self._account.reserve(price) else Refusal.SHARE

    # --- inside --------------------------------------------------------------------------------

    def _plan(self, key: TrackKey, pushes: tuple[Push, ...], rates: tuple[Rate, ...]) -> Plan:
        self._plans += 1
        return Plan(self._plans, key.stream, (), pushes, rates)

    def _run(self, plans: Sequence[Plan]) -> tuple[Ratings, ...]:
        return self._device.run(plans)

    def _snapshot(self, now: float) -> SecondLookStats:
        return SecondLookStats(
            dict(self._outcomes),
            dict(self._scheduler.refused),
            len(self._bursts),
            self._account.spent,
            self._account.used(now),
            self._costs.expected,
        )
