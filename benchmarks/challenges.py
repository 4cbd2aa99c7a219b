"""Challenges: how often real people, who were asked for nothing, do what would have been asked.

    python -m benchmarks.challenges CLIPS [--every N] [--seconds S] [--out FILE]

CLIPS is a folder with `manifest.csv`. Every real clip is measured as a stream is while a challenge
runs. Its first 1.5 s are the face at rest; a prompt is then imagined at each half second that is
followed by at least two seconds, and every action is verified up to six seconds on, or to the end
of the clip: clips are short, so windows are, too, and their median is told. For the flash,
sequences of colours are drawn that no screen has shown.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Annotated, Any

import av
import numpy as np
import typer
from rich.console import Console

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.challenge.drawing import draw_colours
from stream.challenge.flash import SLOWEST_S, verify_flash
from stream.challenge.observing import Observation, observe
from stream.challenge.settings import ChallengeSettings
from stream.challenge.verify import Rest, at_rest, measured, verify
from stream.compliance import Action, Outcome
from styleflow.faces.face import Face
from styleflow.faces.finder import FaceFinder
from styleflow.weights.face_networks import load_finder

RESULT = Path(__file__).parent / "results" / "challenges.json"
REST_S = 1.5
LEAST_S = 2.0
STRIDE = 2
"""Every second frame, as the default detector samples 25 frames a second."""

SEQUENCES = 5
ACTIONS = tuple(action for action in Action if action is not Action.FLASH)


def observations(path: Path, finder: FaceFinder) -> Iterator[Observation]:
    """Yield what is measured of a clip."""
    known: tuple[Face, ...] = ()
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % STRIDE == 0:
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                known = finder.follow(image, known) if known else ()
                known = known or finder.find(image)
                numbered = list(enumerate(known[:1], 1))
                yield observe(image, numbered, number / 25.0, 0)


def tried(seen: Sequence[Observation], settings: ChallengeSettings) -> Iterator[dict[str, Any]]:
    """Yield the outcome of every action at every imagined prompt of a clip."""
    rest = at_rest([one for one in seen if one.at < REST_S], REST_S)
    if not isinstance(rest, Rest):
        return
    end = seen[-1].at
    for prompt in np.arange(REST_S, end - LEAST_S, 0.5):
        until = min(float(prompt) + settings.step_s, end)
        outcomes = {
            action: verify(action, seen, rest, float(prompt), until, settings).outcome
            for action in ACTIONS
        }
        yield {"seconds": until - float(prompt), "outcomes": outcomes}


def flashed(seen: Sequence[Observation], settings: ChallengeSettings, rng: Random) -> list[Outcome]:
    """Return the outcomes of colours that nobody showed; none for a clip that is too short."""
    rest = at_rest([one for one in seen if one.at < REST_S], REST_S)
    if not isinstance(rest, Rest) or seen[-1].at < settings.flash_s + SLOWEST_S - 0.8:
        return []
    drawn = [draw_colours(settings.flash_colours, rng) for _ in range(SEQUENCES)]
    return [verify_flash(colours, seen, rest, 0.0, settings, rng).outcome for colours in drawn]


def farthest(seen: Sequence[Observation]) -> dict[str, float] | None:
    """Return the most of every action that a clip shows in any frame."""
    rest = at_rest([one for one in seen if one.at < REST_S], REST_S)
    if not isinstance(rest, Rest):
        return None
    clear = [one for one in seen if one.upper is not None]
    return {action.value: max(measured(action, one, rest) for one in clear) for action in ACTIONS}


def main(
    clips: Annotated[Path, typer.Argument(help="Folder with manifest.csv.")],
    split: Annotated[str, typer.Option(help="Whose clips.")] = "train_real",
    out: Annotated[Path, typer.Option(help="The result.")] = RESULT,
    seconds: Annotated[float, typer.Option(help="Of every clip, from its start.")] = 6.0,
    every: Annotated[int, typer.Option(min=1, help="Only every so many-th clip.")] = 1,
) -> None:
    """Measure, and write the result."""
    settings, finder, rng = ChallengeSettings(), load_finder(), Random(1)
    with (clips / "manifest.csv").open(encoding="utf-8") as table:
        rows = [r for r in csv.DictReader(table) if r["split"] == split and r["label"] == "real"]
    followed: Counter[str] = Counter()
    prompts: list[float] = []
    flashes: Counter[Outcome] = Counter()
    groups: dict[str, set[str]] = {action.value: set() for action in ACTIONS}
    judged: set[str] = set()
    reach: list[dict[str, float]] = []
    rows = rows[::every]
    for row in rows:
        watched = observations(clips / row["file"], finder)
        seen = list(takewhile(lambda one: one.at < seconds, watched))
        flashes.update(flashed(seen, settings, rng))
        if (far := farthest(seen)) is not None:
            reach.append(far)
        for window in tried(seen, settings):
            judged.add(row["group"])
            prompts.append(window["seconds"])
            for action, outcome in window["outcomes"].items():
                if outcome is Outcome.FOLLOWED:
                    followed[action.value] += 1
                    groups[action.value].add(row["group"])
    shares = {name: followed[name] / max(len(prompts), 1) for name in groups}
    document = {
        "split": split,
        "clips": len(rows),
        "sources": len(judged),
        "prompts": len(prompts),
        "median_window_s": float(np.median(prompts)) if prompts else None,
        "followed_by_chance": shares,
        "sources_that_did": {name: len(found) for name, found in groups.items()},
        "reach_quantiles": {
            name: [float(q) for q in np.quantile([r[name] for r in reach], (0.5, 0.9, 0.99))]
            for name in groups
        },
        "flash": {outcome.value: flashes[outcome] for outcome in Outcome if flashes[outcome]},
        "hardware": asdict(hardware()),
    }
    write_result(document, out)
    Console().print_json(data=document)


if __name__ == "__main__":
    typer.run(main)
