"""Drift: how often an unchanged camera is said to have changed, and which changes are noticed.

    python -m benchmarks.drift RESULTS [CHANGED] [--cameras N] [--out DIR]

RESULTS is the folder of a `styleflow evaluate` run, CHANGED that of a run in which real clips were
also looked at in changed pictures; the network may be left out there, so ratings are not compared.
Real clips are cut into pieces of two seconds. A camera sees some people, one clip each; a day is so
many visits at any hour, each one piece of somebody's clip for as long as the visit lasts
(exponential, three minutes in the mean). What one visit has in common stays together.

A camera is watched for eight days and the month after them, and compared once an hour as the
product does it. Unchanged, what counts is how often a notice opens in that month. Changed, the
pictures are others from the ninth day on: whether a notice opens within two days, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.drift.comparison import KEPT
from stream.drift.records import DAY_H, DAYS
from stream.drift.settings import DriftSettings
from stream.drift.sketch import BINS, Figure, Sketch
from stream.events import AbstainReason, CaptureConditions, Score, Verdict
from styleflow.calibration import Calibration
from styleflow.data.index import REAL
from styleflow.evaluation.metrics import poisson_rate
from styleflow.evaluation.record import PLAIN, ClipRecord, Rating, of_condition, read_records
from styleflow.faces.face import Box, FaceQuality
from styleflow.weights.checkpoint import shipped

RESULTS = Path(__file__).parent / "results"
PIECE_S = 2.0
FIRST = DAY_H * (DAYS + 1)
"""Hours before the first comparison."""
MONTH_DAYS, CHANGED_DAYS = 30, 2
VISIT_S = 180.0
RATINGS_PER_S = 4.0
CAMERAS = {
    "one person, 5 visits a day": (1, 5),
    "5 people, 20 visits a day": (5, 20),
    "20 people, 20 visits a day": (20, 20),
    "20 people, 100 visits a day": (20, 100),
}
"""People that a camera sees in all, and visits a day."""
DISTANCES = (0.3, 0.4, 0.5, 0.6, 0.7)
MARGINS = (1.0, 1.5, 2.0, 2.5)

Pieces = tuple[Sketch, ...]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Person:
    """One real clip in pieces, as it is and changed in the same places.

    Attributes:
        plain: pieces as they are.
        changed: the same by what was done to the pictures.
    """

    plain: Pieces
    changed: dict[str, Pieces]


def pieces(record: ClipRecord, calibration: Calibration) -> Pieces:
    """Return the sketches of a clip's pieces."""
    found: dict[int, Sketch] = {}
    for rating in record.ratings:
        piece = found.setdefault(int(rating.end / PIECE_S), Sketch())
        piece.add(_score(rating, calibration))
    return tuple(found[n] for n in sorted(found) if found[n].ratings >= RATINGS_PER_S)


def _score(rating: Rating, calibration: Calibration) -> Score:
    return Score(
        stream="",
        epoch=0,
        track=rating.track,
        start=0.0,
        end=rating.end,
        frames=rating.frames,
        missing=0,
        logit=rating.logit,
        probability=rating.score,
        score=rating.score,
        low=rating.score,
        high=rating.score,
        verdict=Verdict(rating.verdict),
        reasons=tuple(AbstainReason(reason) for reason in rating.reasons),
        quality=FaceQuality(rating.face_px, rating.sharpness, rating.brightness, 0.0),
        box=Box(0.0, 0.0, 1.0, 1.0),
        arrived=0.0,
        detector="",
        capture=CaptureConditions(bits_per_pixel=rating.bits_per_pixel),
        strangeness=calibration.strangeness(rating.logit),
    )


def people(records: Sequence[ClipRecord], calibration: Calibration) -> list[Person]:
    """Return who is on the real clips; one that is there in several conditions is one person."""
    reals = [record for record in records if record.label == REAL]
    others = sorted({record.condition for record in reals} - {PLAIN})
    by_name = {name: {r.clip: r for r in of_condition(reals, name)} for name in others}
    found = []
    for record in of_condition(reals, PLAIN):
        plain = pieces(record, calibration)
        changed = {
            name: pieces(clips[record.clip], calibration)
            for name, clips in by_name.items()
            if record.clip in clips
        }
        if plain and all(changed.values()):
            found.append(Person(plain, changed))
    return found


