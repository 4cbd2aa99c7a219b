"""`styleflow evidence replay`: the packets of a bundle are scored again, and the scores compared.

A bundle may come from anybody: it is checked first and refused unless every part is as it was
signed. Of its configuration only what scores depend on is taken, and never a path: weights are
those of this machine, if their digest is the recorded one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from cli import logs, wiring
from cli.errors import Exit
from cli.evidence import own_keys, print_line, versions
from cli.settings import DetectorConfig, Settings
from stream.clock import ManualClock
from stream.errors import SourceError
from stream.events import Event, Score
from stream.evidence import archive, replay, verify
from stream.evidence.errors import BundleRefused, ReplayImpossible
from stream.evidence.replay import Comparison, Pair, RecordedModel, Recording
from stream.offline.rescore import rescore
from styleflow import ensemble
from styleflow.errors import DetectorWeightsMissing
from styleflow.runtime_settings import Precision
from styleflow.weights import importing
from styleflow.weights.checkpoint import Checkpoint

TAKEN = ("engine", "perception")
"""Sections of the recorded configuration that scores depend on, besides the detectors."""

DETECTOR_KEYS = ("name", "psp_input", "cadence_hz", "precision", "calibration")
"""Keys of a recorded detector that are taken; its paths and slots are this machine's."""


def run(
    settings: Settings,
    file: Path,
    keys: Sequence[str],
    weights: Sequence[Path],
    rows: int,
    out: Console,
) -> Exit:
    """Print recorded against replayed scores, and return the outcome.

    Args:
        settings: of this machine: device, runtime, where weights are.
        file: the bundle.
        keys: fingerprints that are trusted; this user's own key when empty.
        weights: files to look for the recorded weights in, besides the configured ones.
        rows: lines of the table, at most; the largest deviations stay.
        out: where to.

    Raises:
        BundleRefused: it is no bundle, was changed, or may do harm.
        ReplayImpossible: it cannot be scored again here; says what is needed.
    """
    logs.configure("warning", settings.log.format)
    recorded = _recording(file, keys, out)
    own = _settings(settings, recorded)
    own = own.model_copy(update={"detectors": _detectors(own, settings, recorded.models, weights)})
    pipeline = wiring.pipeline(own, ManualClock())
    pipeline.device.prepare_thread()
    scores: list[Score] = []

    def take(event: Event) -> None:
        if isinstance(event, Score):
            scores.append(event)

    try:
        frames = rescore(
            recorded.sidecar.rebuilt(recorded.media),
            recorded.sidecar.frames,
            pipeline,
            take,
            settings.web.predict.max_pixels,
        )
    except ValueError as error:
        raise BundleRefused(f"{recorded.sidecar.media}: {error}") from error
    except SourceError as error:
        raise BundleRefused(f"{recorded.sidecar.media} cannot be decoded: {error}") from error
    compared = replay.compare(recorded, scores)
    _show(recorded, compared, rows, out)
    print_line(out, f"frames   {frames} of {len(recorded.sidecar.frames)} that were looked at")
    return _conclude(recorded, compared, out)


def _recording(file: Path, keys: Sequence[str], out: Console) -> Recording:
    """Return what can be scored again of a bundle that is as it was signed."""
    found = archive.read(file)
    checked = verify.check_parts(found, {key.lower() for key in keys} or own_keys())
    if not checked.whole:
        told = "; ".join(map(str, checked.faults[:3]))
        raise BundleRefused(f"it is not as it was signed, so it proves nothing: {told}")
    said = "a key that is known here" if checked.known else "an UNKNOWN key"
    print_line(out, f"incident {checked.incident}, made {checked.made}")
    print_line(out, f"signed   by {said}: {checked.signer}")
    return replay.recording({part.name: part.data for part in found if part.data is not None})


def _settings(settings: Settings, bundle: Recording) -> Settings:
    """Return this machine's settings with what scores depend on as it was recorded."""
    recorded = bundle.configuration
    if bundle.sidecar.engine:
        recorded = {**recorded, "engine": dict(bundle.sidecar.engine)}
    try:
        detectors = [
            {key: each[key] for key in DETECTOR_KEYS if each.get(key) is not None}
            for each in recorded.get("detectors", ())
        ]
        taken = {key: recorded[key] for key in TAKEN if key in recorded}
        # Before it could be chosen, the precision was this one.
        precision = recorded.get("model", {}).get("precision", Precision.BFLOAT16.value)
        taken["model"] = {"precision": precision}
        wanted = Settings.model_validate({**taken, "detectors": detectors})
    except (ValidationError, AttributeError, TypeError, ValueError) as error:
        raise BundleRefused(f"its configuration cannot be used: {error}") from None
    same = {key: getattr(wanted, key) for key in (*TAKEN, "detectors")}
    model = settings.model.model_copy(update={"precision": wanted.model.precision})
    return settings.model_copy(update={**same, "model": model, "ensemble": None})


