"""A camera that does what no camera should: it answers as it is told, and plays what it is told.

One thread listens and one serves each client, over plain TCP. It tells who asks from FFmpeg by the
name that FFmpeg is given, so that it can treat the two differently.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=odd\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtoCgL/lwFqAgICg,aM4yyA==\r\n"
    "a=control:trackID=0\r\n"
    "m=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\n"
)

STEP_S = 0.1
"""Between two things that a camera sends by itself."""

Play = Callable[[int], bytes]
"""Returns what a camera sends at its nth step after PLAY."""


def interleaved(channel: int, payload: bytes) -> bytes:
    """Return RTP or RTCP as it is sent within RTSP."""
    return struct.pack("!cBH", b"$", channel, len(payload)) + payload


REPORT = b"\x80\xc8\x00\x06" + bytes(24)


def nothing(step: int) -> bytes:
    """Send nothing at all."""
    return b""


def reports(step: int) -> bytes:
    """Send RTCP reports, and no video."""
    return interleaved(1, REPORT)


def audio(step: int) -> bytes:
    """Send sound, which nobody asked for, and no video."""
    return interleaved(2, struct.pack("!BBHII", 0x80, 0, step & 0xFFFF, 160 * step, 7) + bytes(160))


def garbage(step: int) -> bytes:
    """Send RTP that is none."""
    return interleaved(0, os.urandom(200))


def drip(step: int) -> bytes:
    """Announce a large packet, and send it byte by byte."""
    return b"$\x00\xff\xff" if step == 0 else b"x"


def requests(step: int) -> bytes:
    """Ask the client to go elsewhere, over and over."""
    method = ("REDIRECT", "ANNOUNCE")[step % 2]
    elsewhere = "Location: rtsp://127.0.0.2:9/x\r\nContent-Length: 0\r\n"
    return f"{method} * RTSP/1.0\r\nCSeq: {step + 1}\r\n{elsewhere}\r\n".encode()


PLAYS = (nothing, reports, audio, garbage, drip, requests)
"""Everything that such a camera plays."""


@dataclass
class OddCamera:
    """The camera; a context manager that listens on a free port of 127.0.0.1.

    Attributes:
        play: what it sends after PLAY.
        redirects: where it points to, by the method that is answered so; only FFmpeg is told.
        mute: the first method that it does not answer any more, "" for none.
        basic: it demands Basic credentials.
        seen: every request so far, with whether it was FFmpeg's.
    """

    play: Play = nothing
    redirects: Mapping[str, str] = field(default_factory=dict)
    mute: str = ""
    basic: bool = False
    port: int = 0
    seen: list[tuple[str, bool]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        """Its address, with credentials."""
        return f"rtsp://user:s3cret@127.0.0.1:{self.port}/cam"

    def asked(self, method: str) -> int:
        """Return how often FFmpeg has asked for this."""
        return sum(ffmpeg and said.startswith(method) for said, ffmpeg in list(self.seen))

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        playing, received, step = False, b"", 0
        with peer, contextlib.suppress(OSError):
            while not self._stop.is_set():
                peer.settimeout(STEP_S)
                with contextlib.suppress(TimeoutError):
                    data = peer.recv(65536)
                    if not data:
                        return
                    received += data
                while b"\r\n\r\n" in received and not playing:
                    head, _, received = received.partition(b"\r\n\r\n")
                    answer = self._answer(head.decode("latin-1"))
                    peer.sendall(answer)
                    playing = head.startswith(b"PLAY") and bool(answer)
                if playing:
                    peer.sendall(self.play(step))
                    step += 1

    def _answer(self, request: str) -> bytes:
        method = request.partition(" ")[0]
        ffmpeg = "User-Agent" in request
        self.seen.append((request, ffmpeg))
        if method == self.mute:
            return b""
        found = re.search(r"CSeq: *(\d+)", request)
        fields = f"CSeq: {found[1] if found else 0}\r\nSession: 1\r\n"
        if self.basic and "Authorization" not in request:
            return f'RTSP/1.0 401 No\r\n{fields}WWW-Authenticate: Basic realm="x"\r\n\r\n'.encode()
        if ffmpeg and method in self.redirects:
            location = self.redirects[method]
            return f"RTSP/1.0 302 Found\r\n{fields}Location: {location}\r\n\r\n".encode()
        body = ""
        if method == "SETUP":
            fields += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        if method == "DESCRIBE":
            body = SDP
            fields += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        return f"RTSP/1.0 200 OK\r\n{fields}\r\n{body}".encode()
