"""One stream's loop: frames on the grid, epochs, retries, stalls, and an end to everything."""

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.clock import Clock, ManualClock
from stream.errors import SourceError
from stream.events import (
    ConnectionState,
    EpochCause,
    EpochStarted,
    Frame,
    ReasonCode,
    StreamChanged,
)
from stream.ingest.context import IngestContext, SourceAccess
from stream.ingest.file import FileSource
from stream.ingest.ingest import Ingest
from stream.ingest.packets import PacketLog
from stream.ingest.source import Pace, Packet, Source, SourceSettings, SourceTraits, SourceUrl
from stream.ingest.timeline import Damage
from tests.support.media import encode, moving_pictures

CAMERA = SourceSettings(SourceUrl.parse("rtsp://camera/live"))
Item = Frame | StreamChanged | EpochStarted


def of_file(path: Path, *, loop: bool = False) -> SourceSettings:
    return SourceSettings(SourceUrl.parse(str(path)), pace=Pace.FAST, loop=loop)


def packets_of(path: Path) -> list[Packet]:
    packets = []
    with contextlib.suppress(SourceError):  # which says that the file has ended
        for packet in FileSource(of_file(path), ManualClock(), lambda _: False).packets():
            packets.append(packet)
    return packets


class Script:
    """A camera that follows a script: each connection yields some packets and then fails."""

    def __init__(self, *connections: tuple[list[Packet], SourceError]) -> None:
        self.left = list(connections)
        self.closed = 0

    def open(
        self, settings: SourceSettings, clock: Clock, _wait: Callable[[float], bool]
    ) -> Source:
        return _Connection(self, settings.url.traits, clock, *self.left.pop(0))


class _Connection:
    def __init__(
        self,
        script: Script,
        traits: SourceTraits,
        clock: Clock,
        packets: list[Packet],
        end: SourceError,
    ) -> None:
        self.traits = traits
        self._script, self._clock, self._packets, self._end = script, clock, packets, end

    def packets(self) -> Iterator[Packet]:
        for packet in self._packets:
            yield replace(packet, arrived=self._clock.monotonic())
        raise self._end

    def close(self) -> None:
        self._script.closed += 1


class Run:
    """Runs an ingest to its end on a manual clock and keeps all that it says."""

    def __init__(
        self, settings: SourceSettings, script: Script | None = None, *, cadence_hz: float = 25.0,
        for_s: float = 1e9, epochs: int = 1_000,
    ) -> None:  # fmt: skip
        self.clock = ManualClock()
        self.items: list[Item] = []
        self.waits: list[float] = []
        access = SourceAccess() if script is None else SourceAccess(script.open)
        self.log = PacketLog()
        context = IngestContext(cadence_hz, random.Random(1), self.log, access)
        self.ingest = Ingest("lobby", settings, self.clock, context)
        self._for_s, self._epochs = for_s, epochs

    def run(self) -> "Run":
        self.ingest.run(self.items.append, self.wait)
        return self

    def wait(self, seconds: float) -> bool:
        if seconds:
            self.waits.append(seconds)
        self.clock.advance(seconds)
        return self.clock.monotonic() >= self._for_s or len(self.epochs) > self._epochs

    @property
    def frames(self) -> list[Frame]:
        return [item for item in self.items if isinstance(item, Frame)]

    @property
    def states(self) -> list[ConnectionState]:
        return [item.state for item in self.items if isinstance(item, StreamChanged)]

    @property
    def changes(self) -> list[StreamChanged]:
        return [item for item in self.items if isinstance(item, StreamChanged)]

    @property
    def epochs(self) -> list[EpochStarted]:
        return [item for item in self.items if isinstance(item, EpochStarted)]


S = ConnectionState


