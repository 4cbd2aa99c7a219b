"""Face tracking from frame to frame. Pure: boxes and appearances in, tracks out.

A track is one face of certain identity. Whenever the identity is uncertain the track ends and
another begins, because a history that passes to another face is worse than a short one:

- a face continues a track only if it is near enough to where the track's face was, of a similar
  size, and looks like it;
- where it is near but looks different, the track ends: another face has taken the place;
- where it looks alike but is too far away, the track ends: a cut or a teleport, not a movement;
- where there is no face at all, the track waits for a second (media time) and then is lost.

Memory is bounded: there are at most `max_tracks`. When they are all taken, a new face takes the
place of the track that has waited longest, and if none waits it is not tracked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from styleflow.faces.appearance import Appearance, distance
from styleflow.faces.face import Box, Face, TrackedFace, TrackEnd
from styleflow.faces.settings import TrackerSettings


@dataclass(frozen=True, slots=True)
class TrackStep:
    """What one frame did to the tracks.

    Attributes:
        tracked: the faces of this frame that belong to a track, in the order of their tracks.
        started: tracks that begin with this frame; they are also in `tracked`.
        ended: tracks that ended with this frame, and why; none of them is in `tracked`.
        ignored: faces that found no place because all tracks are taken.
    """

    tracked: tuple[TrackedFace, ...]
    started: tuple[int, ...]
    ended: tuple[tuple[int, TrackEnd], ...]
    ignored: int = 0


@dataclass(slots=True, eq=False)
class _Track:
    """Place, time and appearance of a face when it was last seen."""

    box: Box
    at: float
    latest: Appearance
    mean: Appearance

    def change(self, appearance: Appearance) -> float:
        """Return how different a face looks from its last sight and from its recent mean.

        The smaller of the two: a turning head leaves the mean behind but never its last sight,
        and a blurred sight is unlike its neighbours but not unlike the mean.
        """
        return min(distance(appearance, self.latest), distance(appearance, self.mean))


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    face: Face
    appearance: Appearance


class FaceTracker:
    """The tracks of one stream.

    Args:
        settings: when a face is still the same face.
        first: id of the first track; ids count up and are never used again.
    """

    def __init__(self, settings: TrackerSettings | None = None, first: int = 1) -> None:
        self.settings = settings or TrackerSettings()
        self._tracks: dict[int, _Track] = {}
        self._next = first
        self._latest = -math.inf  # media time of the latest frame

    def __len__(self) -> int:
        return len(self._tracks)

    def step(
        self,
        at: float,
        faces: Sequence[Face],
        appearances: Sequence[Appearance | None],
        *,
        damaged: bool = False,
    ) -> TrackStep:
        """Take in one frame. The order of the faces makes no difference.

        Args:
            at: media time of the frame in seconds, not before the previous one's.
            faces: the faces in it.
            appearances: one for each face; a face without appearance is left out.
            damaged: the picture may be broken. Faces are still recognised, but nothing is learnt
                from it: no track begins, and none ends because a face looks different.

        Returns:
            The tracks as they are after this frame.
        """
        ended = dict(self._expire(at))
        self._latest = at
        sights = _usable(faces, appearances)
        pairs = self._match(at, sights)
        free = [s for i, s in enumerate(sights) if i not in set(pairs.values())]
        for track, index in pairs.items():
            self._learn(track, at, sights[index], damaged=damaged)
        tracked = {track: sights[index].face for track, index in pairs.items()}
        started: list[int] = []
        ignored = 0
        if not damaged:
            ended |= self._end_uncertain(at, free, seen=pairs.keys())
            for sight in free:
                ended |= self._make_room(at)
                if len(self._tracks) >= self.settings.max_tracks:
                    ignored += 1
                    continue
                track = self._begin(at, sight)
                started.append(track)
                tracked[track] = sight.face
        return TrackStep(
            tuple(TrackedFace(track, tracked[track]) for track in sorted(tracked)),
            tuple(started),
            tuple(sorted(ended.items())),
            ignored,
        )

    def is_uncertain(
        self, at: float, faces: Sequence[Face], appearances: Sequence[Appearance | None]
    ) -> bool:
        """Say whether `step` would part a face from its track; changes nothing.

        So it would when it ends a track because of these faces, and also when a track that was
        seen in the latest frame finds none of them while one of them finds no track.

        Args:
            at: media time of the frame in seconds, not before the previous one's.
            faces: the faces in it.
            appearances: one for each face; a face without appearance is left out.
        """
        sights = _usable(faces, appearances)
        pairs = self._match(at, sights)
        free = [s for i, s in enumerate(sights) if i not in set(pairs.values())]
        lost = any(held.at == self._latest for _, held in self._unseen(at, pairs.keys()))
        return bool(free) and (lost or bool(self._replaced(at, free, seen=pairs.keys())))

    def relieve(
        self, at: float, faces: Sequence[Face], appearances: Sequence[Appearance | None]
    ) -> tuple[tuple[int, TrackEnd], ...]:
        """End the tracks that these faces continue: others are looked at in their place.

        Args:
            at: media time of the frame in seconds, not before the previous one's.
            faces: faces in it that are not followed any more.
            appearances: one for each face; a face without appearance is left out.
        """
        over = sorted(self._match(at, _usable(faces, appearances)))
        for track in over:
            del self._tracks[track]
        return tuple((track, TrackEnd.EVICTED) for track in over)

    def rescale(self, x: float, y: float) -> None:
        """Map every track onto pictures that are `x` times as wide and `y` times as high."""
        for held in self._tracks.values():
            b = held.box
            held.box = Box(b.x0 * x, b.y0 * y, b.x1 * x, b.y1 * y)

    def end(self, reason: TrackEnd) -> tuple[tuple[int, TrackEnd], ...]:
        """End every track; ids go on counting, media time may start anew."""
        ended = tuple((track, reason) for track in sorted(self._tracks))
        self._tracks.clear()
        self._latest = -math.inf
        return ended

    def _expire(self, at: float) -> Iterable[tuple[int, TrackEnd]]:
        lost = [track for track, held in self._tracks.items() if self._is_lost(at, held)]
        for track in lost:
            del self._tracks[track]
        return [(track, TrackEnd.LOST) for track in lost]

    def _is_lost(self, at: float, held: _Track) -> bool:
        # A frame exactly one second later is in time.
        return at - held.at > self.settings.max_unseen_s + 1e-9

    def _unseen(self, at: float, seen: Iterable[int]) -> list[tuple[int, _Track]]:
        """Return the tracks that wait for their face, without those that waited too long."""
        found = set(seen)
        return [
            (track, held)
            for track, held in self._tracks.items()
            if track not in found and not self._is_lost(at, held)
        ]

    def _match(self, at: float, sights: Sequence[_Sight]) -> dict[int, int]:
        """Return which sight continues which track: the best pairs first."""
        costs: list[tuple[float, int, int]] = []
        for track, held in self._unseen(at, seen=()):
            for index, sight in enumerate(sights):
                if not self._near(at, held, sight.face.box):
                    continue
                change = held.change(sight.appearance)
                if change <= self.settings.max_change:
                    apart = _apart(held.box, sight.face.box)
                    costs.append((apart + change / self.settings.max_change, track, index))
        pairs: dict[int, int] = {}
        taken: set[int] = set()
        for _, track, index in sorted(costs):
            if track not in pairs and index not in taken:
                pairs[track] = index
                taken.add(index)
        return pairs

    def _near(self, at: float, held: _Track, box: Box) -> bool:
        s = self.settings
        growth = box.side / max(held.box.side, 1e-6)
        if not 1 / s.max_growth <= growth <= s.max_growth:
            return False
        reach = min(s.max_jump + s.max_speed * max(at - held.at, 0.0), s.max_reach)
        return _apart(held.box, box) <= reach

    def _learn(self, track: int, at: float, sight: _Sight, *, damaged: bool) -> None:
        held = self._tracks[track]
        weight = 1.0 - 0.5 ** (max(at - held.at, 0.0) / self.settings.memory_s)
        held.box, held.at = sight.face.box, at
        if not damaged:
            held.latest = sight.appearance
            held.mean = np.asarray(held.mean + weight * (sight.appearance - held.mean), np.float32)

    def _end_uncertain(
        self, at: float, free: Sequence[_Sight], seen: Iterable[int]
    ) -> dict[int, TrackEnd]:
        """End tracks whose face seems replaced or carried elsewhere by a face nobody claimed."""
        ended = self._replaced(at, free, seen)
        for track in ended:
            del self._tracks[track]
        return ended

    def _replaced(
        self, at: float, free: Sequence[_Sight], seen: Iterable[int]
    ) -> dict[int, TrackEnd]:
        """Return the tracks that a face nobody claimed makes uncertain, and why."""
        ended: dict[int, TrackEnd] = {}
        for track, held in self._unseen(at, seen):
            if any(self._near(at, held, s.face.box) for s in free):
                ended[track] = TrackEnd.APPEARANCE_CHANGED
            elif any(held.change(s.appearance) <= self.settings.max_change for s in free):
                ended[track] = TrackEnd.JUMPED
        return ended

    def _make_room(self, at: float) -> dict[int, TrackEnd]:
        if len(self._tracks) < self.settings.max_tracks:
            return {}
        waiting = [(held.at, track) for track, held in self._tracks.items() if held.at < at]
        if not waiting:
            return {}
        _, track = min(waiting)
        del self._tracks[track]
        return {track: TrackEnd.EVICTED}

    def _begin(self, at: float, sight: _Sight) -> int:
        track = self._next
        self._next += 1
        self._tracks[track] = _Track(sight.face.box, at, sight.appearance, sight.appearance)
        return track


def _usable(faces: Sequence[Face], appearances: Sequence[Appearance | None]) -> list[_Sight]:
    """Return the faces that can be compared, largest first, then by place."""
    sights = [
        _Sight(face, appearance)
        for face, appearance in zip(faces, appearances, strict=True)
        if appearance is not None and _is_finite(face.box) and face.box.area > 0
    ]
    return sorted(sights, key=lambda s: (-s.face.box.area, s.face.box.x0, s.face.box.y0))


def _is_finite(box: Box) -> bool:
    return all(math.isfinite(v) for v in (box.x0, box.y0, box.x1, box.y1))


def _apart(a: Box, b: Box) -> float:
    """Return how far two boxes' centres are apart, in sides of the larger one."""
    (ax, ay), (bx, by) = a.centre, b.centre
    return math.hypot(ax - bx, ay - by) / max(a.side, b.side, 1e-6)
