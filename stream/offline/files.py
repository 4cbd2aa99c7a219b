"""Video files to analyses, while live streams go on: one file at a time, in a worker thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stream.engine.engine import EngineSettings
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.offline.analysis import Analysis, DetectorUnknown, VideoLimits
from stream.offline.replay import analyze
from stream.pipeline import Pipeline


class FileAnalyzer:
    """Analyzes video files one call at a time, in a worker thread with pipelines of its own.

    Each detector gets a pipeline at its first call and keeps it, so their number is bounded by the
    detectors' names.

    Args:
        pipeline: makes the pipeline of one detector.
        detectors: the names that there are, the default first.
        engine: thresholds of the verdict.
        limits: what one file may take; anything when left out.
    """

    def __init__(
        self,
        pipeline: Callable[[str], Pipeline],
        detectors: Sequence[str],
        engine: EngineSettings,
        limits: VideoLimits | None = None,
    ) -> None:
        self._make = pipeline
        self._detectors = tuple(detectors)
        self._engine = engine
        self._limits = limits
        self._pipelines: dict[str, Pipeline] = {}
        self._turn = asyncio.Lock()

    async def __call__(self, path: Path, *, shown: str, detector: str | None) -> Analysis:
        """Return what a file says; cancelling stops the worker at its next frame.

        Raises:
            SourceError: the file is not a video, or cannot be decoded.
            VideoBeyondLimits: the file is more than one analysis may take.
            DetectorUnknown: there is no such detector.
        """
        name = self._detectors[0] if detector is None else detector
        if name not in self._detectors:
            raise DetectorUnknown(name, self._detectors)
        stop = threading.Event()
        async with self._turn:
            work = asyncio.create_task(asyncio.to_thread(self._analyze, path, name, stop))
            try:
                analysis = await asyncio.shield(work)
            except asyncio.CancelledError:
                stop.set()
                await asyncio.wait((work,))
                raise
        return replace(analysis, source=shown)

    def _analyze(self, path: Path, detector: str, stop: threading.Event) -> Analysis:
        pipeline = self._pipelines.get(detector)
        if pipeline is None:
            pipeline = self._pipelines[detector] = self._make(detector)
        pipeline.device.prepare_thread()
        source = SourceSettings(SourceUrl.parse(str(path)), pace=Pace.FAST)
        return analyze(
            source,
            pipeline,
            self._engine,
            detector=detector,
            stop=stop.is_set,
            limits=self._limits,
        )