def test_a_file_becomes_frames_on_the_grid_and_ends(tmp_path: Path) -> None:
    filmed = moving_pictures(50)
    run = Run(of_file(encode(tmp_path / "a.mp4", filmed))).run()
    assert run.states == [S.CONNECTING, S.WAITING_FOR_KEYFRAME, S.LIVE, S.ENDED]
    assert run.epochs == [EpochStarted("lobby", 1, EpochCause.CONNECTED)]
    assert [f.slot for f in run.frames] == list(range(50))
    assert [f.at for f in run.frames] == pytest.approx([n / 25 for n in range(50)])
    assert not any(f.capture.contaminated for f in run.frames)
    assert run.frames[-1].capture.source_fps == pytest.approx(25.0)
    sent = 8 * run.ingest.counters.bytes / (50 * filmed[0].shape[0] * filmed[0].shape[1])
    assert run.frames[-1].capture.bits_per_pixel == pytest.approx(sent)
    assert all(f.epoch == 1 and f.stream == "lobby" for f in run.frames)
    difference = np.abs(run.frames[20].image.astype(int) - filmed[20]).mean()
    assert difference < 16
    counters = run.ingest.counters
    assert (counters.packets, counters.decoded, counters.sampled) == (50, 50, 50)
    assert counters.bytes == counters.log.bytes
    assert counters.newest is not None


def test_a_slower_cadence_takes_every_second_frame(tmp_path: Path) -> None:
    run = Run(of_file(encode(tmp_path / "a.mp4", moving_pictures(49))), cadence_hz=12.5).run()
    assert [f.slot for f in run.frames] == list(range(25))
    assert [f.at for f in run.frames] == pytest.approx([n / 12.5 for n in range(25)])
    assert run.ingest.counters.decoded == 49


def test_pictures_held_back_for_reordering_are_not_lost_at_the_end(tmp_path: Path) -> None:
    run = Run(of_file(encode(tmp_path / "a.mp4", moving_pictures(31), b_frames=2))).run()
    assert len(run.frames) == 31


def test_b_frames_in_avi_are_as_sound_as_in_mp4(tmp_path: Path) -> None:
    """AVI tells no time of presentation: a third was dropped, and called damaged by packet loss."""
    pictures = moving_pictures(50)
    runs = [
        Run(of_file(encode(tmp_path / name, pictures, b_frames=2))).run()
        for name in ("a.avi", "a.mp4")
    ]
    in_avi, in_mp4 = ([(f.slot, f.at, f.image.tobytes()) for f in run.frames] for run in runs)
    assert in_avi == in_mp4
    assert len(in_avi) == 50
    assert not runs[0].ingest.counters.discarded
    assert not any(frame.capture.contaminated for frame in runs[0].frames)


def test_a_loop_begins_a_new_epoch_each_time(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(10))
    run = Run(of_file(path, loop=True), epochs=3).run()
    assert [e.epoch for e in run.epochs] == [1, 2, 3, 4]
    assert {e.cause for e in run.epochs} == {EpochCause.CONNECTED}
    assert S.ENDED not in run.states
    assert [f.slot for f in run.frames if f.epoch == 2] == list(range(10))
    assert run.waits == []


def test_a_camera_that_falls_is_tried_again_in_a_new_epoch(tmp_path: Path) -> None:
    packets = packets_of(encode(tmp_path / "a.mp4", moving_pictures(30)))
    script = Script(
        (packets, SourceError(ReasonCode.ENDED, "hung up")),
        ([], SourceError(ReasonCode.UNREACHABLE, "gone")),
        (packets, SourceError(ReasonCode.AUTH, "password changed")),
    )
    run = Run(CAMERA, script, for_s=20.0).run()
    once = [S.CONNECTING, S.WAITING_FOR_KEYFRAME, S.LIVE]
    assert run.states == [
        *once, S.BACKING_OFF, S.CONNECTING, S.BACKING_OFF, *once, S.FAILED,
    ]  # fmt: skip
    codes = [c.code for c in run.changes if c.code]
    assert codes == [ReasonCode.ENDED, ReasonCode.UNREACHABLE, ReasonCode.AUTH]
    delays = [c.retry_in_s for c in run.changes if c.retry_in_s is not None]
    assert delays == run.waits
    assert 0.5 <= delays[0] <= 1.0 <= delays[1] <= 2.0
    assert delays[2] >= 60.0
    assert [(e.epoch, e.cause) for e in run.epochs] == [
        (1, EpochCause.CONNECTED),
        (2, EpochCause.CONNECTED),
    ]
    assert [len([f for f in run.frames if f.epoch == n]) for n in (1, 2)] == [30, 30]
    assert script.closed == 3
    assert run.ingest.counters.ends == dict.fromkeys(codes, 1)
    assert run.ingest.counters.attempts == 3


