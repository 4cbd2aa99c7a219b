"""Puts the parts together: settings in, running objects out. No decisions of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cli.settings import DetectorConfig, Settings
from stream.baseline.making import Rated
from stream.clock import Clock
from stream.device.device import Device
from stream.engine.budget import Budget
from stream.engine.camera import Camera
from stream.engine.decider import Deciders
from stream.engine.verdict import Thresholds
from stream.errors import SettingInvalid
from stream.offline.analysis import VideoLimits
from stream.offline.files import FileAnalyzer
from stream.perception.perception import Perception
from stream.pipeline import Observer, Pipeline, Viewer
from stream.second_look.second_looks import SecondLooks
from styleflow import ensemble
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.decisions import DecisionTable, read_table, shipped_table
from styleflow.detectors.gend.network import GendDims
from styleflow.detectors.protocol import Detector, HopAware
from styleflow.detectors.registry import BUILT_IN
from styleflow.detectors.styleflow.network import StyleFlowDims
from styleflow.errors import DecisionTableUnusable
from styleflow.pictures.hardware import Decoding
from styleflow.runtime import accelerate
from styleflow.runtime_settings import RuntimeSettings
from styleflow.weights import importing
from styleflow.weights.checkpoint import Checkpoint, build, shipped
from styleflow.weights.face_networks import graphs_dir, load_finder
from styleflow.weights.places import fetched


def chosen(settings: Settings) -> tuple[DetectorConfig, ...]:
    """Return the configured detectors; the built-in one when none is."""
    return settings.detectors or (DetectorConfig(name=BUILT_IN),)


def checkpoint(
    wanted: DetectorConfig, settings: Settings, *, untrained: bool = False
) -> Checkpoint:
    """Return a detector's weights.

    Args:
        wanted: which detector, and where its weights are; those that were fetched when it does not
            say.
        settings: name the built-in detector's weights.
        untrained: give random weights, which say so, to a detector that has none.

    Raises:
        DetectorWeightsMissing: there are none.
        CheckpointInvalid: they cannot be used.
    """
    path = wanted.checkpoint
    if wanted.name == BUILT_IN:
        path = path or settings.model.checkpoint
        if path is None:
            return shipped()
        return importing.weights((path,), wanted.name)
    path = path or fetched(wanted.name)
    if untrained and (path is None or not path.is_file()):
        return importing.untrained(wanted.name)
    if path is None:
        raise importing.missing_weights(wanted.name, None)
    return importing.weights((path,), wanted.name)


def detector(wanted: DetectorConfig, settings: Settings, *, untrained: bool = False) -> Detector:
    """Return a deepfake detector on its device."""
    return _built(checkpoint(wanted, settings, untrained=untrained), wanted, settings)


def runtime(settings: Settings) -> RuntimeSettings:
    """Return how networks without memory are run."""
    workers = settings.model.workers or os.cpu_count() or 1
    model = settings.model
    return RuntimeSettings(model.runtime, workers, graphs_dir(), bearing=model.precision)


def pipeline(
    settings: Settings,
    clock: Clock,
    observe: Observer | None = None,
    *,
    untrained: bool = False,
    viewer: Viewer | None = None,
    cameras: Callable[[str, ModelCard], Camera | None] | None = None,
    second: bool = False,
) -> Pipeline:
    """Return a pipeline with devices of its own; the face models are shared by its streams.

    Args:
        settings: which detectors, and everything else.
        clock: where time comes from.
        observe: told the duration of every stage.
        untrained: give random weights, which say so, to detectors that have none.
        viewer: shown the regions that explain the scores.
        cameras: knows a stream's own known-real video; see `Pipeline`.
        second: show faces to the heavier detector that is configured, if one is; only live video
            has a share of time to give.

    Raises:
        WeightsMissing: the face models have not been fetched.
        DetectorWeightsMissing: a published detector's weights are not there.
        CheckpointInvalid: a checkpoint cannot be used.
        EnsembleInvalid: the ensemble cannot be used with these detectors.
    """
    together = ensemble.load(settings.ensemble) if settings.ensemble else None
    devices = [
        Device(
            detector(wanted, settings, untrained=untrained),
            wanted.slots or settings.model.slots,
            settings.model.device,
            settings.model.threads,
        )
        for wanted in chosen(settings)
    ]
    heavier = second_looks(settings, clock, devices[0], untrained=untrained) if second else None
    return _pipeline(settings, clock, devices, observe, together, viewer, cameras, heavier)


def second_looks(
    settings: Settings, clock: Clock, first: Device, *, untrained: bool = False
) -> SecondLooks | None:
    """Return the heavier detector on a device of its own; None when none is configured.

    Args:
        settings: which one, and what it may cost.
        clock: measures that.
        first: the device of the detector whose faces it is shown.
        untrained: give it random weights, which say so, if it has none.

    Raises:
        DetectorWeightsMissing: its weights are not there.
        SettingInvalid: it wants more frames a second than there are.
    """
    wanted = settings.second_look.wanted()
    if wanted is None:
        return None
    device = Device(
        detector(wanted, settings, untrained=untrained),
        settings.second_look.at_once,
        settings.model.device,
        settings.model.threads,
    )
    clip, anchor = first.detector.clip, settings.perception.anchor
    chosen = settings.second_look.settings()
    return SecondLooks(device, chosen, clip, settings.engine, clock, anchor)


def predictor(settings: Settings, clock: Clock, *, untrained: bool = False) -> FileAnalyzer:
    """Return what answers `/predict`: a pipeline per detector, made at its first request.

    With an ensemble configured there is one more scorer, for which all detectors run.
    """
    names = [wanted.name for wanted in chosen(settings)]

    def of(name: str) -> Pipeline:
        if name == ensemble.NAME:
            return pipeline(settings, clock, untrained=untrained)
        return pipeline(alone(settings, name), clock, untrained=untrained)

    scorers = [*names, ensemble.NAME] if settings.ensemble else names
    limits = VideoLimits(settings.web.predict.max_frames, settings.web.predict.max_pixels)
    return FileAnalyzer(of, scorers, settings.engine, limits)


def alone(settings: Settings, name: str) -> Settings:
    """Return the settings in which only one detector looks."""
    own = tuple(wanted for wanted in chosen(settings) if wanted.name == name)
    return settings.model_copy(update={"detectors": own, "ensemble": None})


def from_files(
    settings: Settings,
    clock: Clock,
    name: str,
    weights: Sequence[Path],
    viewer: Viewer | None = None,
) -> Pipeline:
    """Return a pipeline of one detector whose weights are given on the command line.

    Args:
        settings: everything else; of a configured detector of this name, only what its style
            encoder is fed, its cadence and its precision.
        clock: where time comes from.
        name: the detector.
        weights: our checkpoint, or the authors' files, which are imported on the way.
        viewer: shown the regions that explain the scores.
    """
    own = {own.name: own for own in chosen(settings)}.get(name) or DetectorConfig(name=name)
    wanted = DetectorConfig(
        name=name,
        psp_input=own.psp_input,
        cadence_hz=own.cadence_hz,
        precision=own.precision,
    )
    made = _built(importing.weights(weights, name), wanted, settings)
    slots, threads = settings.model.slots, settings.model.threads
    device = Device(made, slots, settings.model.device, threads)
    return _pipeline(settings, clock, [device], viewer=viewer)


def around(settings: Settings, clock: Clock, made: Detector) -> Pipeline:
    """Return a pipeline of one detector that is there already, such as one without a cue."""
    slots, threads = settings.model.slots, settings.model.threads
    return _pipeline(settings, clock, [Device(made, slots, settings.model.device, threads)])


def _pipeline(
    settings: Settings,
    clock: Clock,
    devices: Sequence[Device],
    observe: Observer | None = None,
    together: ensemble.Ensemble | None = None,
    viewer: Viewer | None = None,
    cameras: Callable[[str, ModelCard], Camera | None] | None = None,
    second: SecondLooks | None = None,
) -> Pipeline:
    finder = load_finder(settings.model.device, runtime(settings))
    clips = [device.detector.clip for device in devices]
    return Pipeline(
        devices,
        lambda: Perception(finder, clips, settings.perception),
        settings.engine,
        clock,
        observe,
        together,
        viewer,
        deciders(settings, devices),
        cameras,
        second,
        decoding(settings),
    )


def decoding(settings: Settings) -> Decoding:
    """Return where video is decoded, and where its pictures lie."""
    model = settings.model
    return Decoding.on(model.device, hardware=model.decoding == "auto")


def deciders(settings: Settings, devices: Sequence[Device]) -> Callable[[str], Deciders]:
    """Return what makes the verdicts of a new stream's faces, for the detector of a name.

    Raises:
        DecisionTableUnusable: a budget is wanted, and the table is missing or of other weights.
    """
    wanted = settings.decision
    if wanted.by == "thresholds":
        return lambda detector: Thresholds()
    table = decision_table(settings, [device.detector.card for device in devices])
    return lambda detector: Budget(table, wanted) if detector == table.detector else Thresholds()


def decision_table(settings: Settings, models: Sequence[ModelCard]) -> DecisionTable:
    """Return the known trials that a budget decides by.

    Raises:
        DecisionTableUnusable: the table is missing, or of other weights than these models'.
    """
    wanted = settings.decision
    table = shipped_table() if wanted.table is None else read_table(wanted.table)
    cards = {card.name: card for card in models}
    card = cards.get(table.detector)
    if card is None:
        raise DecisionTableUnusable(
            f"the known trials are of {table.detector}, which is not among {', '.join(cards)}"
        )
    if card.sha256 != table.digest:
        raise DecisionTableUnusable(
            f"the known trials are of other weights of {card.name} ({table.digest[:12]}) than "
            f"these ({card.sha256[:12]}); evaluate these and make a table of that"
        )
    return table


def rated(settings: Settings, cards: Sequence[ModelCard]) -> Rated:
    """Return whose ratings baselines are made of: those that a budget decides by, or the first.

    Raises:
        DecisionTableUnusable: a budget is wanted, and there is no table.
    """
    wanted = settings.decision
    if wanted.by == "thresholds":
        return Rated(cards[0].name, cards[0].sha256)
    table = shipped_table() if wanted.table is None else read_table(wanted.table)
    return Rated(table.detector, table.digest, table)


def _built(weights: Checkpoint, wanted: DetectorConfig, settings: Settings) -> Detector:
    """Return the detector of some weights, as configured and for the engine's hop."""
    weights = _paced(_fed(_calibrated(weights, wanted), wanted), wanted)
    made = build(weights, settings.model.device)
    if isinstance(made, HopAware):
        made = made.every(settings.engine.hop_slots(made.clip))
    accelerate(made, replace(runtime(settings), precision=wanted.precision))
    return made


