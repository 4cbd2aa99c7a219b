"""Replay of a file or a recorded trace through the live path, in a plain loop and one thread.

Same input, same output, bit for bit on one CPU: frames are processed one at a time, nothing is
dropped for lateness, and time is a ManualClock. Tests, `analyze`, `/predict`, streaming metrics and
benchmarks all come through here.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from stream.clock import Clock, ManualClock
from stream.engine.engine import EngineSettings
from stream.errors import SourceError, VideoBeyondLimits
from stream.events import (
    ConnectionState,
    EpochStarted,
    Event,
    Frame,
    StreamChanged,
    StreamReport,
    TrackEnd,
)
from stream.ingest.context import IngestContext, SourceAccess
from stream.ingest.ingest import Ingest
from stream.ingest.open import OpenSource, open_source
from stream.ingest.source import SourceSettings
from stream.offline.analysis import Analysis, DetectorUnknown, VideoLimits
from stream.offline.media_time import MediaTime
from stream.offline.video_record import VideoRecord
from stream.pipeline import Pipeline

STREAM = "replay"

Progress = Callable[[float], None]
"""Told the media seconds that have been processed."""


def replay(
    source: SourceSettings,
    pipeline: Pipeline,
    on_event: Callable[[Event], None],
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
    limit_s: float | None = None,
    stop: Callable[[], bool] | None = None,
    opener: OpenSource = open_source,
    media: MediaTime | None = None,
    limits: VideoLimits | None = None,
) -> None:
    """Send a source through a pipeline until its first end, and hand over every event in order.

    Args:
        source: what to read; it is opened once and never retried.
        pipeline: from frame to event; left without this stream afterwards.
        on_event: told every event.
        clock: where time comes from; a ManualClock unless the source is live.
        progress: told the media seconds processed so far.
        limit_s: stop after this much media time, counted across epochs.
        stop: asked after every frame; True ends the replay early.
        opener: how the source is obtained.
        media: counts the media time; handed in by whoever wants to know where epochs lie in it.
        limits: beyond which it is given up; any size when left out.

    Raises:
        SourceError: the source could not be opened, or broke.
        VideoBeyondLimits: there is more of it than the limits allow.
    """
    media = media or media_time(pipeline)
    clock = clock or ManualClock()
    context = IngestContext(
        pipeline.cadence_hz,
        random.Random(0),
        access=SourceAccess(opener),
        decoding=pipeline.decoding,
    )
    ingest = Ingest(STREAM, source, clock, context)
    failure: SourceError | None = None
    done = False

    def emit(item: Frame | StreamChanged | EpochStarted) -> None:
        nonlocal failure, done
        if done:
            return
        if isinstance(item, Frame):
            _check_size(item, limits)
            processed = pipeline.process([(item, 0)])
            for event in processed.events:
                on_event(event)
            for fault in processed.faults:
                raise fault.error
            elapsed_s = media.advance(item.epoch, item.at)
            if progress is not None:
                progress(elapsed_s)
            if (limit_s is not None and elapsed_s >= limit_s) or (stop is not None and stop()):
                done = True
                ingest.close()
            return
        if isinstance(item, EpochStarted):
            media.begin(item.epoch)
        on_event(item)
        if isinstance(item, StreamChanged) and item.code is not None:
            if item.state in (ConnectionState.BACKING_OFF, ConnectionState.FAILED):
                failure = SourceError(item.code, item.detail)
                done = True
                ingest.close()
            elif item.state is ConnectionState.ENDED:
                done = True

    def wait(seconds: float) -> bool:
        if isinstance(clock, ManualClock):
            clock.advance(max(seconds, 0.0))
        if limits is not None and ingest.counters.decoded > limits.frames:
            raise VideoBeyondLimits(f"it has more than {limits.frames} pictures")
        return done or (stop is not None and stop())

    pipeline.open(STREAM)
    try:
        ingest.run(emit, wait)
    finally:
        for report in pipeline.reports(0.0):
            if isinstance(report, StreamReport) and report.stream == STREAM:
                media.notices = report.notices
        for event in pipeline.close(STREAM, TrackEnd.EPOCH_ENDED):
            on_event(event)
    if failure is not None:
        raise failure


def media_time(pipeline: Pipeline) -> MediaTime:
    """Return a count of media time whose epochs are one sampled frame apart."""
    return MediaTime(1.0 / pipeline.cadence_hz)


def _check_size(frame: Frame, limits: VideoLimits | None) -> None:
    height, width = frame.image.shape[:2]
    if limits is not None and width * height > limits.pixels:
        raise VideoBeyondLimits(
            f"its pictures of {width}x{height} have more than {limits.pixels} pixels"
        )


def analyze(
    source: SourceSettings,
    pipeline: Pipeline,
    engine: EngineSettings,
    *,
    detector: str | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
    limit_s: float | None = None,
    stop: Callable[[], bool] | None = None,
    opener: OpenSource = open_source,
    partial: bool = False,
    limits: VideoLimits | None = None,
) -> Analysis:
    """Return what a whole video says: a score per face, and the highest as the video's.

    Of a pipeline's detectors only one is heard: `detector`, or the first. Of a source that breaks
    off, `partial` keeps what was analyzed until then, if anything was. See `VideoRecord` for what
    makes the score and the verdict.

    Raises:
        DetectorUnknown: the pipeline has no detector of that name.
        SourceError: the source could not be opened, or broke.
    """
    try:
        scorer = pipeline.scorer(detector)
    except KeyError:
        known = tuple(scorer.card.name for scorer in pipeline.scorers)
        raise DetectorUnknown(str(detector), known) from None
    media = media_time(pipeline)
    record = VideoRecord(scorer, media)

    def on_progress(at: float) -> None:
        record.frames += 1
        if progress is not None:
            progress(at)

    failure: SourceError | None = None
    try:
        replay(
            source,
            pipeline,
            record.take,
            clock=clock,
            progress=on_progress,
            limit_s=limit_s,
            stop=stop,
            opener=opener,
            media=media,
            limits=limits,
        )
    except SourceError as error:
        if not partial or not record.frames:
            raise
        failure = error
    return record.conclude(source, engine, failure)
