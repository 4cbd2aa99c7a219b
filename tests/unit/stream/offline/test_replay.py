"""Replay: the live path in a plain loop; same input, same output, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stream.errors import SourceError
from stream.events import (
    AbstainReason,
    Event,
    Notice,
    ReasonCode,
    Score,
    StreamChanged,
    TrackEnd,
    Verdict,
)
from stream.ingest.file import FileSource
from stream.ingest.open import open_source
from stream.ingest.source import Packet
from stream.ingest.trace import TraceWriter, recording
from stream.offline.replay import MAX_SCORES_PER_TRACK, TrackRecord, analyze, replay
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, from_file, toy_pipeline
from tests.support.wire import score


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(60), gop=20)


def events_of(path: Path) -> list[Event]:
    events: list[Event] = []
    replay(from_file(path), toy_pipeline(), events.append)
    return events


def without_changes(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, StreamChanged)]


def test_the_same_file_gives_the_same_events_bit_for_bit(clip: Path) -> None:
    assert events_of(clip) == events_of(clip)


def test_a_recorded_trace_gives_the_same_scores_as_its_source(clip: Path, tmp_path: Path) -> None:
    """Only the words about the end differ: one says file, the other trace."""
    trace = tmp_path / "disc.sftrace"
    with TraceWriter(trace, from_file(clip).url) as writer:
        first: list[Event] = []
        replay(from_file(clip), toy_pipeline(), first.append, opener=recording(open_source, writer))
    assert without_changes(events_of(trace)) == without_changes(first)


def test_an_analysis_says_what_the_video_says(clip: Path) -> None:
    said: list[float] = []
    analysis = analyze(from_file(clip), toy_pipeline(), EAGER, progress=said.append)
    assert analysis.duration_s == pytest.approx(2.36)
    assert said == sorted(said)
    assert analysis.frames == len(said) == 31
    (track,) = analysis.tracks
    assert track.end_reason is None
    assert analysis.score == track.score
    assert analysis.low is not None
    assert analysis.high is not None
    assert analysis.score is not None
    assert analysis.low < analysis.score < analysis.high
    face = max(analysis.tracks, key=lambda track: track.score or 0.0)
    assert (face.score, face.low, face.high) == (analysis.score, analysis.low, analysis.high)
    assert analysis.verdict in (Verdict.PENDING, Verdict.CLEAR, Verdict.SUSPECT)


def test_an_untrained_model_never_concludes(clip: Path) -> None:
    analysis = analyze(from_file(clip), toy_pipeline(), EAGER)
    assert analysis.verdict is Verdict.PENDING
    assert analysis.reasons == (AbstainReason.UNTRAINED,)


def test_a_limit_ends_early_and_leaves_the_pipeline_clean(clip: Path) -> None:
    pipeline = toy_pipeline()
    analysis = analyze(from_file(clip), pipeline, EAGER, limit_s=1.0)
    assert 1.0 <= analysis.duration_s <= 1.1
    assert pipeline.device.stats.used == 0


def test_stopping_ends_early(clip: Path) -> None:
    polls = iter([False] * 5 + [True] * 1000)
    analysis = analyze(from_file(clip), toy_pipeline(), EAGER, stop=lambda: next(polls))
    assert analysis.frames < 10


def test_a_missing_file_is_an_error_with_a_code(tmp_path: Path) -> None:
    pipeline = toy_pipeline()
    with pytest.raises(SourceError) as caught:
        analyze(from_file(tmp_path / "nowhere.mp4"), pipeline, EAGER)
    assert caught.value.code is ReasonCode.NOT_FOUND


def test_long_tracks_keep_a_bounded_number_of_scores() -> None:
    track = TrackRecord(0.0, 0.0)
    for _ in range(3 * MAX_SCORES_PER_TRACK):
        track.add(score())
    assert len(track.scores) <= MAX_SCORES_PER_TRACK
    assert track.summary.weight == 3 * MAX_SCORES_PER_TRACK


def test_a_video_s_interval_widens_with_what_its_frames_are_worth(clip: Path) -> None:
    """By the same figure as live: each of them worth a quarter, or all in full."""
    full = analyze(from_file(clip), toy_pipeline(settings=replace(EAGER, least_worth=1.0)), EAGER)
    poor = EAGER.min_bits_per_pixel + 1e3
    part = analyze(
        from_file(clip), toy_pipeline(settings=replace(EAGER, min_bits_per_pixel=poor)), EAGER
    )
    (track,) = part.tracks
    assert {s.evidence_weight for s in track.scores} == {
        0.5 * full.tracks[0].scores[0].evidence_weight
    }
    assert part.score == full.score
    assert part.low is not None
    assert part.high is not None
    assert full.low is not None
    assert full.high is not None
    assert part.low < full.low < full.high < part.high


def test_scores_that_abstain_do_not_count() -> None:
    track = TrackRecord(0.0, 0.0)
    track.add(score(reasons=(AbstainReason.BLURRED,), logit=5.0))
    assert track.summary.logit is None
    track.add(score(reasons=(AbstainReason.UNTRAINED,), logit=1.0))
    track.add(score(reasons=(), logit=2.0))
    assert track.summary.logit == 1.5
    assert track.end_reason is not TrackEnd.LOST
    assert isinstance(track.scores[0], Score)


# --- several epochs ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_clocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of 2.4 s behind each other in one file, each beginning at 0."""
    folder = tmp_path_factory.mktemp("clips")
    segment = encode(folder / "segment.ts", moving_pictures(60), gop=20)
    path = folder / "two_clocks.ts"
    path.write_bytes(2 * segment.read_bytes())
    return path


