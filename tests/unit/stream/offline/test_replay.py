"""Replay: the live path in a plain loop; same input, same output, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from cli.analyze import show
from stream.clock import Clock
from stream.errors import SourceError, VideoBeyondLimits
from stream.events import (
    AbstainReason,
    Event,
    Notice,
    ReasonCode,
    StreamChanged,
    Verdict,
)
from stream.ingest.file import FileSource
from stream.ingest.open import Wait, open_source
from stream.ingest.source import Packet, Source, SourceSettings, SourceTraits
from stream.ingest.trace import TraceWriter, recording
from stream.offline.analysis import Analysis, VideoLimits
from stream.offline.replay import analyze, replay
from stream.perception.settings import PerceptionSettings
from styleflow.cards import TrainingStatus
from styleflow.faces.face import Face, Image
from tests.support.faces import face_at
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, CentreFinder, from_file, toy_pipeline
from web.routes.predict import prediction


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


class TwoFaces(CentreFinder):
    """Sees a face at either side of the picture."""

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        height, width = image.shape[:2]
        return tuple(face_at(width * x, height / 2, height * 0.4) for x in (0.25, 0.75))

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        return tuple(f for f in self.find(image) if any(f.box.iou(k.box) > 0.5 for k in faces))


def analysis_of_two_faces(clip: Path, max_faces: int) -> Analysis:
    settings = replace(EAGER, leave=0.9998, enter=0.9999)
    pipeline = toy_pipeline(
        TwoFaces,
        settings=settings,
        perception=PerceptionSettings(max_faces=max_faces, turn_s=60.0),
        status=TrainingStatus.TRAINED,
    )
    return analyze(from_file(clip), pipeline, settings)


def test_a_video_with_a_face_that_was_never_looked_at_is_not_clear(clip: Path) -> None:
    everybody = analysis_of_two_faces(clip, max_faces=2)
    assert (everybody.verdict, everybody.faces_waiting) == (Verdict.CLEAR, 0)
    one_left_out = analysis_of_two_faces(clip, max_faces=1)
    assert Verdict.CLEAR in [track.verdict for track in one_left_out.tracks]
    assert (one_left_out.verdict, one_left_out.faces_waiting) == (Verdict.PENDING, 1)
    assert one_left_out.reasons == (AbstainReason.FACES_WAITING,)
    said = prediction(one_left_out)
    assert (said.state, said.faces_waiting) == ("abstain", 1)
    assert "not been looked at" in said.summary
    out = Console(record=True, width=200, file=StringIO())
    show(one_left_out, None, out)
    text = out.export_text()
    assert "faces that were not looked at: up to 1 at a time" in text
    assert "verdict undecided" in text


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


class BreaksOff:
    """A source that fails after some packets, as a camera does that is unplugged."""

    def __init__(self, inner: Source, packets: int) -> None:
        self._inner = inner
        self._packets = packets

    @property
    def traits(self) -> SourceTraits:
        return self._inner.traits

    def packets(self) -> Iterator[Packet]:
        yield from islice(self._inner.packets(), self._packets)
        raise SourceError(ReasonCode.TIMEOUT, "the camera was silent for 2.5 s")

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("packets", [0, 40])
def test_what_was_seen_of_a_source_that_breaks_off_is_kept(clip: Path, packets: int) -> None:
    def opener(settings: SourceSettings, clock: Clock, wait: Wait) -> Source:
        return BreaksOff(open_source(settings, clock, wait), packets)

    source = from_file(clip)
    with pytest.raises(SourceError, match="silent"):
        analyze(source, toy_pipeline(), EAGER, opener=opener)
    if packets == 0:
        with pytest.raises(SourceError, match="silent"):
            analyze(source, toy_pipeline(), EAGER, opener=opener, partial=True)
        return
    whole = analyze(source, toy_pipeline(), EAGER)
    part = analyze(source, toy_pipeline(), EAGER, opener=opener, partial=True)
    assert part.failure is not None
    assert part.failure.code is ReasonCode.TIMEOUT
    assert 0 < part.frames < whole.frames
    assert part.tracks[0].scores
    assert part.verdict is not Verdict.CLEAR
    assert whole.failure is None


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


def test_a_file_of_too_many_pictures_is_given_up(clip: Path) -> None:
    limits = VideoLimits(frames=10, pixels=10_000_000)
    with pytest.raises(VideoBeyondLimits, match="more than 10 pictures"):
        analyze(from_file(clip), toy_pipeline(), EAGER, limits=limits)


def test_a_file_of_too_large_pictures_is_given_up_at_the_first(clip: Path) -> None:
    seen: list[float] = []
    limits = VideoLimits(frames=1000, pixels=100)
    with pytest.raises(VideoBeyondLimits, match="more than 100 pixels"):
        analyze(from_file(clip), toy_pipeline(), EAGER, limits=limits, progress=seen.append)
    assert seen == []


def test_limits_that_a_file_keeps_change_nothing(clip: Path) -> None:
    limits = VideoLimits(frames=60, pixels=10_000_000)
    free = analyze(from_file(clip), toy_pipeline(), EAGER)
    assert analyze(from_file(clip), toy_pipeline(), EAGER, limits=limits) == free


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


class Restamped(FileSource):
    """A file whose clock runs at another speed."""

    times = Fraction(1)

    def packets(self) -> Iterator[Packet]:
        for packet in super().packets():
            ticks = round(packet.pts * self.times) if packet.pts is not None else None
            yield replace(packet, pts=ticks, dts=ticks)


@pytest.mark.parametrize("times", [Fraction(1, 90), Fraction(90)], ids=["slow", "fast"])
def test_a_clock_many_times_off_is_said_and_scored(clip: Path, times: Fraction) -> None:
    """It was one frame in 0.0 s, or tracks without a score, and without a word."""
    opener = type("Source", (Restamped,), {"times": times})
    analysis = analyze(from_file(clip), toy_pipeline(), EAGER, opener=opener)
    assert analysis.duration_s == pytest.approx(2.36, abs=0.1)
    assert analysis.notices == (Notice.CAMERA_CLOCK,)
    assert len(analysis.tracks) == 1
    assert analysis.tracks[0].scores


class Camera(FileSource):
    """A camera: what it sends arrives evenly, whatever it is stamped."""

    traits = SourceTraits()
    stamped: Callable[[int], float]

    def packets(self) -> Iterator[Packet]:
        for n, packet in enumerate(super().packets()):
            ticks = round(type(self).stamped(n) / packet.time_base)
            yield replace(packet, pts=ticks, dts=None, arrived=100.0 + n / 25)


@pytest.fixture(scope="module")
def twelve_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("camera")
    return encode(folder / "clip.mp4", moving_pictures(300, 96, 64), gop=20)


@pytest.mark.parametrize(
    "stamped",
    [
        pytest.param(lambda n: 9_000 + n / 25 + (-1) ** n * 3_600 * (n % 3 == 1), id="third"),
        pytest.param(lambda n: n / 25 / 90, id="slow"),
        pytest.param(lambda n: n / 25 * 90, id="fast"),
        pytest.param(lambda n: 7.0, id="frozen"),
        pytest.param(lambda n: n // 2 * 0.08, id="pairs"),
    ],
)
def test_a_camera_without_a_clock_is_scored_and_has_lost_nothing(
    twelve_seconds: Path, stamped: Callable[[int], float]
) -> None:
    opener = type("Source", (Camera,), {"stamped": staticmethod(stamped)})
    analysis = analyze(from_file(twelve_seconds), toy_pipeline(), EAGER, opener=opener)
    assert analysis.notices == (Notice.CAMERA_CLOCK,)
    scores = analysis.tracks[-1].scores
    assert len(scores) > 50
    said = {reason for score in scores[-50:] for reason in score.reasons}
    assert not said & {AbstainReason.PACKET_LOSS, AbstainReason.CONTAMINATED}


def test_a_file_full_of_holes_is_slow_and_has_lost_nothing(tmp_path: Path) -> None:
    """A screen that was recorded stands still now and then; it was told as packet loss."""
    stamps = [n // 5 * 20 + n % 5 for n in range(100)]
    path = encode(tmp_path / "holes.mp4", moving_pictures(100), stamps=stamps)
    analysis = analyze(from_file(path), toy_pipeline(), EAGER)
    said = {reason for track in analysis.tracks for s in track.scores for reason in s.reasons}
    assert AbstainReason.LOW_FPS in said
    assert AbstainReason.PACKET_LOSS not in said


def test_a_sound_clock_is_not_worth_a_word(clip: Path) -> None:
    assert analyze(from_file(clip), toy_pipeline(), EAGER).notices == ()
