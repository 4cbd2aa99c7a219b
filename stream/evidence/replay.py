"""Recorded scores against those that the same packets give again.

What a replay can know. A video begins while its stream has long been running, and a score depends
on more than its own moment: on when the face was first seen and how it was framed then, on what the
detector remembers, and on the running mean of earlier ratings. Where the video holds the beginning
of an epoch (a connection, a call, a jump of the clock), nothing came before and every score of that
epoch can be the same to the last bit. Where it does not, the replay meets a face in the middle: the
first `SETTLING_S` are left out, and what follows is the same only about.

Numbers of faces differ as well, so each recorded face is compared with the replayed one that shares
most of its moments, and among equals with the one that differs least.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stream.events import Score
from stream.evidence.bundle import SIDECAR
from stream.evidence.errors import BundleRefused, ReplayImpossible
from stream.evidence.sidecar import Sidecar
from stream.evidence.verify import is_bounded
from stream.store.access import to_us

SETTLING_S = 8.0
"""Seconds of a video that are not compared, where the epoch began before it."""

TOLERANCE = 0.001
"""Of scores whose whole epoch is in the video: on another CPU, runtime or version of a library.

Larger batches count as another runtime: beside three other streams, scores of the built-in detector
differed by up to 2e-8 on a CPU, and by nothing beside one.
"""

MIDDLE_TOLERANCE = 0.1
"""Of scores in a video that begins in the middle of an epoch, after `SETTLING_S`.

Measured with the built-in detector: a recording of 38 s of one face, cut at 3, 5, 8, 11 and 14 s,
gave logits that differed by 0.37 at most in the first seconds, and by 0.16 at most after 8 s; of a
score, where it is steepest, that is a quarter times the calibration's scale.
"""

NEAR_S = 0.3
"""How far apart two scores may be to be compared there: every face is rated at its own moments."""

_SAME_S = 0.002  # a moment was stored in whole microseconds, of a clock that others may set
_MAX_SCORES = 200_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """A score as the bundle has it.

    Attributes:
        arrived: monotonic seconds of its newest packet.
        epoch: of the stream.
        track: number of the face then.
        detector: whose it is.
        score: 0..1.
        logit: the detector's own number, before calibration and smoothing.
    """

    arrived: float
    epoch: int
    track: int
    detector: str
    score: float
    logit: float


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """A model that recorded scores come from.

    Attributes:
        name: of the detector.
        version: of its weights.
        sha256: digest of its weights.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What of a bundle is scored again.

    Attributes:
        media: the video.
        sidecar: its packets, and which pictures were looked at.
        scores: as recorded, in the video's time.
        models: whose they are.
        configuration: of whoever exported the bundle.
        versions: of what ran there, by name.
    """

    media: bytes
    sidecar: Sidecar
    scores: tuple[Recorded, ...]
    models: tuple[RecordedModel, ...]
    configuration: Mapping[str, Any]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """A recorded score, and what the packets gave again.

    Attributes:
        recorded: as the bundle has it.
        replayed: None where the replay has no score at that moment.
        whole: the video holds the beginning of its epoch.
        settled: it is compared: `whole`, or late enough in the video.
    """

    recorded: Recorded
    replayed: Score | None
    whole: bool
    settled: bool

    @property
    def deviation(self) -> float:
        """Distance of the scores; 1 where the replay has none."""
        return 1.0 if self.replayed is None else abs(self.replayed.score - self.recorded.score)

    @property
    def logit_deviation(self) -> float:
        """Distance of the logits; 0 where the replay has none."""
        return 0.0 if self.replayed is None else abs(self.replayed.logit - self.recorded.logit)

    @property
    def allowed(self) -> float:
        """Largest distance that is no contradiction."""
        return TOLERANCE if self.whole else MIDDLE_TOLERANCE


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a replay found.

    Attributes:
        pairs: every recorded score, in order.
        begin: monotonic seconds at which the video begins.
    """

    pairs: tuple[Pair, ...]
    begin: float

    @property
    def compared(self) -> tuple[Pair, ...]:
        """The scores that say something."""
        return tuple(pair for pair in self.pairs if pair.settled)

    @property
    def largest(self) -> float | None:
        """The largest deviation; None when nothing could be compared."""
        return max((pair.deviation for pair in self.compared), default=None)

    @property
    def largest_logit(self) -> float:
        """The largest deviation of a logit."""
        return max((pair.logit_deviation for pair in self.compared), default=0.0)

    @property
    def equal(self) -> bool:
        """Whether every compared score and logit is the same to the last bit."""
        return self.largest == 0.0 == self.largest_logit

    @property
    def within(self) -> bool:
        """Whether every compared score is as near as it should be."""
        return all(pair.deviation <= pair.allowed for pair in self.compared)