def test_nothing_is_decoded_before_the_first_keyframe(tmp_path: Path) -> None:
    packets = packets_of(encode(tmp_path / "a.mp4", moving_pictures(50), gop=20))
    script = Script((packets[5:], SourceError(ReasonCode.AUTH, "")))
    run = Run(CAMERA, script, for_s=1.0).run()
    assert run.ingest.counters.before_keyframe == 15
    assert len(run.frames) == 30
    assert not any(f.capture.contaminated for f in run.frames)


def test_frames_after_a_loss_are_contaminated_until_a_keyframe(tmp_path: Path) -> None:
    packets = packets_of(encode(tmp_path / "a.mp4", moving_pictures(75), gop=25))
    script = Script((packets[:30] + packets[32:], SourceError(ReasonCode.AUTH, "")))
    run = Run(CAMERA, script, for_s=1.0).run()
    assert [f.slot for f in run.frames if f.capture.contaminated] == list(range(32, 50))
    counters = run.ingest.counters
    assert (counters.missing, counters.contaminated) == (2, {Damage.GAP: 18})


SKIPPING = [n for n in range(80) if n % 10 != 5]


def test_a_film_that_skips_pictures_has_lost_nothing(tmp_path: Path) -> None:
    """Symptom: 98 % of the ratings of a film of varying rate abstained for packet loss."""
    run = Run(of_file(encode(tmp_path / "a.mp4", moving_pictures(72), stamps=SKIPPING))).run()
    assert run.ingest.counters.missing == 0
    assert len(run.frames) == 72
    assert not any(f.capture.contaminated for f in run.frames)
    assert run.frames[-1].capture.source_fps < 23.5


def test_a_camera_that_skips_pictures_has_lost_nothing(tmp_path: Path) -> None:
    """The stream's own count of pictures shows no loss, so the holes are the camera's habit."""
    path = encode(tmp_path / "a.mp4", moving_pictures(72), stamps=SKIPPING)
    script = Script((packets_of(path), SourceError(ReasonCode.AUTH, "")))
    run = Run(CAMERA, script, for_s=1.0).run()
    assert len(run.frames) == 72
    assert not any(f.capture.contaminated for f in run.frames)


def test_another_size_mid_stream_begins_an_epoch(tmp_path: Path) -> None:
    small = packets_of(encode(tmp_path / "a.mp4", moving_pictures(20)))
    large = packets_of(encode(tmp_path / "b.mp4", moving_pictures(20, 320, 240)))
    later = [replace(p, pts=(p.pts or 0) + 20 * 512, dts=None) for p in large]
    script = Script((small + later, SourceError(ReasonCode.AUTH, "")))
    run = Run(CAMERA, script, for_s=1.0).run()
    assert [e.cause for e in run.epochs] == [EpochCause.CONNECTED, EpochCause.SIZE_CHANGED]
    assert [f.image.shape[:2] for f in run.frames] == [(120, 160)] * 20 + [(240, 320)] * 20


