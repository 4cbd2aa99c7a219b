"""Real sockets, a real RTSP server and its faults: what a camera can do, and what we make of it."""

import contextlib
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest

from stream.clock import SystemClock
from stream.events import (
    ConnectionState,
    EpochCause,
    EpochStarted,
    Frame,
    ReasonCode,
    StreamChanged,
)
from stream.ingest.context import IngestContext
from stream.ingest.ingest import Ingest
from stream.ingest.source import SourceSettings, SourceUrl, Transport
from tests.support.media import encode, moving_pictures
from tests.support.ports import free_port
from tests.support.rtsp import Media, RtspServer, self_signed

pytestmark = pytest.mark.e2e

S = ConnectionState
CLOCK = SystemClock()
PATIENCE_S = 15.0
"""How long anything is waited for; a busy machine is slow, not wrong."""

LATE_S = 60.0
"""A deadline of the network beyond patience: what has ended by then has not waited for it."""

GST_PYTHON = "/usr/bin/python3"
GST_CAMERA = Path(__file__).parents[1] / "support" / "gst_camera.py"


class Watch:
    """An ingest in a thread of its own, ticked like the supervisor does, all it says kept."""

    def __init__(self, url: str, **settings: object) -> None:
        chosen = SourceSettings(SourceUrl.parse(url), **settings)  # type: ignore[arg-type]
        self.ingest = Ingest("camera", chosen, CLOCK, IngestContext(25.0, random.Random(1)))
        self.items: list[Frame | StreamChanged | EpochStarted] = []
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self.ingest.run, args=(self._emit, self._stop.wait), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it and see its thread end."""
        self._stop.set()
        self.ingest.close()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def until(self, condition: Callable[[Self], object]) -> Self:
        """Wait until a condition holds, ticking meanwhile."""
        deadline = CLOCK.monotonic() + PATIENCE_S
        while not condition(self):
            assert CLOCK.monotonic() < deadline, self.changes
            for change in self.ingest.tick(CLOCK.monotonic()):
                self._emit(change)
            with self._news:
                self._news.wait(0.05)
        return self

    def frames_of(self, epoch: int) -> list[Frame]:
        return [frame for frame in self.frames if frame.epoch == epoch]

    @property
    def frames(self) -> list[Frame]:
        return [item for item in list(self.items) if isinstance(item, Frame)]

    @property
    def changes(self) -> list[StreamChanged]:
        return [item for item in list(self.items) if isinstance(item, StreamChanged)]

    @property
    def states(self) -> list[ConnectionState]:
        return [change.state for change in self.changes]

    @property
    def failure(self) -> StreamChanged | None:
        """The first event that carries a reason and a time of the next attempt."""
        return next((c for c in self.changes if c.retry_in_s is not None), None)

    def _emit(self, item: Frame | StreamChanged | EpochStarted) -> None:
        with self._news:
            self.items.append(item)
            self._news.notify_all()


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Media]:
    """Two seconds of video per codec, with a keyframe every second, and one with large frames."""
    folder = tmp_path_factory.mktemp("media")
    pictures = moving_pictures(50, 320, 240)
    busy = [picture ^ noise for picture, noise in zip(pictures, _noise(50), strict=True)]
    return {
        "/h264": Media(encode(folder / "h264.mp4", pictures, "h264")),
        "/hevc": Media(encode(folder / "hevc.mp4", pictures, "hevc")),
        "/busy": Media(encode(folder / "busy.mp4", busy, "hevc")),
    }


def only(media: dict[str, Media], path: str) -> dict[str, Media]:
    """Return one of the videos; faults are the server's and would befall the others as well."""
    return {path: media[path]}


