"""Cameras that point elsewhere, over real sockets: who is asked what, and how often."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

import pytest

from stream.clock import SystemClock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.rtsp import RtspSource
from stream.ingest.source import SourceSettings, SourceUrl
from tests.support.media import encode, moving_pictures
from tests.support.rtsp import Media, RtspServer

pytestmark = pytest.mark.e2e


class Pointer:
    """A camera that demands Basic credentials and then points elsewhere."""

    def __init__(self, *, login: bool) -> None:
        self.location = ""
        self.requests: list[str] = []
        self._login = login
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"rtsp://user:s3cret@127.0.0.1:{self.port}/cam"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.settimeout(5)
                while request := self._read(peer):
                    self.requests.append(request)
                    peer.sendall(self._answer(request).encode())

    def _read(self, peer: socket.socket) -> str:
        received = b""
        while b"\r\n\r\n" not in received:
            data = peer.recv(4096)
            if not data:
                return ""
            received += data
        return received.decode()

    def _answer(self, request: str) -> str:
        found = re.search(r"CSeq: *(\d+)", request)
        assert found is not None
        sequence = f"CSeq: {found[1]}\r\n"
        if self._login and request.startswith("OPTIONS"):
            return f"RTSP/1.0 200 OK\r\n{sequence}Public: DESCRIBE\r\n\r\n"
        if self._login and "Authorization" not in request:
            return f'RTSP/1.0 401 No\r\n{sequence}WWW-Authenticate: Basic realm="x"\r\n\r\n'
        return f"RTSP/1.0 302 Found\r\n{sequence}Location: {self.location}\r\n\r\n"


@pytest.fixture(params=[True, False], ids=["after_login", "at_once"])
def pointer(request: pytest.FixtureRequest) -> Iterator[Pointer]:
    pointer = Pointer(login=request.param)
    try:
        yield pointer
    finally:
        pointer.close()


def opened(url: str) -> RtspSource:
    return RtspSource(SourceSettings(SourceUrl.parse(url), timeout_s=2.0), SystemClock())


def test_a_password_does_not_go_where_a_redirect_points(pointer: Pointer) -> None:
    thief = Pointer(login=True)
    try:
        pointer.location = f"rtsp://localhost:{thief.port}/cam"
        with pytest.raises(SourceError) as failure:
            next(opened(pointer.url).packets())
        assert failure.value.code is ReasonCode.AUTH
        assert thief.requests
        assert not any("Authorization" in request for request in thief.requests)
    finally:
        thief.close()


def test_a_redirect_in_circles_ends_after_five_hops(pointer: Pointer) -> None:
    """FFmpeg made 2,469 requests in 9 s."""
    pointer.location = f"rtsp://127.0.0.1:{pointer.port}/cam"
    with pytest.raises(SourceError, match="more than 5 times"):
        next(opened(pointer.url).packets())
    assert len(pointer.requests) <= 6 * 3


def test_a_redirect_to_a_cloud_s_credentials_is_not_followed(pointer: Pointer) -> None:
    pointer.location = "rtsp://169.254.169.254:80/latest"
    with pytest.raises(SourceError, match="link-local") as failure:
        next(opened(pointer.url).packets())
    assert failure.value.code is ReasonCode.UNREACHABLE


def test_an_honest_redirect_leads_to_video(pointer: Pointer, tmp_path: object) -> None:
    media = Media(encode(tmp_path / "a.mp4", moving_pictures(50)))  # type: ignore[operator]
    with RtspServer({"/real": media}) as server:
        pointer.location = server.url("/real")
        packets = opened(pointer.url).packets()
        assert next(packets).data
        packets.close()  # type: ignore[attr-defined]