@dataclass(frozen=True, slots=True)
class Hours:
    """Sketches of a camera by hour.

    Attributes:
        counts: by figure, `(hours, bins)`.
    """

    counts: dict[Figure, Counts]

    def sketch(self, begin: int, end: int) -> Sketch:
        """Return the sketch of some hours."""
        return Sketch({f: each[begin:end].sum(axis=0).tolist() for f, each in self.counts.items()})


def hours_of(
    before: Sequence[Pieces],
    after: Sequence[Pieces],
    visits: int,
    days: int,
    rng: np.random.Generator,
) -> Hours:
    """Return so many days of visits.

    Args:
        before: who may come in the first eight days.
        after: the same people after them, in the same order.
        visits: in a day.
        days: in all.
        rng: draws.
    """
    hour = rng.integers(days * DAY_H, size=visits * days)
    who = rng.integers(len(before), size=len(hour))
    draw = rng.random(len(hour))
    stays = rng.exponential(VISIT_S, size=len(hour)) * RATINGS_PER_S
    seen = []
    for at, person, drawn, ratings in zip(hour, who, draw, stays, strict=True):
        of = (before if at < FIRST else after)[person]
        piece = of[int(drawn * len(of))]
        seen.append((piece, max(round(ratings / piece.ratings), 1)))
    counts = {figure: np.zeros((days * DAY_H, bins), np.int64) for figure, bins in BINS.items()}
    for figure, each in counts.items():
        np.add.at(each, hour, np.array([times * np.array(p.counts[figure]) for p, times in seen]))
    return Hours(counts)


@dataclass(frozen=True, slots=True)
class Course:
    """Comparisons of one camera, one an hour from the ninth day on.

    Attributes:
        distance: of the last day from those before, by figure, `(hours,)`.
        usual: how far the strangest of those lies from the others, likewise.
        enough: whether there was enough to compare, `(hours,)`.
    """

    distance: dict[Figure, Floats]
    usual: dict[Figure, Floats]
    enough: NDArray[np.bool_]


def course(camera: Hours, settings: DriftSettings) -> Course:
    """Return what `stream.drift.comparison.compare` makes of every hour, all hours at once."""
    days = {figure: _days(counts) for figure, counts in camera.counts.items()}
    ratings = days[Figure.REASONS].sum(axis=2)  # (days, hours); the first is the last day
    usable = ratings[1:] >= settings.least_ratings
    enough = (usable.sum(axis=0) >= settings.least_days) & (ratings[0] >= settings.least_ratings)
    distance, usual = {}, {}
    for figure, each in days.items():
        known = each[1:] * usable[:, :, None]
        total = known.sum(axis=0)
        distance[figure] = _distance(figure, each[0], total)
        usual[figure] = np.max([_distance(figure, one, total - one) for one in known], axis=0)
    return Course(distance, usual, enough)


def _days(counts: Counts) -> Counts:
    """Return the last day and the seven before it at every hour, `(8, hours, bins)`."""
    summed = np.concatenate([np.zeros_like(counts[:1]), counts.cumsum(axis=0)])
    day = summed[DAY_H:] - summed[:-DAY_H]  # the n-th ends with hour n + 24
    first = DAY_H * DAYS
    return np.stack([day[first - DAY_H * n : len(day) - DAY_H * n] for n in range(DAYS + 1)])


def _distance(figure: Figure, one: Counts, other: Counts) -> Floats:
    a, b = one.sum(axis=1, keepdims=True), other.sum(axis=1, keepdims=True)
    moved = one / np.maximum(a, 1) - other / np.maximum(b, 1)
    far = np.abs(moved).sum(axis=1) / 2
    if figure is not Figure.REASONS:
        far = np.abs(moved.cumsum(axis=1)).max(axis=1)
    found: Floats = np.where((a > 0)[:, 0] & (b > 0)[:, 0], far, 0.0)
    return found


