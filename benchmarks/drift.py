"""Drift: how often an unchanged camera is said to have changed, and which changes are noticed.

    python -m benchmarks.drift RESULTS [CHANGED] [--cameras N] [--out DIR]

RESULTS is the folder of a `styleflow evaluate` run, CHANGED that of a run in which real clips were
also looked at in changed pictures; the network may be left out there, ratings are not compared.
Real clips are cut into pieces of two seconds. A camera sees some people, one clip each; a day is so
many visits, each one piece of somebody's clip for as long as the visit lasts (exponential, three
minutes in the mean). Eight days are drawn and the last is compared with the seven before, as the
product does it once a quarter of an hour. What one visit has in common stays together. Every camera
is drawn anew, so the shares are those of camera days; a notice that lasts is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.drift.comparison import Comparison, compare
from stream.drift.settings import DriftSettings
from stream.drift.sketch import Sketch, merged
from stream.events import AbstainReason, Score, Verdict
from styleflow.calibration import Calibration
from styleflow.data.index import REAL
from styleflow.evaluation.metrics import poisson_rate
from styleflow.evaluation.record import PLAIN, ClipRecord, Rating, of_condition, read_records
from styleflow.faces.face import Box, FaceQuality
from styleflow.weights.checkpoint import shipped

RESULTS = Path(__file__).parent / "results"
PIECE_S = 2.0
DAYS = 7
VISIT_S = 180.0
RATINGS_PER_S = 4.0
CAMERAS = {
    "one person, 5 visits a day": (1, 5),
    "5 people, 20 visits a day": (5, 20),
    "20 people, 20 visits a day": (20, 20),
    "20 people, 100 visits a day": (20, 100),
}
"""People that a camera sees in all, and visits a day."""
DISTANCES = (0.2, 0.3, 0.4, 0.5)
MARGINS = (1.0, 1.25, 1.5, 2.0)

Pieces = tuple[Sketch, ...]


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
        bits_per_pixel=rating.bits_per_pixel,
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


def day(visitors: Sequence[Pieces], visits: int, rng: np.random.Generator) -> Sketch:
    """Return a day of visits."""

    def seen() -> Iterable[Sketch]:
        for _ in range(visits):
            of = visitors[int(rng.integers(len(visitors)))]
            piece = of[int(rng.integers(len(of)))]
            times = max(round(rng.exponential(VISIT_S) * RATINGS_PER_S / piece.ratings), 1)
            yield Sketch(
                {figure: [times * n for n in counts] for figure, counts in piece.counts.items()}
            )

    return merged(seen())


BARE = DriftSettings(distance=1e-9, margin=1.0, least_ratings=1)
"""With these a figure's limit is how far the strangest day before lies from the others."""


def changes(found: Comparison, distance: float, margin: float) -> bool:
    """Say whether a comparison made with `BARE` settings is a change by others."""
    return any(one.distance >= max(distance, margin * one.limit) for one in found.figures)


def compared(
    crowd: Sequence[Person], kind: tuple[int, int], cameras: int, seed: int, change: str = ""
) -> list[Comparison]:
    """Return the last day of so many cameras against their seven days before.

    Args:
        crowd: who may be seen.
        kind: people and visits a day.
        cameras: how many.
        seed: of every draw.
        change: what happens to the pictures of the last day; nothing when empty.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(cameras):
        chosen = rng.choice(len(crowd), size=min(kind[0], len(crowd)), replace=False)
        plain = [crowd[n].plain for n in chosen]
        after = [crowd[n].changed[change] for n in chosen] if change else plain
        before = [day(plain, kind[1], rng) for _ in range(DAYS)]
        found.append(compare(day(after, kind[1], rng), before, BARE))
    return found


def share(found: Sequence[Comparison], distance: float, margin: float) -> dict[str, Any]:
    """Return how many of the cameras are said to have changed."""
    count = sum(changes(one, distance, margin) for one in found)
    rate = poisson_rate(count, len(found))
    return {"changed": count, "cameras": len(found), "share": asdict(rate)}


def _calibration() -> Calibration:
    return shipped().calibration


def main(
    results: Annotated[Path, typer.Argument(help="Folder of a `styleflow evaluate` run.")],
    changed: Annotated[Path | None, typer.Argument(help="The same with changed pictures.")] = None,
    cameras: Annotated[int, typer.Option(min=10, help="Camera days of each kind.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the JSON.")] = RESULTS,
) -> None:
    """Measure notices of unchanged cameras and of changed ones."""
    console = Console()
    subject, records = read_records(results)
    calibration = _calibration()
    crowd = people(of_condition(records, PLAIN), calibration)
    still = {name: compared(crowd, kind, cameras, seed) for name, kind in CAMERAS.items()}
    default = DriftSettings()
    unchanged = {
        f"{distance:g} x {margin:g}": {
            name: share(found, distance, margin) for name, found in still.items()
        }
        for distance in DISTANCES
        for margin in MARGINS
    }
    noticed: dict[str, dict[str, Any]] = {}
    if changed is not None:
        others = people(read_records(changed)[1], calibration)
        for what in sorted(others[0].changed):
            noticed[what] = {
                name: share(
                    compared(others, kind, max(cameras // 5, 10), seed, what),
                    default.distance,
                    default.margin,
                )
                for name, kind in CAMERAS.items()
            }
    table = Table("distance x margin", *CAMERAS)
    for name, row in unchanged.items():
        table.add_row(name, *(f"{each['share']['value']:.2%}" for each in row.values()))
    for name, row in noticed.items():
        table.add_row(f"noticed: {name}", *(f"{x['share']['value']:.0%}" for x in row.values()))
    console.print(table)
    document = {
        "benchmark": "drift",
        "hardware": asdict(hardware()),
        "detector": subject.get("detector"),
        "sha256": subject.get("sha256"),
        "people": len(crowd),
        "seed": seed,
        "distance": default.distance,
        "margin": default.margin,
        "unchanged": unchanged,
        "noticed": noticed,
    }
    write_result(document, out / "drift.json")


if __name__ == "__main__":
    typer.run(main)
