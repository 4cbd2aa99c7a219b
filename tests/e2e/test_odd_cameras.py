"""Cameras that never send a picture, or point elsewhere late, and what is left of them."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream.clock import SystemClock
from stream.errors import SourceError
from stream.events import ConnectionState, ReasonCode, StreamChanged
from stream.ingest.context import IngestContext
from stream.ingest.ingest import Ingest
from stream.ingest.rtsp import RtspSource
from stream.ingest.source import SourceSettings, SourceUrl, Transport
from tests.support.media import encode, moving_pictures
from tests.support.odd_camera import PLAYS, OddCamera, Play, nothing, reports, requests
from tests.support.rtsp import Media, RtspServer, self_signed
from tests.support.server import Server

pytestmark = pytest.mark.e2e

CLOCK = SystemClock()
STALLED = ConnectionState.STALLED
PATIENCE_S = 20.0
"""How long anything is waited for; a busy machine is slow, not wrong."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Media]:
    """Two seconds of video."""
    path = tmp_path_factory.mktemp("odd") / "cam.mp4"
    return {"/cam": Media(encode(path, moving_pictures(50, 160, 120)))}


def sockets() -> int:
    """Return how many sockets this process has."""
    return sum(path.is_socket() for path in Path("/proc/self/fd").iterdir())


def soon(condition: Callable[[], object]) -> bool:
    """Wait until a condition holds; return whether it ever did."""
    deadline = CLOCK.monotonic() + PATIENCE_S
    while not condition():
        if CLOCK.monotonic() > deadline:
            return False
        threading.Event().wait(0.05)
    return True


class Reader:
    """An ingest in a thread of its own."""

    def __init__(
        self, url: str, *, transport: Transport = Transport.TCP, tls_verify: bool = True
    ) -> None:
        settings = SourceSettings(
            SourceUrl.parse(url), transport=transport, timeout_s=PATIENCE_S, tls_verify=tls_verify
        )
        self.ingest = Ingest("camera", settings, CLOCK, IngestContext(25.0, random.Random(1)))
        self.said: list[object] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(
            target=self.ingest.run, args=(self.said.append, self.stopped.wait), daemon=True
        )
        self.thread.start()

    @property
    def pictures(self) -> int:
        """Frames so far."""
        return self.ingest.counters.sampled

    @property
    def stalled(self) -> bool:
        """Whether it has noticed silence."""
        self.said += self.ingest.tick(CLOCK.monotonic())
        return any(isinstance(c, StreamChanged) and c.state is STALLED for c in self.said)

    def stop(self) -> None:
        """Ask it to end."""
        self.stopped.set()
        self.ingest.close()


def ended(readers: list[Reader]) -> int:
    """Stop them all at once and return how many have ended soon, well before any deadline."""
    for reader in readers:
        reader.stop()
    until = CLOCK.monotonic() + PATIENCE_S / 2
    for reader in readers:
        reader.thread.join(max(until - CLOCK.monotonic(), 0.0))
    return sum(not reader.thread.is_alive() for reader in readers)


@pytest.mark.parametrize("play", PLAYS, ids=[play.__name__ for play in PLAYS])
def test_cameras_that_send_no_video_leave_no_thread_and_no_socket_behind(play: Play) -> None:
    """Five readers of one address: their sockets could not be told apart, and all stayed."""
    with OddCamera(play) as camera:
        before = sockets()
        readers = [Reader(camera.url) for _ in range(5)]
        assert soon(lambda: camera.asked("PLAY") >= 5)
        assert ended(readers) == 5
        assert soon(lambda: sockets() <= before)


@pytest.mark.parametrize("way", ["tcp", "udp", "tls"])
def test_cameras_whose_video_has_ended_but_not_their_reports_leave_nothing_behind(
    media: dict[str, Media], way: str, tmp_path: Path
) -> None:
    """FFmpeg waits for the next picture, and what it receives meanwhile keeps it waiting."""
    tls = self_signed(tmp_path)[0] if way == "tls" else None
    transport = Transport.UDP if way == "udp" else Transport.TCP
    with RtspServer(media, tls=tls) as server:
        before, hushed = sockets(), threading.Event()
        readers = [
            Reader(server.url("/cam"), transport=transport, tls_verify=False) for _ in range(5)
        ]
        assert soon(lambda: all(reader.pictures for reader in readers))
        server.faults.frozen = True
        chatter = threading.Thread(target=server.chatter, args=(hushed,), daemon=True)
        chatter.start()
        assert soon(lambda: all(reader.stalled for reader in readers))
        assert ended(readers) == 5
        assert soon(lambda: sockets() <= before)
        hushed.set()
        chatter.join()


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_cameras_that_fall_silent_while_they_are_opened_leave_nothing_behind(method: str) -> None:
    """Stopping had to wait for the deadline of opening."""
    with OddCamera(mute=method) as camera:
        before = sockets()
        readers = [Reader(camera.url) for _ in range(5)]
        assert soon(lambda: sum(said.startswith(method) for said, _ in list(camera.seen)) >= 5)
        assert ended(readers) == 5
        assert soon(lambda: sockets() <= before)


