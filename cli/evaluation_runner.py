"""The evaluation runner: one clip after another through the engine, in this process or in several.

Every process has a runner of its own: a pipeline, made once, and one clip at a time in memory.
"""

from __future__ import annotations

import math
import multiprocessing
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cli import analyze, wiring
from cli.settings import Settings
from stream.clock import ManualClock
from stream.offline.evaluate_clip import evaluate_clip
from stream.pipeline import Pipeline
from styleflow.cards import ModelCard
from styleflow.data.index import Entry
from styleflow.data.video import follow_face, read_timed
from styleflow.errors import ResultsUnusable, VideoUnusable
from styleflow.evaluation.ablation import Ablating
from styleflow.evaluation.conditions import GRID, Condition
from styleflow.evaluation.offline import OfflineRating, rate_offline
from styleflow.evaluation.record import PLAIN, WITHOUT, ClipRecord, describe
from styleflow.runtime import computed_in
from styleflow.weights.face_networks import load_finder

MAX_OFFLINE_FRAMES = 1500
"""The offline loop holds a clip's pictures at once: 900 MB at 448 pixels a side."""

_WAITING_PER_WORKER = 2

Task = tuple[Entry, str]
"""A clip, and the name of the condition under which it is evaluated."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """What every process needs to know.

    Attributes:
        settings: everything that the command line does not say.
        root: folder of the manifest; clips are named from there.
        detector: by name; the configured one when None.
        weights: its files, when they are not the configured ones.
        untrained: random weights where there are none.
        seconds: evaluate so much media time of each clip at most.
        offline: rate clips as they are by the offline loop, too.
    """

    settings: Settings
    root: Path
    detector: str | None = None
    weights: tuple[Path, ...] = ()
    untrained: bool = False
    seconds: float | None = None
    offline: bool = True


class EvaluationRunner:
    """Evaluates clips, one after the other.

    Args:
        wanted: which detector, and how.
    """

    def __init__(self, wanted: RunnerSettings) -> None:
        self._wanted = wanted
        asked = analyze.Wanted("", wanted.detector, wanted.weights, wanted.untrained)
        self._pipeline = analyze.pipeline_for(wanted.settings, ManualClock(), asked)
        self._pipeline.device.prepare_thread()
        self._finder = load_finder(wanted.settings.model.device) if wanted.offline else None
        self._ablated: dict[str, Pipeline] = {}

    @property
    def card(self) -> ModelCard:
        """What is known of the model that is evaluated."""
        return self._pipeline.scorer(self._wanted.detector).card

    @property
    def precision(self) -> str:
        """In what numbers networks are computed here, of several models all."""
        found = {computed_in(device.detector) for device in self._pipeline.devices}
        return ", ".join(sorted(found))

    @property
    def cues(self) -> tuple[str, ...]:
        """What can be taken away from the detector; nothing when it offers no ablation."""
        detector = self._pipeline.device.detector
        return detector.cues if isinstance(detector, Ablating) else ()

    def evaluate(self, task: Task) -> ClipRecord:
        """Return what comes of one clip under one condition."""
        entry, name = task
        if name == PLAIN:
            return self._rated_offline(entry, self._evaluate(entry, entry.path, name))
        if name.startswith(WITHOUT):
            return self._evaluate(
                entry, entry.path, name, self._without(name.removeprefix(WITHOUT))
            )
        condition = next(c for c in GRID if c.name == name)
        with TemporaryDirectory(prefix="styleflow-") as folder:
            return self._degraded(entry, condition, Path(folder) / "degraded.mp4")

    def _degraded(self, entry: Entry, condition: Condition, target: Path) -> ClipRecord:
        seed = zlib.crc32(f"{condition.name} {entry.path.name}".encode())
        try:
            condition.write(entry.path, target, seed)
        except VideoUnusable as error:
            # The engine says in its own words what is wrong with the clip.
            record = self._evaluate(entry, entry.path, condition.name)
            return replace(record, score=None, low=None, high=None, ratings=(), problem=str(error))
        return self._evaluate(entry, target, condition.name)

    def _evaluate(
        self, entry: Entry, video: Path, condition: str, pipeline: Pipeline | None = None
    ) -> ClipRecord:
        return evaluate_clip(
            video,
            pipeline or self._pipeline,
            self._wanted.settings.engine,
            describe(entry, self._wanted.root),
            condition,
            detector=self._wanted.detector,
            limit_s=self._wanted.seconds,
        )

    def _rated_offline(self, entry: Entry, record: ClipRecord) -> ClipRecord:
        if self._finder is None or len(self._pipeline.devices) > 1:
            return record
        detector = self._pipeline.device.detector
        step_s = detector.clip.step_s
        limit_s = math.inf if self._wanted.seconds is None else self._wanted.seconds
        try:
            # One step more than is rated: its frames may be nearer to the last grid point.
            times, frames = read_timed(entry.path, MAX_OFFLINE_FRAMES, limit_s + step_s)
        except VideoUnusable:
            return record  # which already says that it cannot be played
        path = follow_face(frames, self._finder)
        hop = self._wanted.settings.engine.hop_slots(detector.clip)
        device = self._wanted.settings.model.device
        said: OfflineRating = rate_offline(detector, frames, path, times, hop, device, limit_s)
        return replace(record, offline_end=said.end, offline_mean=said.mean)

    def _without(self, cue: str) -> Pipeline:
        if cue not in self._ablated:
            detector = self._pipeline.device.detector
            assert isinstance(detector, Ablating)
            made = detector.without(cue)
            self._ablated[cue] = wiring.around(self._wanted.settings, ManualClock(), made)
        return self._ablated[cue]


def evaluate_all(
    runner: EvaluationRunner, wanted: RunnerSettings, tasks: Sequence[Task], jobs: int
) -> Iterator[ClipRecord]:
    """Yield the records of clips, as they are done.

    Args:
        runner: works where there is one job.
        wanted: what further processes make their own runner of.
        tasks: clips and conditions.
        jobs: processes; with one, the clips are done here and in order.

    Raises:
        ResultsUnusable: a further process ended without an answer, for lack of memory perhaps.
    """
    if jobs == 1 or len(tasks) < 2:
        yield from map(runner.evaluate, tasks)
        return
    context = multiprocessing.get_context("spawn")
    todo = iter(tasks)
    with ProcessPoolExecutor(jobs, context, _begin, (wanted,)) as pool:
        try:
            waiting: set[Future[ClipRecord]] = set()
            while True:
                while len(waiting) < jobs * _WAITING_PER_WORKER and (task := next(todo, None)):
                    waiting.add(pool.submit(_evaluate, task))
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            reason = "a process ended without an answer; try again with fewer --jobs"
            raise ResultsUnusable(wanted.root, reason) from None
        finally:
            pool.shutdown(cancel_futures=True)


_runner: EvaluationRunner | None = None  # of this worker process; set once, by the pool


def _begin(wanted: RunnerSettings) -> None:
    global _runner
    _runner = EvaluationRunner(wanted)


def _evaluate(task: Task) -> ClipRecord:
    assert _runner is not None
    return _runner.evaluate(task)