def _noise(count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield noise, so that every picture takes many RTP packets."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.integers(0, 128, (240, 320, 3), dtype=np.uint8)


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.UDP])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_camera_is_watched(media: dict[str, Media], codec: str, transport: Transport) -> None:
    with (
        RtspServer(media) as server,
        Watch(server.url(f"/{codec}"), transport=transport, timeout_s=LATE_S) as watch,
    ):
        watch.until(lambda w: len(w.frames) >= 30)
        assert watch.states == [S.CONNECTING, S.WAITING_FOR_KEYFRAME, S.LIVE]
        frames = watch.frames[:30]
        assert [f.slot for f in frames] == list(range(30))
        assert frames[0].image.shape == (240, 320, 3)
        assert frames[-1].capture.source_fps == pytest.approx(25.0)
        assert not any(f.capture.contaminated for f in frames)
        watch.stop()


def test_auto_takes_udp_where_tcp_is_refused(media: dict[str, Media]) -> None:
    with (
        RtspServer(media, refuse=frozenset({"tcp"})) as server,
        Watch(server.url("/h264")) as watch,
    ):
        watch.until(lambda w: w.frames)
        assert server.requests.count("SETUP") == 2
        assert S.BACKING_OFF not in watch.states


def test_a_refused_transport_is_said(media: dict[str, Media]) -> None:
    with (
        RtspServer(media, refuse=frozenset({"tcp"})) as server,
        Watch(server.url("/h264"), transport=Transport.TCP) as watch,
    ):
        failure = watch.until(lambda w: w.failure).failure
        assert failure is not None
        assert failure.code is ReasonCode.UNREACHABLE
        assert "461" in failure.detail


ODD_PASSWORD = "pä:ss@wö/rd?#%41 €"


@pytest.mark.parametrize("basic", [False, True])
def test_the_right_password_opens(media: dict[str, Media], basic: bool) -> None:
    with RtspServer(media, user="ad min", password=ODD_PASSWORD, basic=basic) as server:
        url = server.url("/h264", "ad min", ODD_PASSWORD)
        with Watch(url) as watch:
            watch.until(lambda w: w.frames)


