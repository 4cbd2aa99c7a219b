"""Second look: what a heavier detector changes, and what it costs, at equal compute.

    python -m benchmarks.second_look FIRST SECOND --second SECONDS [--denser DIR] [--hours H]

FIRST and SECOND are folders of `styleflow evaluate` runs of two detectors on the same clips; of
SECOND only the clips' scores are used. DENSER is FIRST once more, with `engine.look_every_s` and
`look_settled_every_s` at their least: what the first detector makes of more compute by itself.

Two questions. How well are clips told apart: AUC of the first score, of the second, and of the mean
of their logits where a clip is shown to the second (always, or only when the first leans). And how
often does a stream of real faces alarm: one face follows another, each of one source drawn by
chance, its ratings repeated for as long as it stays. Evidence, verdicts, schedule and account of
second looks, and incidents with their severity are the product's own; only pictures are missing, so
an interval knows nothing of the face's sharpness. Fakes come into such a stream one at a time.

Costs are those that are given: seconds of the device for a look of the first, and for a whole look
of the second detector.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.engine.plan import TrackKey
from stream.engine.settings import EngineSettings
from stream.engine.verdict import Evidence
from stream.event_log.event_log import StampedEvent
from stream.events import (
    AbstainReason,
    Event,
    Score,
    ScoringModel,
    SecondLook,
    StreamAdded,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.incident import Severity
from stream.incidents.machine import IncidentMachine
from stream.incidents.settings import IncidentSettings
from stream.second_look.account import ComputeAccount
from stream.second_look.scheduler import LookScheduler, agreement, side_of
from stream.second_look.settings import SecondLookSettings
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.data.index import FAKE, REAL
from styleflow.evaluation.metrics import auc, poisson_rate, resample
from styleflow.evaluation.record import PLAIN, ClipRecord, of_condition, read_records
from styleflow.evaluation.trials import Steps, steps_of
from styleflow.faces.face import Box, FaceQuality
from styleflow.weights.checkpoint import shipped

RESULTS = Path(__file__).parent / "results"
HOP_S = 0.24
STEP_S = 0.96  # of a made-up stream: the mean of four ratings
STAYS_S = 60.0
SLOT_S = 0.08
UTC_START = datetime(2026, 1, 1, tzinfo=UTC)
QUALITY = FaceQuality(140.0, 90.0, 120.0, 0.0)
BOX = Box(10.0, 10.0, 150.0, 150.0)
FIRST = ModelCard("first", "", TemporalMode.CAUSAL, TrainingStatus.EXPERIMENTAL, "")
SECOND = ModelCard("second", "", TemporalMode.EXACT, TrainingStatus.EXPERIMENTAL, "")
AS_SHIPPED = IncidentSettings(experimental_alarms=True, max_open=4096)
RULES = {
    **{
        f"{p:g} and more": replace(AS_SHIPPED, high_p=p, high_lo=0.0, medium_lo=0.0)
        for p in (0.7, 0.75, 0.8, 0.85, 0.9)
    },
    "as shipped": AS_SHIPPED,
}
"""When an incident is of severity high: by its score alone, and as it comes."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Ratings of one clip by the first detector, and the second one's score of it."""

    steps: Steps
    second: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of the device for a look of each detector."""

    first: float
    second: float


def sources(
    first: Sequence[ClipRecord], second: Mapping[str, float], label: int
) -> dict[str, list[Clip]]:
    """Return the clips of one label that both detectors have a score of, by source."""
    found: dict[str, list[Clip]] = defaultdict(list)
    for record in first:
        steps = coarse(steps_of(record, HOP_S))
        if record.label == label and steps and record.clip in second:
            found[record.group].append(Clip(steps, second[record.clip]))
    return dict(found)


def coarse(steps: Steps) -> Steps:
    """Return the same ratings, some at a time."""
    made: list[tuple[float, float]] = []
    total = seconds = 0.0
    for logit, span in steps:
        total, seconds = total + logit * span, seconds + span
        if seconds >= STEP_S - 1e-6:
            made.append((total / seconds, STEP_S))
            total = seconds = 0.0
    return tuple(made)


# --- clips --------------------------------------------------------------------------------------


def clip_figures(
    first: Sequence[ClipRecord],
    second: Mapping[str, float],
    denser: Mapping[str, float],
    when: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return the AUC of every way to score a clip; all have a score of every clip."""
    labels = np.array([r.label for r in first])
    groups = [r.group for r in first]
    one = np.array([logit(r.score or 0.5) for r in first])
    two = np.array([logit(second[r.clip]) for r in first])
    leans = np.array([side_of(r.score or 0.5, when) != 0 for r in first])
    ways = {
        "first alone": one,
        "second alone": two,
        "both, when the first leans": np.where(leans, (one + two) / 2, one),
        "both, always": (one + two) / 2,
        "first alone, denser looks": np.array([logit(denser[r.clip]) for r in first]),
    }

    def measure(scores: np.ndarray) -> dict[str, float]:
        found = resample(lambda rows: auc(labels[rows], scores[rows]), groups, rng)
        gain = resample(
            lambda rows: auc(labels[rows], scores[rows]) - auc(labels[rows], one[rows]),
            groups,
            rng,
        )
        names = ("value", "low", "high")
        return {
            **dict(zip(names, (found.value, found.low, found.high), strict=True)),
            "gain": gain.value,
            "gain_low": gain.low,
            "gain_high": gain.high,
        }

    return {
        "clips": len(first),
        "real": int((labels == REAL).sum()),
        "leaning": float(leans.mean()),
        "agrees": float(np.mean(np.sign(one[leans]) == np.sign(two[leans]))),
        "correlation": float(np.corrcoef(one, two)[0, 1]),
        "auc": {name: measure(scores) for name, scores in ways.items()},
    }