def recording(parts: Mapping[str, bytes]) -> Recording:
    """Return what of a bundle's intact parts can be scored again.

    Raises:
        ReplayImpossible: it has no video, no scores, or no notes of the frames.
        BundleRefused: a part is not what it should be.
    """
    if SIDECAR not in parts:
        raise ReplayImpossible("it has no video", "export a bundle of an incident with a video")
    try:
        sidecar = Sidecar.of_json(parts[SIDECAR])
        if not is_bounded(sidecar):
            raise ValueError("more packets than there can be")
        media = parts[sidecar.media]
        models = _models(json.loads(parts["model.json"]))
        scores = tuple(_scores(json.loads(parts["scores.json"]), models, sidecar))
        configuration = dict(json.loads(parts["configuration.json"]))
        versions = {str(k): str(v) for k, v in json.loads(parts["versions.json"]).items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as why:
        raise BundleRefused(f"it cannot be replayed: a part cannot be read ({why})") from None
    if not sidecar.frames:
        needs = "video that a version with notes of the frames has kept"
        raise ReplayImpossible("it does not say which frames were looked at", needs)
    if not scores:
        needs = "a bundle that is exported within store.full_rate_hours"
        raise ReplayImpossible("it has no scores in the time of its video", needs)
    names = {score.detector for score in scores}
    used = tuple(model for model in models.values() if model.name in names)
    return Recording(media, sidecar, scores, used, configuration, versions)


def compare(recorded: Recording, replayed: Iterable[Score]) -> Comparison:
    """Return every recorded score with what the packets gave again."""
    frames = recorded.sidecar.frames
    begin = recorded.sidecar.packets[0].arrived
    whole = {note.epoch for note in frames if note.begins}
    again: dict[tuple[str, int, int], list[Score]] = defaultdict(list)
    for score in replayed:
        again[score.detector, score.epoch, score.track].append(score)
    faces: dict[tuple[str, int, int], list[Recorded]] = defaultdict(list)
    for each in recorded.scores:
        faces[each.detector, each.epoch, each.track].append(each)
    found: dict[Recorded, Score | None] = {}
    for (detector, epoch), tracks in _groups(faces).items():
        rivals = [
            own for (name, number, _), own in again.items() if (name, number) == (detector, epoch)
        ]
        found |= _matched(tracks, rivals, _SAME_S if epoch in whole else NEAR_S)
    pairs = tuple(
        Pair(
            each,
            found[each],
            whole=each.epoch in whole,
            settled=each.epoch in whole or each.arrived - begin >= SETTLING_S,
        )
        for each in recorded.scores
    )
    return Comparison(pairs, begin)


def _groups(
    faces: Mapping[tuple[str, int, int], list[Recorded]],
) -> Mapping[tuple[str, int], list[list[Recorded]]]:
    groups: dict[tuple[str, int], list[list[Recorded]]] = defaultdict(list)
    for (detector, epoch, _), own in faces.items():
        groups[detector, epoch].append(own)
    return groups


def _matched(
    tracks: Sequence[Sequence[Recorded]], rivals: Sequence[Sequence[Score]], apart_s: float
) -> dict[Recorded, Score | None]:
    """Return the replayed score of each recorded one; each face is compared with one other."""
    shared = [
        (n, m, _at_moments(track, rival, apart_s))
        for n, track in enumerate(tracks)
        for m, rival in enumerate(rivals)
    ]
    shared = [each for each in shared if each[2]]
    shared.sort(
        key=lambda each: (-len(each[2]), sum(abs(s.score - r.score) for r, s in each[2].items()))
    )
    found: dict[Recorded, Score | None] = {each: None for track in tracks for each in track}
    taken: set[int] = set()
    known: set[int] = set()
    for n, m, scores in shared:
        if n not in known and m not in taken:
            known.add(n)
            taken.add(m)
            found |= scores
    return found


def _at_moments(
    track: Sequence[Recorded], rival: Sequence[Score], apart_s: float
) -> dict[Recorded, Score]:
    """Return the scores of a face nearest to the moments of another one, where it has any."""
    arrivals = [score.arrived for score in rival]
    found: dict[Recorded, Score] = {}
    for each in track:
        place = bisect(arrivals, each.arrived)
        near = min(
            rival[max(place - 1, 0) : place + 1],
            key=lambda score: abs(score.arrived - each.arrived),
        )
        if abs(near.arrived - each.arrived) <= apart_s:
            found[each] = near
    return found


def _models(raw: Mapping[str, Any]) -> dict[int, RecordedModel]:
    return {
        int(each["number"]): RecordedModel(
            str(each["name"]), str(each["version"]), str(each["sha256"])
        )
        for each in raw["weights"]
    }


def _scores(
    raw: Mapping[str, Any], models: Mapping[int, RecordedModel], sidecar: Sidecar
) -> Iterable[Recorded]:
    """Yield the scores whose packet is in the video and whose frame was noted."""
    if len(raw["scores"]) > _MAX_SCORES:
        raise ValueError(f"more than {_MAX_SCORES} scores")
    if not sidecar.frames:
        return
    zero = to_us(datetime.fromisoformat(sidecar.utc))
    first, last = sidecar.frames[0].arrived, sidecar.frames[-1].arrived
    for each in raw["scores"]:
        arrived = sidecar.monotonic + (int(each["at"]) - zero) / 1e6
        if each["p"] is None or each["logit"] is None:
            continue
        if not first - _SAME_S <= arrived <= last + _SAME_S:
            continue
        detector = models[int(each["model"])].name
        yield Recorded(
            arrived,
            int(each["epoch"]),
            int(each["track"]),
            detector,
            float(each["p"]),
            float(each["logit"]),
        )