def _paced(weights: Checkpoint, wanted: DetectorConfig) -> Checkpoint:
    """Return weights whose detector is fed at the configured cadence, if one is said."""
    if wanted.cadence_hz is None or not isinstance(weights.dimensions, GendDims):
        return weights
    dimensions = replace(weights.dimensions, cadence_hz=wanted.cadence_hz)
    return replace(weights, dimensions=dimensions)


def _fed(weights: Checkpoint, wanted: DetectorConfig) -> Checkpoint:
    """Return weights whose style encoder is fed as configured, if that is said."""
    if wanted.psp_input is None or not isinstance(weights.dimensions, StyleFlowDims):
        return weights
    return replace(weights, dimensions=replace(weights.dimensions, psp_input=wanted.psp_input))


def _calibrated(weights: Checkpoint, wanted: DetectorConfig) -> Checkpoint:
    """Return weights with the configured calibration and prior, if there are any.

    Raises:
        SettingInvalid: a prior for a detector that is not calibrated.
    """
    if wanted.calibration is not None:
        status = weights.status
        if status is TrainingStatus.UNCALIBRATED:
            status = TrainingStatus.TRAINED
        weights = replace(weights, calibration=wanted.calibration.fitted(), status=status)
    if wanted.prior is None:
        return weights
    if not weights.calibration.fitted:
        rule = f"needs a calibration, which the weights of {wanted.name} do not have"
        raise SettingInvalid("prior", wanted.prior, rule)
    return replace(weights, calibration=weights.calibration.at_prior(wanted.prior))
