"""Work of `styleflow baseline`: known-real video becomes a file that the analyzer looks at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from platformdirs import user_data_path
from rich.console import Console
from sqlalchemy import Connection

from cli import analyze, logs, wiring
from cli.baseline_wiring import baseline_folder
from cli.settings import ConfigInvalid, Settings
from cli.store import command_line_user
from stream.analyzer.streams import MAX_STREAM_ID, STREAM_ID
from stream.baseline.making import Rated, Said, advice, made_of
from stream.baseline.service import note_added, note_removed
from stream.baseline.shelf import BaselineShelf
from stream.baseline.trials import Look, RealTrial, TrialMaker
from stream.clock import Clock, ManualClock, SystemClock
from stream.events import Event, Score
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.offline.replay import replay
from stream.store.access import DirectStore
from stream.store.database import open_database


def add(
    settings: Settings,
    stream: str,
    file: Path,
    name: str,
    out: Console,
    *,
    seconds: float | None = None,
    untrained: bool = False,
    clock: Clock | None = None,
) -> None:
    """Make a stream's baseline of a video and say what it is.

    Args:
        settings: which detector rates, how verdicts come, and where baselines are kept.
        stream: whose.
        file: the video.
        name: what people call it.
        out: where to.
        seconds: of media at most.
        untrained: random weights where there are none.
        clock: says when it was made; the system's if None.

    Raises:
        ConfigInvalid: the stream cannot have this id.
        SourceError: the video cannot be played.
        BaselineTooShort: too little evidence is in it.
        OSError: it cannot be written.
    """
    if len(stream) > MAX_STREAM_ID or re.fullmatch(STREAM_ID, stream) is None:
        raise ConfigInvalid("STREAM", (f"no stream can have the id {stream[:80]!r}",))
    logs.configure("warning", settings.log.format)
    source = SourceSettings(SourceUrl.parse(str(file)), pace=Pace.FAST)
    asked = analyze.Wanted(str(file), untrained=untrained)
    pipeline = analyze.pipeline_for(settings, ManualClock(), asked)
    pipeline.device.prepare_thread()
    rated = wiring.rated(settings, [device.detector.card for device in pipeline.devices])
    trials: list[RealTrial] = []
    replay(source, pipeline, collecting(trials, rated), limit_s=seconds)
    at = (clock or SystemClock()).utc()
    said = Said(stream, name, f"the file {file.name}", command_line_user(), at)
    made = made_of(trials, rated, said, settings.baseline)
    BaselineShelf(baseline_folder(settings.baseline)).put(made)
    _audit(settings, partial(note_added, baseline=made))
    found = made.statistics
    _print(
        out,
        f"{stream}: {made.minutes:.1f} min of evidence in {found.trials} trials of {found.faces} "
        f"faces, which tell as much as {found.effective:.0f} independent ones; holds until "
        f"{made.expires:%Y-%m-%d}",
    )
    if said_of := advice(found, rated.table):
        _print(out, f"note: {said_of}")
    if rated.table is None:
        _print(out, "note: verdicts come of thresholds; set decision.by to budget to use it")


def collecting(trials: list[RealTrial], rated: Rated) -> Callable[[Event], None]:
    """Return what takes a video's events and adds its whole trials to a list."""
    maker = TrialMaker(rated.horizon)

    def take(event: Event) -> None:
        if isinstance(event, Score) and event.detector == rated.detector:
            trial = maker.add(Look.of(event))
            if trial is not None:
                trials.append(trial)

    return take


def show(settings: Settings, out: Console, *, as_json: bool) -> None:
    """Print the baselines that are kept."""
    kept = sorted(BaselineShelf(baseline_folder(settings.baseline)).all().items())
    if as_json:
        _print(out, json.dumps([one.document() for _, one in kept]))
        return
    if not kept:
        _print(out, "no baselines")
        return
    now = SystemClock().utc()
    for stream, one in kept:
        until = "held" if one.expires <= now else "holds"
        _print(
            out,
            f"{stream}  {one.name}, {one.minutes:.1f} min, {one.made:%Y-%m-%d}, {until} until "
            f"{one.expires:%Y-%m-%d}; {one.source}, says {one.by}",
        )


def remove(settings: Settings, stream: str, out: Console) -> None:
    """Forget a stream's baseline.

    Raises:
        BaselineUnknown: it has none.
        OSError: it cannot be removed.
    """
    BaselineShelf(baseline_folder(settings.baseline)).remove(stream)
    at, by = SystemClock().utc(), command_line_user()
    _audit(settings, partial(note_removed, at=at, by=by, stream=stream))
    _print(out, f"{stream}: the baseline is forgotten")


def _audit(settings: Settings, write: Callable[[Connection], None]) -> None:
    """Note it in the audit log, if there is a store."""
    if not settings.store.enabled:
        return
    database = open_database(settings.store.url.get_secret_value(), user_data_path("styleflow"))
    try:
        DirectStore(database.engine).submit(write).result()
    finally:
        database.close()


def _print(out: Console, line: str) -> None:
    """Print a line whole, so that it can be copied and searched on a narrow terminal."""
    out.print(line, markup=False, highlight=False, soft_wrap=True)