def _detectors(
    own: Settings, here: Settings, models: Sequence[RecordedModel], files: Sequence[Path]
) -> tuple[DetectorConfig, ...]:
    """Return the recorded detectors, each with weights of the recorded digest.

    Raises:
        ReplayImpossible: the digest is of none that are here.
    """
    chosen = wiring.chosen(own)
    digests = {model.name: model for model in models if model.name != ensemble.NAME}
    unknown = sorted(digests.keys() - {wanted.name for wanted in chosen})
    if unknown:
        needs = "a bundle exported with the configuration that the analyzer ran with"
        raise ReplayImpossible(f"its configuration does not name {', '.join(unknown)}", needs)
    return tuple(_with_weights(wanted, here, digests.get(wanted.name), files) for wanted in chosen)


def _with_weights(
    wanted: DetectorConfig, here: Settings, model: RecordedModel | None, files: Sequence[Path]
) -> DetectorConfig:
    configured = {each.name: each.checkpoint for each in here.detectors}.get(wanted.name)
    local = wanted.model_copy(update={"checkpoint": configured})
    if model is None:
        return local
    for file in files:
        if _fits(importing.weights((file,), wanted.name), model):
            return wanted.model_copy(update={"checkpoint": file})
    needs = (
        f"weights of {model.name} {model.version} with SHA-256 {model.sha256}; "
        "name their file with --weights"
    )
    try:
        found = wiring.checkpoint(local, here)
    except DetectorWeightsMissing as error:
        raise ReplayImpossible(f"weights of {model.name} are not here", needs) from error
    if not _fits(found, model):
        reason = f"the weights of {model.name} here are others (SHA-256 {found.sha256})"
        raise ReplayImpossible(reason, needs)
    return local


def _fits(weights: Checkpoint, model: RecordedModel) -> bool:
    return weights.sha256 == model.sha256


def _show(recorded: Recording, compared: Comparison, rows: int, out: Console) -> None:
    """Print the scores, in order; of too many, those that deviate most."""
    pairs = compared.pairs
    shown = set(sorted(range(len(pairs)), key=lambda n: -_weight(pairs[n]))[:rows])
    table = Table()
    for column in ("second", "face", "detector", "recorded", "replayed", "deviation", "compared"):
        table.add_column(column, justify="right" if column != "detector" else "left")
    for number, pair in enumerate(pairs):
        if number in shown:
            table.add_row(*_row(pair, compared.begin))
    out.print(table)
    if len(pairs) > len(shown):
        print_line(out, f"{len(pairs) - len(shown)} further scores that deviate less (--rows)")


def _weight(pair: Pair) -> float:
    return pair.deviation if pair.settled else -1.0


def _row(pair: Pair, begin: float) -> tuple[str, ...]:
    each = pair.recorded
    replayed = "none" if pair.replayed is None else f"{pair.replayed.score:.6f}"
    why = "exactly" if pair.whole else "about" if pair.settled else "no: settling"
    deviation = f"{pair.deviation:.2g}" if pair.replayed is not None else "–"
    return (
        *(f"{each.arrived - begin:.2f}", f"{each.epoch}/{each.track}", each.detector),
        *(f"{each.score:.6f}", replayed, deviation, why),
    )


def _conclude(recorded: Recording, compared: Comparison, out: Console) -> Exit:
    settled, largest = compared.compared, compared.largest
    here = versions()
    other = {k: v for k, v in recorded.versions.items() if here.get(k, v) != v}
    for name, version in sorted(other.items()):
        print_line(out, f"differs  {name}: {version} there, {here[name]} here")
    left = len(compared.pairs) - len(settled)
    if left:
        print_line(
            out,
            f"left out {left} scores: the video begins in the middle, so what the analyzer "
            f"remembered is not in it; after {replay.SETTLING_S:g} s scores are compared",
        )
    if largest is None:
        print_line(out, "nothing can be compared: the video is too short after its beginning")
        return Exit.NO_VERDICT
    whole = sum(pair.whole for pair in settled)
    print_line(
        out,
        f"compared {len(settled)} scores, {whole} of them with all that they depend on "
        f"(tolerance {replay.TOLERANCE:g}), {len(settled) - whole} without what came before "
        f"the video (tolerance {replay.MIDDLE_TOLERANCE:g})",
    )
    print_line(out, f"largest  deviation {largest:.3g}, of the logits {compared.largest_logit:.3g}")
    if compared.equal:
        print_line(out, "the same to the last bit")
        return Exit.OK
    if compared.within:
        print_line(out, "the same within the tolerance")
        return Exit.OK
    missing = sum(pair.replayed is None for pair in settled)
    print_line(out, f"NOT the same; {missing} scores were not made again")
    return Exit.ERROR