@pytest.mark.parametrize("play", [nothing, reports])
def test_where_no_sockets_can_be_seen_nothing_is_left_behind_either(
    play: Play, media: dict[str, Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems without /proc: FFmpeg asks whether to go on while it reads, too."""
    monkeypatch.setattr("stream.ingest.sockets.FDS", Path("/nowhere"))
    with OddCamera(play) as camera, RtspServer(media) as server:
        before = sockets()
        readers = [Reader(camera.url), Reader(server.url("/cam"))]
        assert soon(lambda: camera.asked("PLAY") and readers[1].pictures)
        server.faults.frozen = True
        assert soon(lambda: readers[1].stalled)
        assert ended(readers) == 2
        assert soon(lambda: sockets() <= before)


def test_one_reader_of_a_camera_is_stopped_and_the_others_go_on() -> None:
    with OddCamera(reports) as camera:
        readers = [Reader(camera.url) for _ in range(5)]
        try:
            assert soon(lambda: camera.asked("PLAY") >= 5)
            assert ended(readers[2:3]) == 1
            assert not soon_enough(lambda: len(camera.seen) > 5 * 6)
            assert all(reader.thread.is_alive() for n, reader in enumerate(readers) if n != 2)
            assert [reader.ingest.counters.attempts for reader in readers] == [1] * 5
        finally:
            ended(readers)


def soon_enough(condition: Callable[[], object]) -> bool:
    """Give something a second to happen that should not."""
    threading.Event().wait(1.0)
    return bool(condition())


@pytest.fixture
def elsewhere() -> Iterator[OddCamera]:
    """A host that somebody would like to be told a password."""
    with OddCamera(basic=True) as camera:
        yield camera


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_a_camera_that_redirects_only_ffmpeg_is_not_followed(
    method: str, elsewhere: OddCamera
) -> None:
    """Who asks first is told nothing of it; the password went along."""
    target = f"rtsp://localhost:{elsewhere.port}/cam"
    with OddCamera(redirects={method: target}, basic=True) as camera:
        source = RtspSource(
            SourceSettings(SourceUrl.parse(camera.url), timeout_s=PATIENCE_S), CLOCK
        )
        with pytest.raises(SourceError) as failure:
            next(iter(source.packets()))
        assert failure.value.code in (ReasonCode.UNREACHABLE, ReasonCode.CORRUPT)
        assert camera.asked(method) >= 1
        assert elsewhere.seen == []


def test_a_name_that_leads_elsewhere_for_ffmpeg_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = socket.getaddrinfo("127.0.0.2", 1, type=socket.SOCK_STREAM)
    with OddCamera() as camera:
        monkeypatch.setattr("stream.ingest.sockets.socket.getaddrinfo", lambda *_, **__: known)
        url = SourceUrl.parse(camera.url.replace("127.0.0.1", "localhost"))
        with pytest.raises(SourceError, match="another address") as failure:
            next(iter(RtspSource(SourceSettings(url, timeout_s=PATIENCE_S), CLOCK).packets()))
        assert failure.value.code is ReasonCode.UNREACHABLE
        assert camera.seen == []


def test_a_camera_that_asks_to_go_elsewhere_while_it_plays_is_not_followed() -> None:
    with OddCamera(requests) as camera:
        reader = Reader(camera.url)
        try:
            assert soon(lambda: camera.asked("PLAY"))
            assert not soon_enough(lambda: camera.asked("OPTIONS") > 1)
            assert reader.thread.is_alive()
        finally:
            assert ended([reader]) == 1


def test_a_camera_that_redirects_late_is_told_to_the_operator(elsewhere: OddCamera) -> None:
    target = f"rtsp://localhost:{elsewhere.port}/cam"
    with OddCamera(nothing, redirects={"DESCRIBE": target}) as camera:
        reader = Reader(camera.url)

        def failures() -> list[StreamChanged]:
            return [c for c in reader.said if isinstance(c, StreamChanged) and c.code is not None]

        try:
            assert soon(failures)
            assert failures()[0].code is ReasonCode.UNREACHABLE
            assert "redirects" in failures()[0].detail
            assert "s3cret" not in repr(reader.said)
        finally:
            ended([reader])


def test_a_server_with_six_cameras_that_send_no_video_stops_without_abandoning_one() -> None:
    """Each was waited for and its thread given up."""
    with contextlib.ExitStack() as stack:
        cameras = [stack.enter_context(OddCamera(play)) for play in PLAYS]
        with Server() as server:
            for number, camera in enumerate(cameras):
                assert server.add(f"odd-{number}", camera.url, timeout_s=30).status_code == 201
            assert soon(lambda: all(camera.asked("PLAY") for camera in cameras))
            cut = "styleflow_camera_connections_cut_total"
            before = server.metric(cut, reason="closed")
            assert server.remove("odd-1").is_success
            assert server.metric(cut, reason="closed") > before
        assert server.exit_code == 0
        log = "\n".join(server.log)
        assert log.count("stream removed") == len(cameras)
        assert "abandoned" not in log
        assert "Traceback" not in log
