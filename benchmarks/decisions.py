"""Decisions: false alarms that the budget promises against those that come, and what it finds.

    python -m benchmarks.decisions RESULTS [--splits N] [--hours H] [--buckets-only] [--out DIR]

RESULTS is the folder of a `styleflow evaluate` run. Sources (groups) are split in two again and
again: one half makes the table of known trials, of the other half streams are made up. In a stream
one face follows another, each of one source drawn by chance, its ratings repeated from the start of
its clip for as long as the face stays (exponential, `--face` seconds in the mean). So what one
source has in common stays together, which is what a real person does, too.

Three ways to decide see the same streams: the budget; the fixed threshold on the smoothed score;
and a sequential test that multiplies the evidence of all ratings as if they were independent, as a
warning. Fakes of the other half then come into such a stream, one at a time.

Buckets of quality are tried in the same way, but with all sources but a few in the table
(`BUCKETS_KNOW`): half of them would leave no bucket with enough.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.decision_buckets import gains
from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.engine.budget import AlarmAccount, BudgetDecider
from stream.engine.decider import Smoothed
from stream.engine.settings import EngineSettings
from stream.events import Verdict
from styleflow.data.index import FAKE, REAL
from styleflow.decisions import (
    LEAST_IN_BUCKET,
    Buckets,
    DecisionTable,
    Horizon,
    Quality,
    QualityFigure,
    Trial,
)
from styleflow.errors import DecisionTableUnusable
from styleflow.evaluation.record import PLAIN, ClipRecord, of_condition, read_records
from styleflow.evaluation.trials import Steps, even_edges, first_trial, qualities_of, steps_of

RESULTS = Path(__file__).parent / "results"
HOP_S = 0.24
BUDGETS = {"1 per 1 h": 1.0, "1 per 10 h": 0.1, "1 per 100 h": 0.01}
_STEP_S = 0.96  # of a made-up stream: the mean of four ratings
_FAKE_STAYS_S = 30.0
HALF_LIFE_S = 2.0
BUCKETS_KNOW = 0.95
"""Share of sources that the table knows where buckets are tried: of 41, two buckets of 19 and 20,
and all of them allow the same largest stake, one in twenty."""
BUCKETS_H = {"1 per 1 h": 1.0, "1 per 10 h": 3.0, "1 per 100 h": 12.0}
"""Hours of one stream there, long enough to pay for a trial of the smallest budget."""
SEEN = "all real sources"
UNKNOWN = Quality()
_ENGINE = EngineSettings()


@dataclass(frozen=True, slots=True)
class Source:
    """One group's clips as ratings, and the quality of each."""

    clips: tuple[Steps, ...]
    qualities: tuple[Quality, ...]


Face = tuple[Steps, Quality]
"""A face of a made-up stream: its ratings, and the quality that they share."""


def sources(records: Sequence[ClipRecord], label: int, horizon: Horizon) -> dict[str, Source]:
    """Return the sources of one label that have a comparable trial."""
    found: dict[str, list[Face]] = {}
    for record in records:
        steps = steps_of(record, HOP_S)
        trial = first_trial(steps, horizon, qualities_of(record, HOP_S))
        if record.label == label and trial.comparable:
            found.setdefault(record.group, []).append((_coarse(steps), trial.quality))
    return {
        group: Source(tuple(steps for steps, _ in faces), tuple(quality for _, quality in faces))
        for group, faces in found.items()
    }


def _coarse(steps: Steps) -> Steps:
    """Return the same ratings, some at a time."""
    coarse: list[tuple[float, float]] = []
    total = seconds = 0.0
    for logit, span in steps:
        total, seconds = total + logit * span, seconds + span
        if seconds >= _STEP_S - 1e-6:
            coarse.append((total / seconds, seconds))
            total = seconds = 0.0
    return (*coarse, *([(total / seconds, seconds)] if seconds else []))