def logit(p: float) -> float:
    """Return the logit of a probability, bounded."""
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))


# --- streams ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Face:
    """A face that is in view: who it is, and what the first detector says of it."""

    clip: Clip
    track: int
    ends: float
    evidence: Evidence
    began: float
    step: int = 0
    shown: Verdict = Verdict.PENDING


class World:
    """Streams that share one device, watched in one way, and judged by every rule.

    Args:
        settings: of second looks; none without.
        costs: of looks.
        streams: how many there are.
        dense: the first detector looks as often as it can.
    """

    def __init__(
        self,
        settings: SecondLookSettings | None,
        costs: Costs,
        streams: int,
        *,
        dense: bool = False,
    ) -> None:
        self.machines = {rule: IncidentMachine(made) for rule, made in RULES.items()}
        self.first_s = 0.0
        self.outcomes: Counter[str] = Counter()
        self._settings = settings
        self._costs = costs
        self._dense = dense
        self._engine = EngineSettings()
        self._calibration = shipped().calibration
        self._now = 0.0
        self._ids = 0
        self._tracks = 0
        self._faces: dict[str, Face] = {}
        self._seen: dict[TrackKey, SecondLook] = {}
        self._scheduler = LookScheduler(settings) if settings else None
        self._account = ComputeAccount(settings.share if settings else 0.5, 0.0)
        self._account.allow(costs.second)
        second = ScoringModel(SECOND, calibrated=True) if settings else None
        for number in range(streams):
            models = (ScoringModel(FIRST, calibrated=True),)
            self._tell(StreamAdded(f"s{number}", 0, "", models, second_look=second))

    @property
    def second_s(self) -> float:
        """Seconds of the device that second looks took."""
        return self._account.spent

    def show(self, stream: str, clip: Clip, stays_s: float) -> None:
        """Bring a face into view."""
        self._tracks += 1
        evidence = Evidence(self._calibration, 32, SLOT_S)
        ends = self._now + stays_s
        self._faces[stream] = Face(clip, self._tracks, ends, evidence, self._now)
        self._tell(TrackStarted(stream, 0, self._tracks, self._now))

    def free(self) -> list[str]:
        """Return the streams whose face has gone, once it has."""
        gone = [s for s, face in self._faces.items() if face.ends <= self._now]
        for stream in gone:
            face = self._faces.pop(stream)
            self._tell(TrackEnded(stream, 0, face.track, self._now, TrackEnd.LOST))
            if self._scheduler is not None:
                self._scheduler.forget(TrackKey(stream, face.track))
        return gone

    def step(self) -> None:
        """Let one step pass for every face."""
        self._now += STEP_S
        self._account.earn(self._now)
        for machine in self.machines.values():
            machine.tick(self._now)
        for stream, face in self._faces.items():
            self._rate(stream, face)
        if self._scheduler is not None:
            self._look(self._scheduler)

    def _rate(self, stream: str, face: Face) -> None:
        value, span = face.clip.steps[face.step % len(face.clip.steps)]
        face.step += 1
        self.first_s += self._costs.first * self._looks(face)
        slot, frames = round(self._now / SLOT_S), round(span / SLOT_S)
        face.evidence.rate(value, slot, frames, (), self._engine)
        estimate = face.evidence.estimate(value, frames)
        key = TrackKey(stream, face.track)
        if self._scheduler is not None:
            self._scheduler.note(key, estimate.score, self._now)
        known = self._seen.get(key)
        if known is not None and self._settings is not None:
            agrees = agreement(estimate.score, known.score, self._settings.when)
            known = replace(known, agrees=agrees)
        undecided = (AbstainReason.UNDECIDED,) if face.evidence.undecided else ()
        before, face.shown = face.shown, face.evidence.shown
        self._tell(
            Score(
                stream=stream,
                epoch=0,
                track=face.track,
                start=self._now - STEP_S,
                end=self._now,
                frames=frames,
                missing=0,
                logit=value,
                probability=estimate.score,
                score=estimate.score,
                low=estimate.low,
                high=estimate.high,
                verdict=face.shown,
                reasons=undecided,
                quality=QUALITY,
                box=BOX,
                arrived=self._now,
                detector=FIRST.name,
                second_look=known,
            )
        )
        if face.shown is not before:
            self._tell(
                VerdictChanged(
                    *(stream, 0, face.track, self._now, before, face.shown),
                    *(estimate.score, FIRST.name),
                )
            )

    def _looks(self, face: Face) -> float:
        """Return how many looks of the first detector this step takes, by its schedule."""
        engine = self._engine
        if self._dense or self._now - face.began <= engine.look_early_s:
            return STEP_S / engine.look_early_every_s
        settled = face.shown is not Verdict.PENDING
        return STEP_S / (engine.look_settled_every_s if settled else engine.look_every_s)

    def _look(self, scheduler: LookScheduler) -> None:
        for _ in range(2):
            key = scheduler.next()
            if key is None or not self._account.reserve(self._costs.second):
                return
            first = scheduler.score(key)
            scheduler.grant(key, self._now)
            self._account.spend(self._costs.second)
            self._account.release(self._costs.second)
            score = self._faces[key.stream].clip.second
            self._seen[key] = SecondLook(
                SECOND.name, score, self._now, None, TrainingStatus.EXPERIMENTAL
            )
            when = self._settings.when if self._settings is not None else 0.0
            agrees = agreement(first or 0.5, score, when)
            self.outcomes[{True: "agrees", False: "disagrees", None: "unsure"}[agrees]] += 1

    def _tell(self, event: Event) -> None:
        self._ids += 1
        stamped = StampedEvent(self._ids, self._now, UTC_START, event)
        for machine in self.machines.values():
            machine.take(stamped)

    def reached(self, rule: str) -> Counter[Severity]:
        """Return how many incidents have reached each severity by a rule."""
        return self.machines[rule].reached