def test_another_codec_mid_stream_begins_an_epoch(tmp_path: Path) -> None:
    first = packets_of(encode(tmp_path / "a.mp4", moving_pictures(20)))
    second = packets_of(encode(tmp_path / "b.mp4", moving_pictures(20), "hevc"))
    later = [replace(p, pts=(p.pts or 0) + 20 * 512, dts=None) for p in second]
    script = Script((first + later, SourceError(ReasonCode.AUTH, "")))
    run = Run(CAMERA, script, for_s=1.0).run()
    assert [e.cause for e in run.epochs] == [EpochCause.CONNECTED, EpochCause.CODEC_CHANGED]
    assert len(run.frames) == 40


def test_a_stall_is_told_to_whoever_ticks(tmp_path: Path) -> None:
    packets = packets_of(encode(tmp_path / "a.mp4", moving_pictures(30)))
    script = Script((packets, SourceError(ReasonCode.AUTH, "")))
    run = Run(CAMERA, script, for_s=1.0)
    stalls: list[StreamChanged] = []

    def emit(item: Item) -> None:
        run.items.append(item)
        if len(run.frames) == 10 and not stalls:
            stalls.extend(run.ingest.tick(run.clock.monotonic() + 1.9))
            assert stalls == []
            stalls.extend(run.ingest.tick(run.clock.monotonic() + 2.0))

    run.ingest.run(emit, run.wait)
    (stall,) = stalls
    assert (stall.state, stall.code, stall.epoch) == (S.STALLED, ReasonCode.TIMEOUT, 1)
    assert run.states.count(S.LIVE) == 2


def test_a_file_of_nothing_is_not_looped_over(tmp_path: Path) -> None:
    script = Script(([], SourceError(ReasonCode.ENDED, "the file has played to its end")))
    run = Run(of_file(tmp_path / "a.mp4", loop=True), script, for_s=0.4).run()
    assert run.states == [S.CONNECTING, S.BACKING_OFF]
    assert run.changes[-1].code is ReasonCode.CORRUPT
    assert run.waits


def test_a_bare_stream_without_time_stamps_is_refused_and_not_looped_over(tmp_path: Path) -> None:
    """It used to play to its end, all pictures decoded and none of them ever seen."""
    path = encode(tmp_path / "bare.h264", moving_pictures(10))
    run = Run(of_file(path, loop=True), for_s=60).run()
    assert not run.frames
    failed = run.changes[-1]
    assert failed.code is ReasonCode.CORRUPT
    assert "time stamp" in failed.detail


def test_a_missing_file_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    run = Run(of_file(tmp_path / "missing.mp4"), for_s=10.0).run()
    assert run.states == [S.CONNECTING, S.FAILED]
    assert run.changes[-1].code is ReasonCode.NOT_FOUND
    assert "missing.mp4" in run.changes[-1].detail


def test_a_demo_that_does_not_exist_is_a_failure_with_a_reason() -> None:
    settings = SourceSettings(SourceUrl.parse("demo://authentic?sedes=3"))
    run = Run(settings, for_s=10.0).run()
    assert run.states == [S.CONNECTING, S.FAILED]
    assert run.changes[-1].code is ReasonCode.NOT_FOUND
    assert "seed" in run.changes[-1].detail


def test_closing_ends_it_from_within_an_event_and_before_it_begins(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(30))
    run = Run(of_file(path))

    def emit(item: Item) -> None:
        run.items.append(item)
        if len(run.frames) == 5:
            run.ingest.close()

    run.ingest.run(emit, run.wait)
    assert len(run.frames) == 5
    assert run.states[-1] is S.LIVE
    closed = Run(of_file(path))
    closed.ingest.close()
    assert closed.run().items == []


def test_the_same_file_gives_the_same_frames(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(30), fps=30)
    first, second = Run(of_file(path)).run().frames, Run(of_file(path)).run().frames
    assert [(f.slot, f.at) for f in first] == [(f.slot, f.at) for f in second]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


# --- callers ----------------------------------------------------------------------------------

CALL = SourceSettings(SourceUrl.parse("whip://"))