class Budget:
    """The decider of the product."""

    def __init__(self, table: DecisionTable, per_hour: float) -> None:
        self._table = table
        self.account = AlarmAccount(per_hour, table.finest)
        self.face()

    def face(self, quality: Quality = UNKNOWN) -> None:
        """Begin with another face."""
        self._decider = BudgetDecider(
            self._table, self.account, miss=0.1, give_up_s=30.0, again_s=300.0
        )
        self._held = Verdict.PENDING
        self._seen = Smoothed(0.5, 0.0, near_chance=False, settings=_ENGINE, quality=quality)

    def rate(self, logit: float, seconds: float) -> bool:
        """Take in a rating; say whether an alarm begins."""
        self.account.earn(seconds)
        before, self._held = self._held, self._decider.rate(logit, seconds, self._seen)
        return self._held is Verdict.SUSPECT and before is not Verdict.SUSPECT


class Threshold:
    """One limit for the smoothed logit, once per face."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.face()

    def face(self, quality: Quality = UNKNOWN) -> None:
        """Begin with another face."""
        del quality
        self._mean = self._mass = self._seen_s = 0.0
        self._alarmed = False

    def rate(self, logit: float, seconds: float) -> bool:
        """Take in a rating; say whether an alarm begins."""
        self._mass = self._mass * 0.5 ** (seconds / HALF_LIFE_S) + seconds
        self._mean += (logit - self._mean) * seconds / self._mass
        self._seen_s += seconds
        if self._alarmed or self._seen_s < Horizon().least_s or self._mean < self._limit:
            return False
        self._alarmed = True
        return True


class Independent:
    """A product of bets on single ratings, as if each were news. Wrong, and shown to be.

    A bet on a rating with p-value p returns 1 / (2 sqrt(p)), which is 1 in the mean for a real one.
    """

    def __init__(self, reals: Sequence[float], alpha: float) -> None:
        self._reals = np.sort(np.asarray(reals))
        self._limit = -math.log(alpha)
        self.face()

    def face(self, quality: Quality = UNKNOWN) -> None:
        """Begin with another face."""
        del quality
        self._wealth = 0.0
        self._alarmed = False

    def rate(self, logit: float, seconds: float) -> bool:
        """Take in a rating; say whether an alarm begins."""
        del seconds
        higher = len(self._reals) - int(np.searchsorted(self._reals, logit))
        self._wealth -= math.log(2.0) + 0.5 * math.log((1 + higher) / (1 + len(self._reals)))
        if self._alarmed or self._wealth < self._limit:
            return False
        self._alarmed = True
        return True


@dataclass(slots=True)
class Stream:
    """Faces that come one after the other, for so many hours in all."""

    reals: Sequence[Source]
    face_s: float
    rng: np.random.Generator

    def faces(self, hours: float) -> Iterator[Face]:
        """Yield the ratings of one face after the other."""
        left = hours * 3600.0
        while left > 0:
            source = self.reals[int(self.rng.integers(len(self.reals)))]
            which = int(self.rng.integers(len(source.clips)))
            clip = source.clips[which]
            length = sum(span for _, span in clip)
            stays = min(max(self.rng.exponential(self.face_s), length), left)
            yield clip * max(1, round(stays / length)), source.qualities[which]
            left -= stays


def alarms(decider: Budget | Threshold | Independent, faces: Iterable[Face]) -> tuple[int, float]:
    """Return how many alarms begin in these faces, and the hours that they last."""
    count, seconds = 0, 0.0
    for face, quality in faces:
        decider.face(quality)
        for logit, span in face:
            count += decider.rate(logit, span)
            seconds += span
    return count, seconds / 3600.0


def when(decider: Budget | Threshold, source: Source, rng: np.random.Generator) -> float | None:
    """Return the seconds after which a face that stays half a minute is found, or None."""
    which = int(rng.integers(len(source.clips)))
    clip = source.clips[which]
    decider.face(source.qualities[which])
    seconds = 0.0
    while seconds < _FAKE_STAYS_S:
        for logit, span in clip:
            seconds += span
            if decider.rate(logit, span):
                return seconds
    return None


@dataclass(slots=True)
class Tally:
    """What came of one way to decide at one budget."""

    alarms: list[int] = field(default_factory=list)  # by split
    hours: list[float] = field(default_factory=list)
    staked: float = 0.0
    found: list[float | None] | None = None

    def summary(self) -> dict[str, Any]:
        """Return it as figures."""
        count, hours = np.array(self.alarms), np.array(self.hours)
        # Alarms come in clusters, by which sources a split knows: whole splits are drawn.
        drawn = np.random.default_rng(0).integers(len(count), size=(2000, len(count)))
        rates = count[drawn].sum(axis=1) / hours[drawn].sum(axis=1)
        low, high = np.quantile(rates, [0.025, 0.975])
        found = self.found or []
        times = [t for t in found if t is not None]
        return {
            "alarms": int(count.sum()),
            "hours": round(float(hours.sum()), 1),
            "per_hour": float(count.sum() / hours.sum()),
            "low": float(low),
            "high": float(high),
            "staked_per_hour": self.staked / float(hours.sum()),
            "fakes": len(found),
            "found": len(times) / len(found) if found else math.nan,
            "found_p50_s": float(np.median(times)) if times else math.nan,
            "found_within": {
                f"{s}": sum(t <= s for t in times) / len(found) if found else math.nan
                for s in (2, 5, 10, 20, 30)
            },
        }


def halves(
    groups: Sequence[str], rng: np.random.Generator, share: float = 0.5
) -> tuple[set[str], set[str]]:
    """Split sources in two by chance, the first a share of them."""
    mixed = rng.permutation(len(groups))
    half = round(len(groups) * share)
    return {groups[i] for i in mixed[:half]}, {groups[i] for i in mixed[half:]}


def table_of(
    reals: dict[str, Source],
    fakes: dict[str, Source],
    known: set[str],
    horizon: Horizon,
    by: QualityFigure | None = None,
) -> DecisionTable:
    """Return the known trials of these sources, in the steps in which streams are made of them.

    Raises:
        DecisionTableUnusable: too few sources.
    """

    def trials(sources: dict[str, Source]) -> list[Trial]:
        return [first_trial(one.clips[0], horizon) for g, one in sources.items() if g in known]

    buckets = None
    if by is not None:
        values = tuple(s.qualities[0].of(by) for g, s in reals.items() if g in known)
        buckets = Buckets(by, even_edges(values), values)
    return DecisionTable(
        "",
        "",
        "",
        horizon,
        tuple(trial.highest for trial in trials(reals) if trial.highest is not None),
        tuple(trial.lowest for trial in trials(fakes) if trial.lowest is not None),
        buckets,
    )


def experiment(
    records: Sequence[ClipRecord],
    horizon: Horizon,
    hours: dict[str, float],
    splits: int,
    face_s: float,
    seed: int,
    console: Console,
) -> dict[str, dict[str, Any]]:
    """Return the figures of every way to decide at every budget."""
    reals, fakes = sources(records, REAL, horizon), sources(records, FAKE, horizon)
    tallies = {(way, name): Tally(found=[]) for way in WAYS for name in BUDGETS}
    rng = np.random.default_rng(seed)
    with Progress(console=console) as progress:
        task = progress.add_task("splits", total=splits)
        for _ in range(splits):
            known, unseen = halves(sorted({*reals, *fakes}), rng)
            try:
                table = table_of(reals, fakes, known, horizon)
            except DecisionTableUnusable:
                progress.advance(task)
                continue
            streams = [source for group, source in reals.items() if group in unseen]
            attackers = [source for group, source in fakes.items() if group in unseen]
            ratings = [x for g, s in reals.items() if g in known for c in s.clips for x, _ in c]
            for name, per_hour in BUDGETS.items():
                run = hours[name] / splits
                budget = Budget(table, per_hour)
                budget.account.balance = 0.0  # what a stream begins with is no income
                faces = list(Stream(streams, face_s, rng).faces(run))
                _record(tallies["budget", name], budget, faces)
                tallies["budget", name].staked += budget.account.staked
                _attack(tallies["budget", name], budget, attackers, rng)
                alpha = min(per_hour * face_s / 3600.0, 0.5)
                _record(tallies["independent", name], Independent(ratings, alpha), faces)
                limit = _threshold_for(table, alpha)
                _record(tallies["threshold", name], Threshold(limit), faces)
                _attack(tallies["threshold", name], Threshold(limit), attackers, rng)
            progress.advance(task)
    return {way: {name: tallies[way, name].summary() for name in BUDGETS} for way in WAYS}


def try_buckets(
    records: Sequence[ClipRecord],
    horizon: Horizon,
    hours: dict[str, float],
    splits: int,
    face_s: float,
    seed: int,
    console: Console,
) -> dict[str, dict[str, Any]]:
    """Return the budget's figures with buckets of each figure of quality, and without any.

    Splits, streams and fakes are the same for all of them.
    """
    reals, fakes = sources(records, REAL, horizon), sources(records, FAKE, horizon)
    ways: dict[str, QualityFigure | None] = {SEEN: None}
    ways |= {f"buckets by {by}": by for by in QualityFigure}
    tallies = {(way, name): Tally(found=[]) for way in ways for name in BUDGETS}
    with Progress(console=console) as progress:
        task = progress.add_task("buckets", total=splits)
        for split in range(splits):
            rng = np.random.default_rng([seed, split])
            # The table always has as many real sources, whichever groups have fakes besides.
            known, unseen = halves(sorted(reals), rng, BUCKETS_KNOW)
            more_known, more_unseen = halves(sorted(fakes.keys() - reals), rng, BUCKETS_KNOW)
            known, unseen = known | more_known, unseen | more_unseen
            streams = [source for group, source in reals.items() if group in unseen]
            attackers = [source for group, source in fakes.items() if group in unseen]
            for name, per_hour in BUDGETS.items():
                faces = list(Stream(streams, face_s, rng).faces(hours[name] / splits))
                for way, by in ways.items():
                    budget = Budget(table_of(reals, fakes, known, horizon, by), per_hour)
                    budget.account.balance = 0.0
                    _record(tallies[way, name], budget, faces)
                    tallies[way, name].staked += budget.account.staked
                    drawn = np.random.default_rng([seed, split, 1])
                    _attack(tallies[way, name], budget, attackers, drawn)
            progress.advance(task)
    return {way: {name: tallies[way, name].summary() for name in BUDGETS} for way in ways}


WAYS = ("budget", "threshold", "independent")


def _threshold_for(table: DecisionTable, alpha: float) -> float:
    """Return the limit that a share `alpha` of the known real trials exceeds, infinity if none."""
    highest = sorted(table.reals, reverse=True)
    place = math.floor(alpha * (len(highest) + 1))
    return highest[place - 1] if place >= 1 else math.inf


def _record(tally: Tally, decider: Budget | Threshold | Independent, faces: Iterable[Face]) -> None:
    count, hours = alarms(decider, faces)
    tally.alarms.append(count)
    tally.hours.append(hours)


def _attack(
    tally: Tally, decider: Budget | Threshold, fakes: Sequence[Source], rng: np.random.Generator
) -> None:
    assert tally.found is not None
    for source in fakes:
        if isinstance(decider, Budget):
            # Every fake meets what an hour of quiet leaves, whatever the one before cost.
            decider.account.earn(3600.0)
        tally.found.append(when(decider, source, rng))


def draw(ways: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw measured against promised false alarms, and what is found, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    promised = list(BUDGETS.values())
    left.plot(promised, promised, color="#999999", linestyle="--", label="as promised")
    for way, colour in zip(WAYS, ("#2a86c4", "#7d8f2f", "#d9603b"), strict=True):
        ones = [ways[way][name] for name in BUDGETS]
        rates = np.array([max(one["per_hour"], 1e-4) for one in ones])
        low = rates - np.minimum([max(one["low"], 1e-4) for one in ones], rates)
        high = np.maximum([one["high"] for one in ones], rates) - rates
        left.errorbar(promised, rates, (low, high), marker="o", color=colour, label=way, capsize=3)
    left.set(xscale="log", yscale="log", xlabel="budget, false alarms an hour")
    left.set_ylabel("measured (1e-4: none)")
    left.legend(frameon=False)
    for name, style in zip(BUDGETS, ("-", "--", ":"), strict=True):
        for way, colour in (("budget", "#2a86c4"), ("threshold", "#7d8f2f")):
            within = ways[way][name]["found_within"]
            right.plot(
                [float(s) for s in within],
                list(within.values()),
                style,
                color=colour,
                marker=".",
                label=f"{way}, {name}",
            )
    right.set(xlabel="seconds of a fake face", ylabel="share of fakes found", ylim=(0.0, None))
    right.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def main(
    results: Annotated[Path, typer.Argument(help="Folder of a `styleflow evaluate` run.")],
    splits: Annotated[int, typer.Option(min=1, help="Draws of sources.")] = 200,
    hours: Annotated[float, typer.Option(min=1, help="Hours of the smallest budget.")] = 4000.0,
    face: Annotated[float, typer.Option(min=5, help="Mean seconds that a face stays.")] = 180.0,
    trial: Annotated[float, typer.Option(min=1, help="Seconds of a trial.")] = Horizon().trial_s,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the JSON and the plot.")] = RESULTS,
    *,
    buckets_only: Annotated[
        bool, typer.Option("--buckets-only", help="Keep what the JSON has, but for the buckets.")
    ] = False,
) -> None:
    """Measure false alarms per hour against the budget, and what is found."""
    console = Console()
    subject, records = read_records(results)
    plain = of_condition(records, PLAIN)
    lengths = dict(zip(BUDGETS, (hours / 10, hours / 4, hours), strict=True))
    horizon = Horizon(trial_s=trial)
    shorter = {name: each * splits for name, each in BUCKETS_H.items()}
    buckets: dict[str, Any] = {
        "known": BUCKETS_KNOW,
        "least": LEAST_IN_BUCKET,
        "hardware": asdict(hardware()),
        "gains": gains(plain, horizon, HOP_S, seed),
        "ways": try_buckets(plain, horizon, shorter, splits, face, seed, console),
    }
    if buckets_only:
        kept = json.loads((out / "decisions.json").read_text(encoding="utf-8"))
        if kept["sha256"] != subject.get("sha256"):
            raise typer.BadParameter("the JSON is of other weights; leave out --buckets-only")
        write_result({**kept, "buckets": buckets}, out / "decisions.json")
        return
    found = experiment(plain, horizon, lengths, splits, face, seed, console)
    table = Table("way", "budget", "alarms an hour", "95 %", "fakes found in 30 s", "of")
    for way, by_budget in {**found, **buckets["ways"]}.items():
        for name, one in by_budget.items():
            table.add_row(
                way,
                name,
                f"{one['per_hour']:.4f}",
                f"{one['low']:.4f} to {one['high']:.4f}",
                f"{one['found']:.2f}",
                str(one["fakes"]),
            )
    console.print(table)
    document = {
        "benchmark": "decisions",
        "hardware": asdict(hardware()),
        "detector": subject.get("detector"),
        "sha256": subject.get("sha256"),
        "splits": splits,
        "face_s": face,
        "trial_s": trial,
        "seed": seed,
        "ways": found,
        "buckets": buckets,
    }
    write_result(document, out / "decisions.json")
    draw(found, out / "decisions.png")


if __name__ == "__main__":
    typer.run(main)