def test_a_file_of_two_clocks_is_one_timeline(two_clocks: Path) -> None:
    """It was told as 2.96 s with two faces at the same time."""
    analysis = analyze(from_file(two_clocks), toy_pipeline(), EAGER)
    assert analysis.duration_s == pytest.approx(4.8, abs=0.2)
    first, *_, last = sorted(analysis.tracks, key=lambda track: track.start)
    assert first.end <= 2.4 < last.start
    assert last.end == pytest.approx(analysis.duration_s, abs=0.2)
    for track in analysis.tracks:
        assert all(track.start <= score.end <= track.end + 0.01 for score in track.scores)


def test_seconds_count_the_media_of_all_epochs(two_clocks: Path) -> None:
    """A limit beyond the first clock's end read everything."""
    said: list[float] = []
    analysis = analyze(
        from_file(two_clocks), toy_pipeline(), EAGER, limit_s=3.0, progress=said.append
    )
    assert 3.0 <= analysis.duration_s <= 3.1
    assert said == sorted(said)


class Frozen(FileSource):
    """A file whose clock stands still."""

    def packets(self) -> Iterator[Packet]:
        for packet in super().packets():
            yield replace(packet, pts=0, dts=0)


@pytest.mark.parametrize("limit_s", [1.0, None])
def test_a_frozen_clock_ends_at_its_seconds_and_is_said_and_no_loss(
    clip: Path, limit_s: float | None
) -> None:
    """`analyze --seconds` never ended, and blamed packet loss."""
    analysis = analyze(
        from_file(clip),
        toy_pipeline(),
        EAGER,
        limit_s=limit_s,
        opener=lambda settings, clock, wait: Frozen(settings, clock, wait),
    )
    assert analysis.duration_s == pytest.approx(limit_s or 2.36, abs=0.4)
    assert analysis.notices == (Notice.CAMERA_CLOCK,)
    said = {reason for track in analysis.tracks for s in track.scores for reason in s.reasons}
    assert not said & {AbstainReason.PACKET_LOSS, AbstainReason.CONTAMINATED}


def test_a_sound_clock_is_not_worth_a_word(clip: Path) -> None:
    assert analyze(from_file(clip), toy_pipeline(), EAGER).notices == ()
