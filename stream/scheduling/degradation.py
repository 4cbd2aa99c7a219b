"""Degradation under overload: the work that is left out, level by level, and when. Pure.

Theory of operation. Each level leaves out more than the one below: detect new faces less often;
rate each face less often; analyze streams of low priority only in windows; refuse new streams.
What is never left out is frames inside a window: a detector that learned from
12.5 frames a second is shown 12.5 frames a second, or nothing.

The level rises when the device thread is busy nearly all the time, or when frames had to give way,
for `climb_s`. It falls by one after `rest_s` of calm. Should the load come back soon after, falling
was wrong, and the next rest is twice as long: so a load between two levels changes the level ever
more rarely instead of to and fro.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stream.errors import SettingInvalid
from stream.events import DegradationLevel


@dataclass(frozen=True, slots=True)
class OverloadSettings:
    """When work is left out, and how much of it.

    Attributes:
        enabled: whether work is left out at all; without it, only frames give way.
        busy: share of time that the device thread computes, from which there is too much to do.
        calm: share below which there is room again.
        max_dropped: share of sampled frames that gave way, beyond which there is too much to do.
        climb_s: seconds for which there must be too much to do, before the level rises.
        rest_s: seconds of calm before the level falls by one.
        max_rest_s: longest that `rest_s` grows to when the load keeps coming back.
        relapse_s: rising again within this time doubles the rest.
        detect_factor: how many times as rare detection in the whole picture becomes.
        hop_factor: how many times as long it is from one rating of a face to the next.
        window_s: how long a stream of low priority is analyzed in one go.
        pause_s: how long it then is not.
        retry_after_s: when somebody whose stream is refused may ask again.
    """

    enabled: bool = True
    busy: Annotated[float, Field(le=1, allow_inf_nan=False)] = 0.9
    calm: Annotated[float, Field(le=1, allow_inf_nan=False)] = 0.6
    max_dropped: Annotated[float, Field(le=1, allow_inf_nan=False)] = 0.01
    climb_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 2.0
    rest_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 15.0
    max_rest_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 240.0
    relapse_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 30.0
    detect_factor: Annotated[int, Field(le=1000)] = 4
    hop_factor: Annotated[int, Field(le=1000)] = 2
    window_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 8.0
    pause_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 16.0
    retry_after_s: Annotated[float, Field(le=86400, allow_inf_nan=False)] = 30.0

    def __post_init__(self) -> None:
        for key in ("climb_s", "rest_s", "relapse_s", "window_s", "pause_s", "retry_after_s"):
            if not getattr(self, key) > 0:
                raise SettingInvalid(key, getattr(self, key), "must be more than 0 seconds")
        for key in ("detect_factor", "hop_factor"):
            if getattr(self, key) < 1:
                raise SettingInvalid(key, getattr(self, key), "must be at least 1")
        if not 0 < self.busy <= 1:
            raise SettingInvalid("busy", self.busy, "must be more than 0 and at most 1")
        if not 0 < self.calm < self.busy:
            raise SettingInvalid("calm", self.calm, f"must lie between 0 and busy ({self.busy})")
        if not 0 <= self.max_dropped < 1:
            raise SettingInvalid("max_dropped", self.max_dropped, "must be 0 or more, below 1")
        if self.max_rest_s < self.rest_s:
            rule = f"must be at least rest_s ({self.rest_s})"
            raise SettingInvalid("max_rest_s", self.max_rest_s, rule)


@dataclass(frozen=True, slots=True)
class Work:
    """What was done so far; counters that only grow.

    Attributes:
        busy_s: seconds that the device thread has computed.
        frames: sampled frames that were offered to it.
        dropped: of those, how many gave way.
    """

    busy_s: float = 0.0
    frames: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Relief:
    """The work that a level leaves out, as whoever does the work is told.

    Attributes:
        detect_factor: how many times as rare detection in the whole picture is.
        hop_factor: how many times as long it is between two ratings of a face.
    """

    detect_factor: int = 1
    hop_factor: int = 1


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    work: Work


class Degradation:
    """Chooses the degradation level from how busy the device is.

    Args:
        settings: when, and how much.

    Attributes:
        level: the current one.
        climbs: how often the level rose; only grows.
        descents: how often it fell; only grows.
        busy: share of the last `climb_s` or so that the device thread computed.
        dropped: share of frames that gave way in that time.
    """

    def __init__(self, settings: OverloadSettings | None = None) -> None:
        self.settings = settings or OverloadSettings()
        self.level = DegradationLevel.NONE
        self.climbs = 0
        self.descents = 0
        self.busy = 0.0
        self.dropped = 0.0
        self._samples: deque[_Sample] = deque()
        self._calm_since: float | None = None
        self._left_at: float | None = None
        self._rest_s = self.settings.rest_s

    @property
    def relief(self) -> Relief:
        """What the device thread leaves out now."""
        limits = self.settings
        return Relief(
            limits.detect_factor if self.level >= DegradationLevel.DETECT_LESS else 1,
            limits.hop_factor if self.level >= DegradationLevel.LONGER_HOP else 1,
        )

    @property
    def refuses(self) -> bool:
        """Whether new streams are refused now."""
        return self.level >= DegradationLevel.REFUSE_STREAMS

    def looks(self, now: float, phase: float) -> bool:
        """Say whether a stream of low priority is analyzed now.

        Args:
            now: monotonic seconds.
            phase: 0..1, another one for each stream, so that they take turns.
        """
        if self.level < DegradationLevel.SAMPLED_WINDOWS:
            return True
        limits = self.settings
        round_s = limits.window_s + limits.pause_s
        return (now + phase * round_s) % round_s < limits.window_s

    def observe(self, now: float, work: Work) -> bool:
        """Take in how much was done, and return whether the level has changed.

        How busy the device is is known, too, where nothing is ever left out.

        Args:
            now: monotonic seconds, never less than before.
            work: everything done so far.
        """
        self._samples.append(_Sample(now, work))
        while len(self._samples) > 2 and now - self._samples[1].at >= self.settings.climb_s:
            self._samples.popleft()
        oldest = self._samples[0]
        seconds = now - oldest.at
        if seconds < self.settings.climb_s:
            return False  # too little is known since the last change
        self.busy = (work.busy_s - oldest.work.busy_s) / seconds
        frames = work.frames - oldest.work.frames
        self.dropped = (work.dropped - oldest.work.dropped) / frames if frames > 0 else 0.0
        return self.settings.enabled and self._judge(now)

    def _judge(self, now: float) -> bool:
        limits = self.settings
        pressed = self.busy >= limits.busy or self.dropped > limits.max_dropped
        if pressed:
            self._calm_since = None
            return self._climb(now)
        if self.busy > limits.calm:
            self._calm_since = None
            return False
        if self._calm_since is None:
            self._calm_since = now
        return self.level > DegradationLevel.NONE and self._descend(now)

    def _climb(self, now: float) -> bool:
        if self.level is max(DegradationLevel):
            return False
        if self._left_at is not None and now - self._left_at <= self.settings.relapse_s:
            self._rest_s = min(2 * self._rest_s, self.settings.max_rest_s)
        self._left_at = None
        self.climbs += 1
        self._enter(DegradationLevel(self.level + 1))
        return True

    def _descend(self, now: float) -> bool:
        assert self._calm_since is not None
        if now - self._calm_since < self._rest_s:
            return False
        if self._left_at is not None and now - self._left_at > self.settings.relapse_s:
            self._rest_s = self.settings.rest_s  # the last descent was right
        self._left_at = now
        self.descents += 1
        self._enter(DegradationLevel(self.level - 1))
        return True

    def _enter(self, level: DegradationLevel) -> None:
        self.level = level
        self._samples.clear()
        self._calm_since = None