def ways(settings: SecondLookSettings, costs: Costs) -> dict[str, Way]:
    """Return the ways to watch: second looks' settings, and whether the first looks densely.

    The last one spends on second looks about what denser looks cost.
    """
    every_s = max(costs.second / (2.5 * costs.first) * STEP_S, STEP_S)
    often = replace(settings, every_s=every_s, share=0.9)
    return {
        "first alone": (None, False),
        "first alone, denser looks": (None, True),
        "second look": (settings, False),
        "second look, as dear as denser looks": (often, False),
    }


Way = tuple[SecondLookSettings | None, bool]


def watch_reals(
    world: World,
    reals: Mapping[str, list[Clip]],
    hours: float,
    streams: int,
    face_s: float,
    seed: int,
) -> dict[str, Any]:
    """Return how often real faces alarm, and what watching them costs."""
    rng = np.random.default_rng(seed)
    clips = list(reals.values())

    def draw() -> tuple[Clip, float]:
        source = clips[int(rng.integers(len(clips)))]
        clip = source[int(rng.integers(len(source)))]
        return clip, max(float(rng.exponential(face_s)), len(clip.steps) * STEP_S)

    for number in range(streams):
        world.show(f"s{number}", *draw())
    for _ in range(round(hours * 3600 / STEP_S / streams)):
        world.step()
        for stream in world.free():
            world.show(stream, *draw())
    face_seconds = hours * 3600
    return {
        "hours": hours,
        "high": {rule: rate(world.reached(rule)[Severity.HIGH], hours) for rule in RULES},
        "incidents": rate(world.reached("as shipped")[Severity.LOW], hours),
        "first_ms_per_face_s": 1000 * world.first_s / face_seconds,
        "second_ms_per_face_s": 1000 * world.second_s / face_seconds,
        "second_share": world.second_s / (face_seconds / streams),
        "outcomes": dict(world.outcomes),
    }