@pytest.mark.parametrize("basic", [False, True])
def test_the_wrong_password_is_a_failure_that_keeps_the_secret(
    media: dict[str, Media], basic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with RtspServer(media, user="admin", password="right", basic=basic) as server:
        with Watch(server.url("/h264", "admin", "wr0ng-Sécret")) as watch:
            failure = watch.until(lambda w: w.failure).failure
        assert failure is not None
        assert (failure.state, failure.code) == (S.FAILED, ReasonCode.AUTH)
        assert failure.retry_in_s is not None
        assert failure.retry_in_s >= 60.0
        said = repr(watch.items) + caplog.text + repr(watch.ingest.settings)
        assert "wr0ng" not in said
        assert "cret" not in said
        assert server.requests.count("DESCRIBE") <= 2


def test_an_unknown_path_is_not_found(media: dict[str, Media]) -> None:
    with RtspServer(media) as server, Watch(server.url("/nothing")) as watch:
        failure = watch.until(lambda w: w.failure).failure
        assert failure is not None
        assert (failure.state, failure.code) == (S.FAILED, ReasonCode.NOT_FOUND)


def test_a_certificate_is_trusted_only_with_its_authority(
    media: dict[str, Media], tmp_path: Path
) -> None:
    context, authority = self_signed(tmp_path)
    with RtspServer(media, tls=context) as server:
        with Watch(server.url("/h264")) as watch:
            failure = watch.until(lambda w: w.failure).failure
            assert failure is not None
            assert (failure.state, failure.code) == (S.FAILED, ReasonCode.TLS)
        for trust in ({"tls_ca_file": authority}, {"tls_verify": False}):
            with Watch(server.url("/h264"), **trust) as watch:
                watch.until(lambda w: w.frames)
        elsewhere = server.url("/h264").replace("127.0.0.1", "localhost")
        with Watch(elsewhere, tls_ca_file=authority) as watch:
            failure = watch.until(lambda w: w.failure).failure
            assert failure is not None
            assert failure.code is ReasonCode.TLS


def test_a_killed_camera_comes_back_in_a_new_epoch(media: dict[str, Media]) -> None:
    with RtspServer(media) as server, Watch(server.url("/h264")) as watch:
        watch.until(lambda w: len(w.frames) >= 5)
        server.kill()
        failure = watch.until(lambda w: w.failure).failure
        assert failure is not None
        assert (failure.state, failure.code) == (S.BACKING_OFF, ReasonCode.ENDED)
        server.start()
        watch.until(lambda w: len(w.frames_of(2)) >= 5)
        epochs = [item for item in watch.items if isinstance(item, EpochStarted)]
        assert [(e.epoch, e.cause) for e in epochs] == [
            (1, EpochCause.CONNECTED),
            (2, EpochCause.CONNECTED),
        ]
        assert [f.slot for f in watch.frames_of(2)[:5]] == list(range(5))


def test_a_killed_camera_behind_tls_has_ended_and_is_not_mistrusted(
    media: dict[str, Media], tmp_path: Path
) -> None:
    """A broken TLS connection is an I/O error to FFmpeg, like a refused certificate."""
    context, authority = self_signed(tmp_path)
    with (
        RtspServer(media, tls=context) as server,
        Watch(server.url("/h264"), tls_ca_file=authority) as watch,
    ):
        watch.until(lambda w: len(w.frames) >= 5)
        server.kill()
        failure = watch.until(lambda w: w.failure).failure
        assert failure is not None
        assert (failure.state, failure.code) == (S.BACKING_OFF, ReasonCode.ENDED)


def test_a_frozen_camera_is_stalled_and_picked_up_again(
    media: dict[str, Media],
) -> None:
    with RtspServer(media) as server, Watch(server.url("/h264")) as watch:
        watch.until(lambda w: len(w.frames) >= 5)
        server.faults.frozen = True
        watch.until(lambda w: S.STALLED in w.states)
        failure = watch.until(lambda w: w.failure).failure
        assert failure is not None
        assert failure.code is ReasonCode.TIMEOUT
        server.faults.frozen = False
        watch.until(lambda w: w.frames_of(2))


def test_a_stall_shorter_than_the_timeout_needs_no_new_connection(
    media: dict[str, Media],
) -> None:
    with RtspServer(media) as server, Watch(server.url("/h264"), timeout_s=10.0) as watch:
        watch.until(lambda w: len(w.frames) >= 5)
        server.faults.frozen = True
        watch.until(lambda w: S.STALLED in w.states)
        server.faults.frozen = False
        watch.until(lambda w: w.states[-1] is S.LIVE and w.frames_of(2))
        assert watch.ingest.counters.attempts == 1
        causes = [i.cause for i in watch.items if isinstance(i, EpochStarted)]
        assert causes == [EpochCause.CONNECTED, EpochCause.PTS_JUMP]


READER = """
import sys
from stream.clock import SystemClock
from stream.ingest.rtsp import RtspSource
from stream.ingest.source import SourceSettings, SourceUrl

url, slow_after, slow_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
clock = SystemClock()
for number, packet in enumerate(RtspSource(SourceSettings(SourceUrl.parse(url)), clock).packets()):
    print(number, flush=True)
    if number == slow_after:
        __import__("time").sleep(slow_s)
"""


@pytest.mark.parametrize("slow_s", [0.0, 3.5], ids=["stopped", "slow"])
def test_a_pause_of_our_own_is_not_called_the_cameras_silence(
    media: dict[str, Media], slow_s: float
) -> None:
    """SIGSTOP for 3 s, or a consumer that takes 3.5 s for one packet, ended the run."""
    with RtspServer(media) as server:
        arguments = [sys.executable, "-c", READER, server.url("/h264"), "20", str(slow_s)]
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen(
            arguments, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as reader:
            assert reader.stdout is not None
            try:
                for line in reader.stdout:
                    if int(line) == 20 and not slow_s:
                        reader.send_signal(signal.SIGSTOP)
                        threading.Event().wait(3.0)
                        reader.send_signal(signal.SIGCONT)
                    if int(line) == 60:
                        break
                else:
                    assert reader.stderr is not None
                    pytest.fail(reader.stderr.read()[-500:])
            finally:
                reader.kill()


def test_lost_access_units_contaminate_until_the_next_keyframe(media: dict[str, Media]) -> None:
    with RtspServer(only(media, "/h264")) as server, Watch(server.url("/h264")) as watch:
        watch.until(lambda w: len(w.frames) >= 10)
        server.faults.drop_units = 2
        watch.until(lambda w: any(f.capture.contaminated for f in w.frames))
        watch.until(lambda w: not w.frames[-1].capture.contaminated)
        frames = watch.frames
        assert len({f.epoch for f in frames}) == 1
        first = next(n for n, f in enumerate(frames) if f.capture.contaminated)
        assert frames[first].slot - frames[first - 1].slot >= 2
        clean_again = next(f for f in frames[first:] if not f.capture.contaminated)
        # The first access unit, a keyframe, has no PTS; the next ones are slots 24, 49, and so on.
        begin = frames[first].slot
        assert begin % 25 == 2
        assert [f.slot for f in frames[first:] if f.capture.contaminated] == [
            *range(begin, begin + 22)
        ]
        assert clean_again.slot == begin + 22
        assert watch.ingest.counters.missing == 2


def test_no_picture_with_a_lost_packet_passes_for_sound(media: dict[str, Media]) -> None:
    """The H.265 decoder paints over what it misses and says nothing."""
    with (
        RtspServer(only(media, "/busy")) as server,
        Watch(server.url("/busy"), transport=Transport.UDP) as watch,
    ):
        watch.until(lambda w: len(w.frames) >= 10)
        server.faults.loss = 0.02
        watch.until(lambda _: server.faults.lost_packets > 0)
        server.faults.loss = 0.0
        reached = watch.frames[-1].slot
        watch.until(lambda w: any(f.capture.contaminated for f in w.frames))
        watch.until(lambda w: w.frames[-1].slot > reached + 50)
        first = next(f.slot for f in watch.frames if f.capture.contaminated)
        keyframe = first + 1 + (24 - first - 1) % 25
        sound = {f.slot for f in watch.frames if not f.capture.contaminated}
        assert sound.isdisjoint(range(first, keyframe))
        assert sound.issuperset(range(10))
        assert not watch.frames[-1].capture.contaminated


@contextlib.contextmanager
def never_accepting() -> Iterator[int]:
    """Complete the handshake of TCP and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Swallow the attempts to connect: the queue of waiting connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def dripping() -> Iterator[int]:
    """Answer one byte at a time, for ever."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def drip() -> None:
            with contextlib.ExitStack() as stack:
                clients: list[socket.socket] = []
                while not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        clients.append(stack.enter_context(listener.accept()[0]))
                    for client in clients:
                        with contextlib.suppress(OSError):
                            client.send(b"X")

        thread = threading.Thread(target=drip)
        thread.start()
        yield listener.getsockname()[1]
        stop.set()
        thread.join()


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
@pytest.mark.parametrize("server", [never_accepting, black_hole, dripping])
def test_no_server_can_hold_us(
    server: Callable[[], contextlib.AbstractContextManager[int]], scheme: str
) -> None:
    """Opening has a deadline whatever the other side does, and closing is quick meanwhile."""
    with server() as port:
        code, deadline_s = ReasonCode.TIMEOUT, 1.0
        if (scheme, server) == ("rtsps", dripping):
            code, deadline_s = ReasonCode.TLS, LATE_S  # it is no TLS, and that is seen at once
        with Watch(f"{scheme}://127.0.0.1:{port}/x", timeout_s=deadline_s) as watch:
            failure = watch.until(lambda w: w.failure).failure
            assert failure is not None
            assert failure.code is code
        with Watch(f"{scheme}://127.0.0.1:{port}/x", timeout_s=LATE_S) as watch:
            watch.until(lambda w: w.states)
            watch.stop()


def test_closing_is_quick_while_a_live_camera_is_silent(media: dict[str, Media]) -> None:
    with RtspServer(media) as server, Watch(server.url("/h264"), timeout_s=LATE_S) as watch:
        watch.until(lambda w: w.frames)
        server.faults.frozen = True
        watch.stop()


@contextlib.contextmanager
def chatting(media: dict[str, Media]) -> Iterator[RtspServer]:
    """Serve a camera that plays and sends reports, but no video."""
    server, stop = RtspServer(media), threading.Event()
    server.faults.frozen = True
    with server:
        chatter = threading.Thread(target=server.chatter, args=(stop,), daemon=True)
        chatter.start()
        try:
            yield server
        finally:
            stop.set()
            chatter.join(PATIENCE_S)


def test_a_camera_that_plays_but_sends_no_video_is_given_up(
    media: dict[str, Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was "connecting" for ever, without a code."""
    monkeypatch.setattr("stream.ingest.ingest.FIRST_PICTURE_S", 3.0)
    with chatting(media) as server, Watch(server.url("/h264")) as watch:
        failure = watch.until(lambda w: w.failure).failure
        assert failure is not None
        assert (failure.state, failure.code) == (S.BACKING_OFF, ReasonCode.TIMEOUT)
        assert "no picture" in failure.detail


def test_a_camera_that_sends_no_video_leaves_no_thread_and_no_socket_behind(
    media: dict[str, Media],
) -> None:
    def sockets() -> int:
        return sum(path.is_socket() for path in Path("/proc/self/fd").iterdir())

    with chatting(media) as server:
        before = sockets()
        watches = [Watch(server.url("/h264")) for _ in range(3)]
        for watch in watches:
            watch.__enter__()
        deadline = CLOCK.monotonic() + PATIENCE_S
        while server.requests.count("PLAY") < 3 and CLOCK.monotonic() < deadline:
            threading.Event().wait(0.05)
        assert server.requests.count("PLAY") >= 3
        for watch in watches:
            watch.stop()  # asserts that the thread has ended
        while sockets() > before and CLOCK.monotonic() < deadline:
            threading.Event().wait(0.05)
        assert sockets() <= before


def test_nobody_there_is_unreachable_and_tried_again() -> None:
    with Watch(f"rtsp://127.0.0.1:{free_port()}/x") as watch:
        watch.until(lambda w: w.ingest.counters.attempts >= 2)
        assert watch.failure is not None
        assert (watch.failure.state, watch.failure.code) == (S.BACKING_OFF, ReasonCode.UNREACHABLE)


@contextlib.contextmanager
def gst_camera(pipeline: str) -> Iterator[str]:
    """Run GStreamer's RTSP server and yield its address."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    found = (
        Path(GST_PYTHON).exists()
        and not subprocess.run(
            [GST_PYTHON, "-c", probe], capture_output=True, check=False
        ).returncode
    )
    if not found:
        pytest.skip("gst-rtsp-server is not installed (gir1.2-gst-rtsp-server-1.0)")
    process = subprocess.Popen(
        [GST_PYTHON, str(GST_CAMERA), pipeline],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"rtsp://127.0.0.1:{int(process.stdout.readline())}/cam"
    finally:
        process.stdin.close()
        process.wait(PATIENCE_S)
        process.stdout.close()


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.UDP])
@pytest.mark.parametrize(
    "encoder",
    [
        "x264enc tune=zerolatency key-int-max=25 ! rtph264pay",
        "x265enc tune=zerolatency key-int-max=25 speed-preset=ultrafast ! rtph265pay",
    ],
)
def test_a_camera_by_somebody_else_is_watched(encoder: str, transport: Transport) -> None:
    """Debian's gst-rtsp-server, which shares no line with ours."""
    picture = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120"
    pipeline = f"{picture},framerate=25/1 ! {encoder} name=pay0 pt=96"
    with gst_camera(pipeline) as url, Watch(url, transport=transport) as watch:
        watch.until(lambda w: len(w.frames) >= 30)
        frames = watch.frames
        assert frames[0].image.shape == (120, 160, 3)
        assert not any(f.capture.contaminated for f in frames)
        assert [f.slot for f in frames] == sorted({f.slot for f in frames})