def openings(found: Course, distance: float, margin: float) -> list[int]:
    """Return the hours in which a notice opens, counted from the ninth day on."""
    far = np.stack([found.distance[figure] for figure in Figure])
    limit = np.maximum(distance, margin * np.stack([found.usual[figure] for figure in Figure]))
    opens, stays = far >= limit, far >= KEPT * limit
    held = np.zeros(len(far), np.bool_)
    opened = []
    for hour in np.flatnonzero(found.enough & stays.any(axis=0)):
        if not stays[:, hour - 1].any():
            held[:] = False  # an hour in between held nothing
        before, held = held.any(), np.where(held, stays[:, hour], opens[:, hour])
        if held.any() and not before:
            opened.append(int(hour))
    return opened


def watched(
    crowd: Sequence[Person], kind: tuple[int, int], cameras: int, seed: int, change: str = ""
) -> list[Course]:
    """Return the courses of so many cameras.

    Args:
        crowd: who may be seen.
        kind: people and visits a day.
        cameras: how many.
        seed: of every draw.
        change: what happens to the pictures from the ninth day on; nothing when empty.
    """
    rng = np.random.default_rng(seed)
    people, visits = kind
    days = DAYS + 1 + (CHANGED_DAYS if change else MONTH_DAYS)
    found = []
    for _ in range(cameras):
        chosen = rng.choice(len(crowd), size=min(people, len(crowd)), replace=False)
        plain = [crowd[n].plain for n in chosen]
        after = [crowd[n].changed[change] for n in chosen] if change else plain
        found.append(course(hours_of(plain, after, visits, days, rng), DriftSettings()))
    return found


def per_month(found: Sequence[Course], distance: float, margin: float) -> dict[str, Any]:
    """Return how often a notice opens at cameras that nothing happens to."""
    count = sum(len(openings(one, distance, margin)) for one in found)
    return {
        "opened": count,
        "months": len(found),
        "per_month": asdict(poisson_rate(count, len(found))),
    }


def noticed(found: Sequence[Course], distance: float, margin: float) -> dict[str, Any]:
    """Return how many changed cameras are noticed, and after how many hours."""
    first = [hours[0] for hours in (openings(one, distance, margin) for one in found) if hours]
    return {
        "noticed": len(first),
        "cameras": len(found),
        "share": len(first) / len(found),
        "hours_p50": float(np.median(first)) if first else None,
    }


def setting_name(distance: float, margin: float) -> str:
    """Return what results call settings."""
    return f"{distance:g} x {margin:g}"


def main(
    results: Annotated[Path, typer.Argument(help="Folder of a `styleflow evaluate` run.")],
    changed: Annotated[Path | None, typer.Argument(help="The same with changed pictures.")] = None,
    cameras: Annotated[int, typer.Option(min=10, help="Cameras of each kind.")] = 100,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the JSON.")] = RESULTS,
) -> None:
    """Measure notices of unchanged cameras and of changed ones."""
    console = Console()
    subject, records = read_records(results)
    calibration = shipped().calibration
    crowd = people(of_condition(records, PLAIN), calibration)
    settings = [(distance, margin) for distance in DISTANCES for margin in MARGINS]
    still = {name: watched(crowd, kind, cameras, seed) for name, kind in CAMERAS.items()}
    unchanged = {
        setting_name(*each): {name: per_month(found, *each) for name, found in still.items()}
        for each in settings
    }
    others = [] if changed is None else people(read_records(changed)[1], calibration)
    courses = {
        (what, name): watched(others, kind, max(cameras // 2, 10), seed, what)
        for what in sorted(others[0].changed if others else ())
        for name, kind in CAMERAS.items()
    }
    found = {
        setting_name(*each): {
            what: {name: noticed(courses[what, name], *each) for name in CAMERAS}
            for what in sorted({what for what, _ in courses})
        }
        for each in settings
    }
    table = Table("distance x margin", *CAMERAS, "least noticed of any change")
    for name, row in unchanged.items():
        shares = [x["share"] for by_kind in found[name].values() for x in by_kind.values()]
        rates = (f"{each['per_month']['value']:.2f}" for each in row.values())
        table.add_row(name, *rates, f"{min(shares):.0%}" if shares else "–")
    console.print(table)
    document = {
        "benchmark": "drift",
        "hardware": asdict(hardware()),
        "detector": subject.get("detector"),
        "sha256": subject.get("sha256"),
        "people": len(crowd),
        "seed": seed,
        "changed_people": len(others),
        "unchanged": unchanged,
        "noticed": found,
    }
    write_result(document, out / "drift.json")


if __name__ == "__main__":
    typer.run(main)