def rate(count: int, hours: float) -> tuple[float, float, float]:
    """Return a count per hour with its exact Poisson interval."""
    found = poisson_rate(count, hours)
    return found.value, found.low, found.high


def become_high(
    made: Callable[[int], World], faces: Mapping[str, list[Clip]]
) -> dict[str, tuple[int, int]]:
    """Return how many clips become an incident of severity high within a minute, by every rule.

    Args:
        made: makes a world of so many streams in which nothing has happened.
        faces: by source; each clip is one face, alone.

    Returns:
        By rule, how many of how many.
    """
    high: Counter[str] = Counter()
    clips = [clip for source in faces.values() for clip in source]
    for clip in clips:
        world = made(1)
        for _ in range(round(60 / STEP_S)):
            world.step()  # a minute without a face earns what a look may cost
        world.show("s0", clip, STAYS_S)
        for _ in range(round(STAYS_S / STEP_S)):
            world.step()
        for rule in RULES:
            high[rule] += world.reached(rule)[Severity.HIGH] > 0
    return {rule: (high[rule], len(clips)) for rule in RULES}


def draw(clips: Mapping[str, Any], streams: Mapping[str, Any], path: Path) -> None:
    """Draw AUC of every way to score, and false incidents against what is found, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, one in enumerate(clips["auc"].values()):
        left.plot((one["low"], one["high"]), (place, place), color="#2a86c4")
        left.plot(one["value"], place, "o", color="#2a86c4")
    left.set_yticks(range(len(clips["auc"])), list(clips["auc"]))
    left.invert_yaxis()
    left.axvline(0.5, color="#999999", linestyle="--")
    left.set(xlabel=f"AUC of {clips['clips']} clips")
    styles = (("#999999", 1.5), ("#7d8f2f", 1.5), ("#2a86c4", 5.0), ("#d9603b", 1.5))
    for (way, one), (colour, wide) in zip(streams.items(), styles, strict=True):
        points = [
            (one["reals"][rule][0] / one["reals"][rule][1], found / of)
            for rule, (found, of) in one["fakes"].items()
        ]
        across, up = zip(*points, strict=True)
        right.plot(across[:-1], up[:-1], "-o", color=colour, label=way, ms=wide + 2, lw=wide)
        right.plot(across[-1], up[-1], "s", color=colour, markersize=7, fillstyle="none")
    right.set(xlabel="real clips that become high", ylabel="fakes that become high")
    right.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.05, 0.8))
    right.set_title("limits of the score 0.7 to 0.9; square: as shipped", fontsize=9)
    figure.savefig(path, dpi=110)


def main(
    first: Annotated[Path, typer.Argument(help="`styleflow evaluate` run of the first.")],
    second: Annotated[Path, typer.Argument(help="The same of the heavier detector.")],
    denser: Annotated[Path, typer.Option(help="FIRST with looks as dense as they get.")],
    look: Annotated[float, typer.Option(help="Device seconds of a look of the first.")],
    second_look: Annotated[float, typer.Option(help="Device seconds of a whole second look.")],
    hours: Annotated[float, typer.Option(min=1, help="Of real faces, for every way.")] = 100.0,
    streams: Annotated[int, typer.Option(min=1, help="That share the device.")] = 4,
    face: Annotated[float, typer.Option(min=5, help="Mean seconds that a face stays.")] = 180.0,
    about: Annotated[str, typer.Option(help="What the heavier detector is.")] = "",
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the JSON and the plot.")] = RESULTS,
) -> None:
    """Measure what a second look changes, and what it costs."""
    console, settings, costs = Console(), SecondLookSettings(), Costs(look, second_look)
    subject, ones = read_records(first)
    of_second, twos = read_records(second)
    _, denses = read_records(denser)
    scores = {r.clip: r.score for r in of_condition(twos, PLAIN) if r.score is not None}
    both = [of_condition(records, PLAIN) for records in (ones, denses)]
    common = set.intersection(*({r.clip for r in rs if r.score is not None} for rs in both))
    plain, dense = ([r for r in rs if r.clip in common & scores.keys()] for rs in both)
    dense_scores = {r.clip: r.score for r in dense if r.score is not None}
    rng = np.random.default_rng(seed)
    clips = clip_figures(plain, scores, dense_scores, settings.when, rng)
    console.print(_clip_table(clips))
    found: dict[str, dict[str, Any]] = {}
    for way, (second_looks, densely) in ways(settings, costs).items():
        records = dense if densely else plain
        reals, fakes = (sources(records, scores, label) for label in (REAL, FAKE))
        make = partial(World, second_looks, costs, dense=densely)
        found[way] = {
            "streams": watch_reals(make(streams), reals, hours, streams, face, seed),
            "reals": become_high(make, reals),
            "fakes": become_high(make, fakes),
        }
        console.print(way, found[way])
    document = {
        "benchmark": "second_look",
        "hardware": asdict(hardware()),
        "first": {k: subject.get(k) for k in ("detector", "sha256")},
        "second": {**{k: of_second.get(k) for k in ("detector", "sha256")}, "about": about},
        "costs": asdict(costs),
        "settings": asdict(settings),
        "hours": hours,
        "streams": streams,
        "face_s": face,
        "seed": seed,
        "clips": clips,
        "ways": found,
    }
    write_result(document, out / "second_look.json")
    draw(clips, found, out / "second_look.png")


def _clip_table(clips: Mapping[str, Any]) -> Table:
    table = Table("score of a clip", "AUC", "95 %", "against the first", "95 %")
    for name, one in clips["auc"].items():
        table.add_row(
            name,
            f"{one['value']:.3f}",
            f"{one['low']:.3f} to {one['high']:.3f}",
            f"{one['gain']:+.3f}",
            f"{one['gain_low']:+.3f} to {one['gain_high']:+.3f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