class Caller(Script):
    """A peer that says what was lost and remembers that it was asked for keyframes."""

    def __init__(self, *connections: tuple[list[Packet], SourceError]) -> None:
        super().__init__(*connections)
        self.asked = 0

    def open(self, settings: SourceSettings, clock: Clock, wait: Callable[[float], bool]) -> Source:
        connection = super().open(settings, clock, wait)
        connection.traits = SourceTraits(call=True, tells_losses=True)
        connection.want_keyframe = self.ask  # type: ignore[attr-defined]
        return connection

    def ask(self) -> None:
        self.asked += 1


def called(
    *connections: tuple[list[Packet], SourceError], max_pixels: int | None = None
) -> tuple[Run, Caller]:
    """Run a stream that is called, one call after the other; nobody calls after the last."""
    run, caller = Run(CALL), Caller(*connections)
    access = SourceAccess(
        caller.open,
        ready=lambda _: bool(caller.left),
        max_pixels=max_pixels,
        loss=lambda: 0.125,
    )
    context = IngestContext(25.0, random.Random(1), access=access)
    run.ingest = Ingest("lobby", CALL, run.clock, context)
    return run.run(), caller


HUNG_UP = SourceError(ReasonCode.ENDED, "the peer has hung up")
VANISHED = SourceError(ReasonCode.TIMEOUT, "the peer has vanished")


def test_calls_follow_each_other_without_backing_off(tmp_path: Path) -> None:
    packets = packets_of(encode(tmp_path / "a.mkv", moving_pictures(25), "vp8"))
    run, _ = called((packets, HUNG_UP), (packets, VANISHED))
    once = [S.CONNECTING, S.WAITING_FOR_KEYFRAME, S.LIVE, S.ENDED]
    assert run.states == once * 2
    assert [c.code for c in run.changes if c.state is S.ENDED] == [
        ReasonCode.ENDED,
        ReasonCode.TIMEOUT,
    ]
    assert [e.epoch for e in run.epochs] == [1, 2]
    assert run.waits == []
    assert all(frame.capture.link_loss == 0.125 for frame in run.frames)


def test_a_call_without_a_picture_has_ended_like_any_other() -> None:
    run, _ = called(([], HUNG_UP))
    assert run.states == [S.CONNECTING, S.ENDED]
    assert run.changes[-1].code is ReasonCode.ENDED


def test_pictures_that_are_too_large_end_a_call_and_say_so(tmp_path: Path) -> None:
    packets = packets_of(encode(tmp_path / "a.mkv", moving_pictures(10, 320, 240), "vp8"))
    run, caller = called((packets, HUNG_UP), max_pixels=319 * 240)
    assert run.changes[-1].code is ReasonCode.CODEC
    assert "320x240" in run.changes[-1].detail
    assert run.frames == []
    assert caller.closed == 1


def test_a_keyframe_is_wanted_as_long_as_pictures_are_damaged(tmp_path: Path) -> None:
    packets = packets_of(encode(tmp_path / "a.mkv", moving_pictures(50), "vp8", gop=25))
    lossy = [replace(p, lossy=n == 10) for n, p in enumerate(packets)]
    run, caller = called((lossy, HUNG_UP))
    assert caller.asked == 15
    assert [f.slot for f in run.frames if f.capture.contaminated] == list(range(10, 25))
    assert len(run.epochs) == 1


# --- the packet log -----------------------------------------------------------------------------


def test_a_stream_s_packet_log_survives_its_ingest(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(10))
    first = Run(of_file(path)).run()
    held = first.log.snapshot()
    assert len(held) == 10
    context = IngestContext(25.0, random.Random(1), first.log, first_epoch=2)
    second = Ingest("lobby", of_file(path), first.clock, context)
    second.run(first.items.append, first.wait)
    assert first.log.snapshot()[:10] == held
    assert second.counters.log.packets == 20
    assert [epoch.epoch for epoch in first.epochs] == [1, 2]
