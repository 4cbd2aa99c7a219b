"""Training of styleflow-live, the shipped default, from clips of real people and real fakes.

Every stage keeps its result in the work folder and is skipped when it is there, so that an
interrupted run goes on where it stopped: looks at clips (`read`), their features, then heads,
style flow and calibration, which take seconds to minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.data.index import FAKE, REAL, Entry, Refusal
from styleflow.data.prepared import MakeFinder
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.errors import LabelsMissing
from styleflow.evaluation.metrics import auc, bootstrap, calibration_error, hit_rate_at
from styleflow.faces.align import sharpness
from styleflow.training.calibration import (
    cross_fitted,
    fit_calibration,
    near_chance_figures,
    with_widths,
)
from styleflow.training.loop import train
from styleflow.training.progress import StepText, Tell, telling
from styleflow.training.styleflow_live.calls import Shifts, call_all, call_shifts
from styleflow.training.styleflow_live.degradations import DEGRADATIONS
from styleflow.training.styleflow_live.features import (
    EVERY_LOOK,
    ClipFeatures,
    Runs,
    encode_all,
)
from styleflow.training.styleflow_live.flow import FlowTask, fit_projection, weigh_flow
from styleflow.training.styleflow_live.heads import Head, Opinions, fit_heads
from styleflow.training.styleflow_live.looks import LookedAt, look_at_all
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.round_trips import Shift, round_trips
from styleflow.training.styleflow_live.teacher import Lessons, Teacher, agreement
from styleflow.training.threads import always_as_many_threads
from styleflow.weights.checkpoint import Checkpoint, digest, save

FILE = "styleflow-live.safetensors"
"""What a run writes."""

FIGURES = "validation.json"
"""What validation said of it."""


def read(
    recipe: StyleFlowLiveRecipe,
    entries: Sequence[Entry],
    work: Path,
    make_finder: MakeFinder,
    processes: int,
    observe: Callable[[int, int], None] | None,
) -> tuple[tuple[LookedAt, ...], tuple[Refusal, ...]]:
    """Return looks at the clips of a data set, making those that are not in the work folder yet.

    Arguments as for `look_at_all`; clips of sources that the recipe leaves out are not read.
    """
    wanted = [entry for entry in entries if entry.source not in recipe.left_out]
    kept, refused = look_at_all(
        wanted, recipe.looks, work / "looks", make_finder, processes, observe
    )
    if recipe.calls:
        asked = recipe.looks, recipe.calls, recipe.seed, work, make_finder, processes, observe
        call_all(kept, *asked)
    return kept, refused


def run(
    recipe: StyleFlowLiveRecipe,
    training: Sequence[LookedAt],
    validation: Sequence[LookedAt],
    work: Path,
    tell: Tell,
    device: torch.device | str = "cpu",
) -> Path:
    """Train styleflow-live, or go on where a run was interrupted, and return its checkpoint.

    Args:
        recipe: decides everything.
        training: clips of both labels.
        validation: clips of other people and generators; they choose, and calibrate.
        work: folder of results.
        tell: told what is being done.
        device: what computes; nothing but the processor will do.

    Raises:
        DetectorWeightsMissing: the recipe's teacher has no weights here.
        LabelsMissing: a label is missing among those that are trained on or those that validate.
        WeightsUnusable: the folder that the recipe names has no auto-encoder.
        VideosMissing: the teacher sees a face in none of the clips.
        WeightsMissing: the published weights are not on this machine.
    """
    training, unlabelled = _apart(training, recipe.unlabelled)
    validation, _ = _apart(validation, recipe.unlabelled)
    for purpose, clips in (("training", training), ("validation", validation)):
        counts = [sum(clip.entry.label == label for clip in clips) for label in (REAL, FAKE)]
        if not all(counts):
            raise LabelsMissing(purpose, *counts)
    processes = len(os.sched_getaffinity(0))

    def encoded(clips: Sequence[LookedAt], runs: Runs, stage: str) -> tuple[ClipFeatures, ...]:
        def observe(done: int, of: int) -> None:
            tell(StepText(f"{stage} {done}/{of}", stage, done, of))

        return encode_all(clips, recipe.dimensions, runs, work, processes, observe)

    lessons = None
    if recipe.teacher is not None:
        asked = recipe.teacher, recipe.teacher_weights, recipe.lessons, recipe.looks
        lessons = Teacher(*asked, work).lessons(
            [*training, *unlabelled], validation, recipe.seed, tell
        )
    shifts = _round_trips(recipe, training, work, tell, processes)
    calls = _calls(recipe, training, work, tell, processes)
    # What validates is rated as live video rates it: by every look.
    made = _train(
        recipe,
        encoded(training, recipe.runs, "features"),
        encoded(validation, EVERY_LOOK, "validation"),
        encoded(unlabelled, recipe.runs, "unlabelled") if unlabelled else (),
        np.array([np.mean([sharpness(crop) for crop in c.looks().crops]) for c in validation]),
        shifts,
        calls,
        lessons,
        work,
        tell,
    )
    save(made, work / FILE)
    return work / FILE


def _round_trips(
    recipe: StyleFlowLiveRecipe,
    clips: Sequence[LookedAt],
    work: Path,
    tell: Tell,
    processes: int,
) -> list[Shift | None]:
    """Return what round trips add to clips; None of all where none are wanted or can be made."""
    if not recipe.wants_round_trips:
        return [None] * len(clips)
    if recipe.autoencoder is None:
        tell("no auto-encoder was named (--autoencoder FOLDER): training without round trips")
        return [None] * len(clips)

    def observe(done: int, of: int) -> None:
        tell(StepText(f"round trips {done}/{of}", "round trips", done, of))

    return round_trips(clips, recipe.dimensions, recipe.autoencoder, work, processes, observe)


def _calls(
    recipe: StyleFlowLiveRecipe,
    clips: Sequence[LookedAt],
    work: Path,
    tell: Tell,
    processes: int,
) -> list[Shifts | None]:
    """Return what calls add to clips; nothing where none are wanted."""
    if not recipe.calls:
        return []

    def observe(done: int, of: int) -> None:
        tell(StepText(f"calls {done}/{of}", "calls", done, of))

    asked = recipe.looks, recipe.calls, recipe.seed, work, processes, observe
    return call_shifts(clips, recipe.dimensions, *asked)


def _apart(
    clips: Sequence[LookedAt], sources: Sequence[str]
) -> tuple[list[LookedAt], list[LookedAt]]:
    """Return clips of other sources, and those of some."""
    others = [clip for clip in clips if clip.entry.source not in sources]
    return others, [clip for clip in clips if clip.entry.source in sources]


def _train(
    recipe: StyleFlowLiveRecipe,
    training: Sequence[ClipFeatures],
    validation: Sequence[ClipFeatures],
    unlabelled: Sequence[ClipFeatures],
    sharp: NDArray[np.float64],
    shifts: Sequence[Shift | None],
    calls: Sequence[Shifts | None],
    lessons: Lessons | None,
    work: Path,
    tell: Tell,
) -> Checkpoint:
    network = StyleFlowLive(recipe.dimensions)
    seed_weights(network, recipe.seed)
    tell("fitting the heads")
    opinions = None
    if lessons is not None:
        opinions = Opinions(lessons.training, recipe.distil, unlabelled)
    penalised = [place for place, kind in enumerate(DEGRADATIONS) if kind in recipe.penalised]
    pseudo = [
        clip.mean + shift for clip, shift in zip(training, shifts, strict=True) if shift is not None
    ]
    head = fit_heads(
        training, recipe.heads, recipe.penalty_rank, opinions, penalised, pseudo, calls
    )
    _give(network, head)
    with torch.no_grad():
        network.projection.copy_(fit_projection(training, recipe.dimensions))
    batches = recipe.flow_batches
    task = FlowTask(network, training, validation, batches.clips, batches.looks)
    observer = telling(tell, "flow", recipe.flow)
    # A finished state holds the whole network: one of other heads must never be taken for this.
    folder = work / f"flow-{_key(recipe, network)}"
    with always_as_many_threads():
        trained = train(task, recipe.flow, recipe.seed, folder, observer)
    assert isinstance(trained, StyleFlowLive)
    said = head.logits(np.stack([clip.mean for clip in validation]))
    share = weigh_flow(trained, training, validation, said)
    tell(f"style flow has a weight of {share:g} beside the heads")
    labels = [clip.entry.label for clip in validation]
    ratings = rate_clips(trained, validation)
    if lessons is not None:
        ranks = agreement(ratings, lessons.validation)
        tell(f"the student ranks clips as {recipe.teacher} does, to {ranks:.2f} of 1")
    calibration = fit_calibration(labels, ratings, recipe.prior, recipe.undecided)
    calibration = with_widths(calibration, labels, ratings, sharp)
    figures = _figures(validation, ratings, head, said) | {"style_flow": share}
    figures |= _calibrated(validation, ratings, sharp, calibration)
    tell(_summary(figures))
    (work / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return Checkpoint(
        kind="styleflow-live",
        version=recipe.version,
        dimensions=recipe.dimensions,
        tensors=trained.state_dict(),
        calibration=calibration,
        status=TrainingStatus.EXPERIMENTAL if calibration.fitted else TrainingStatus.UNCALIBRATED,
        provenance=_provenance(recipe, training, len(pseudo), lessons),
    )


def _key(recipe: StyleFlowLiveRecipe, network: StyleFlowLive) -> str:
    """Return a short name for all that the training of the style flow begins with."""
    said = f"{recipe.seed} {recipe.flow} {recipe.flow_batches} {digest(network.state_dict())}"
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _provenance(
    recipe: StyleFlowLiveRecipe,
    training: Sequence[ClipFeatures],
    pseudo: int,
    lessons: Lessons | None,
) -> str:
    """Return what a checkpoint says of how it was made."""
    reals = [clip for clip in training if clip.entry.label == REAL]
    fakes = [clip for clip in training if clip.entry.label == FAKE]
    taught = ""
    if pseudo:
        taught = f"Pseudo-fakes: {pseudo} round trips of real faces through TAEF2. "
    elif recipe.wants_round_trips:
        taught = "Without the round trips of its recipe, for want of an auto-encoder. "
    if lessons is not None:
        taught += (
            f"Taught as well by {recipe.teacher} on {np.isfinite(lessons.training).sum()} "
            "clips, whose labels were not looked at for that. "
        )
    return (
        f"Heads trained by this project on frozen DINOv2 ViT-S/14 features of {len(reals)} "
        f"real clips of {len({c.entry.group for c in reals})} groups and {len(fakes)} fakes of "
        f"{len({c.entry.generator for c in fakes})} generators. {taught}Seed {recipe.seed}. See "
        "docs/model-card.md."
    )


@torch.no_grad()
def rate_clips(network: StyleFlowLive, clips: Sequence[ClipFeatures]) -> NDArray[np.float64]:
    """Return what the network says of each clip after its last look, `(n,)`."""
    network.eval()

    def last(clip: ClipFeatures) -> float:
        looks = torch.from_numpy(clip.looks.astype(np.float32))[None]
        return float(network.rate_looks(looks, torch.from_numpy(clip.slots)[None])[0, -1])

    return np.array([last(clip) for clip in clips])


@torch.no_grad()
def _give(network: StyleFlowLive, head: Head) -> None:
    """Give fitted heads to a network."""
    weights = torch.from_numpy(head.weights.astype(np.float32))
    network.face.weight.copy_(weights[:, :2].reshape(1, -1))
    network.regions.weight.copy_(weights[:, 2:].reshape(1, -1))
    network.face.bias.fill_(float(head.biases[:2].sum()))
    network.regions.bias.fill_(float(head.biases[2:].sum()))
    network.map_bias.fill_(float(head.biases[0]))


def _figures(
    clips: Sequence[ClipFeatures],
    ratings: NDArray[np.float64],
    head: Head,
    said: NDArray[np.float64],
) -> dict[str, Any]:
    """Return what validation says: how it ranks, how sources spread, what moves reals."""
    labels = np.array([clip.entry.label for clip in clips])
    groups = [clip.entry.group for clip in clips]
    interval = bootstrap(auc, labels, ratings, groups, np.random.default_rng(0))
    distance = float(ratings[labels == FAKE].mean() - ratings[labels == REAL].mean())
    even = fit_calibration(labels, ratings)
    probabilities = [even.probability(float(rating)) for rating in ratings]
    return {
        "auc": [round(v, 4) for v in (interval.value, interval.low, interval.high)],
        "auc_by_kind": _by_kind(clips, labels, ratings),
        "fakes_flagged_at_5_percent_of_reals": round(hit_rate_at(labels, ratings, 0.05), 4),
        "threshold_at_5_percent_of_reals": float(np.quantile(ratings[labels == REAL], 0.95)),
        "calibration_error_in_sample": round(calibration_error(labels, probabilities), 4),
        "distance_between_labels": round(distance, 4),
        "spread_of_real_sources": round(_spread(clips, ratings) / distance, 4),
        "degradations_move_reals_by": _moved(clips, head, distance),
        "heads_alone": round(auc(labels, said), 4),
    }


def _summary(figures: Mapping[str, Any]) -> str:
    """Return a line with what validation ranks right, and how far real sources lie apart."""
    value, low, high = figures["auc"]
    return (
        f"validation: AUC {value:.3f} ({low:.3f} to {high:.3f}); means of real sources spread by "
        f"{figures['spread_of_real_sources']:.2f} of the distance between the labels"
    )


def _calibrated(
    clips: Sequence[ClipFeatures],
    ratings: NDArray[np.float64],
    sharp: NDArray[np.float64],
    calibration: Calibration,
) -> dict[str, Any]:
    """Return how far calibration, intervals and abstaining hold on groups that they never saw."""
    labels = [clip.entry.label for clip in clips]
    apart = cross_fitted(labels, ratings, sharp, [clip.entry.group for clip in clips])
    return {
        "near_chance": near_chance_figures(labels, ratings, calibration),
        "cross_fitted": None if apart is None else asdict(apart),
    }


def _by_kind(
    clips: Sequence[ClipFeatures], labels: NDArray[np.int64], ratings: NDArray[np.float64]
) -> dict[str, list[float]]:
    """Return the AUC of each kind of fake against all reals, and how many clips it has."""
    kinds = np.array([clip.entry.kind for clip in clips])
    found = {}
    for kind in sorted(set(kinds[labels == FAKE])):
        taken = (labels == REAL) | (kinds == kind)
        found[str(kind)] = [
            round(auc(labels[taken], ratings[taken]), 3),
            int((kinds == kind).sum()),
        ]
    return found


def _spread(clips: Sequence[ClipFeatures], ratings: NDArray[np.float64]) -> float:
    """Return the standard deviation of the mean ratings of real groups."""
    groups: dict[str, list[float]] = {}
    for clip, rating in zip(clips, ratings, strict=True):
        if clip.entry.label == REAL:
            groups.setdefault(clip.entry.group, []).append(float(rating))
    return float(np.std([np.mean(found) for found in groups.values()]))


def _moved(clips: Sequence[ClipFeatures], head: Head, distance: float) -> dict[str, float]:
    """Return by how much each degradation moves reals, in distances between the labels."""
    reals = [clip for clip in clips if len(clip.degraded)]
    if not reals:
        return {}
    clean = head.logits(np.stack([clip.clean for clip in reals]))
    return {
        name: round(float((head.logits(degraded) - clean).mean() / distance), 3)
        for name, degraded in zip(
            DEGRADATIONS, np.stack([c.degraded for c in reals], axis=1), strict=True
        )
    }
