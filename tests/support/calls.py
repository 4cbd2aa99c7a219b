"""A real analyzer that takes real calls over loopback, and peers with every bad habit."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from OpenSSL import SSL
from prometheus_client import CollectorRegistry

from cli.challenging import challenging
from stream.analyzer.analyzer import Analyzer
from stream.challenge.settings import ChallengeSettings
from stream.clock import SystemClock
from stream.monitoring.metrics import Metrics
from stream.pipeline import Pipeline
from stream.publish.history import StreamHistories
from stream.publish.hub import Filter, Hub
from stream.webrtc.aiortc_compat import CallCertificate, close_quietly, gather_on
from stream.webrtc.calls import WebRtcSettings
from tests.support.path import toy_pipeline
from tests.support.web import PlayedPredictor, resolver, served
from web.app import create_app
from web.settings import WebSettings

_TILES = np.random.default_rng(1).integers(0, 255, (12, 16, 3))
LOCAL = ("127.0.0.1",)
VIDEO = Fraction(1, 90_000)
SDP = {"Content-Type": "application/sdp"}


@dataclass
class CallRig:
    """An analyzer with its server, and all that its hub has said."""

    analyzer: Analyzer
    port: int
    messages: list[dict[str, Any]] = field(default_factory=list)

    def url(self, stream: str = "me") -> str:
        """Return the address to call."""
        return f"http://127.0.0.1:{self.port}/whip/{stream}"

    def events(self, kind: str, stream: str = "me") -> list[dict[str, Any]]:
        """Return the events of a kind, their data only."""
        return [
            m["data"]
            for m in self.messages
            if m["type"] == "event" and m["stream"] == stream and m["data"]["kind"] == kind
        ]

    def scores(self, stream: str = "me") -> list[dict[str, Any]]:
        """Return the scores of a stream."""
        return [m for m in self.messages if m["type"] == "score" and m["stream"] == stream]

    async def until(self, holds: Callable[[], object], what: str, within_s: float = 20) -> None:
        """Wait until something holds."""
        for _ in range(int(within_s / 0.05)):
            if holds():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"no {what} within {within_s} s; {self.messages[-5:]}")

    async def state(self, state: str, stream: str = "me") -> dict[str, Any]:
        """Wait for a stream to enter a state, and return the newest such event."""

        def entered() -> list[dict[str, Any]]:
            return [e for e in self.events("stream_changed", stream) if e["state"] == state]

        await self.until(entered, f"{stream} {state}")
        return entered()[-1]


@asynccontextmanager
async def call_rig(
    settings: WebRtcSettings | None = None,
    pipeline: Callable[[], Pipeline] = toy_pipeline,
    web: WebSettings | None = None,
    asking: ChallengeSettings | None = None,
) -> AsyncIterator[CallRig]:
    """Run an analyzer that answers calls on loopback."""
    clock = SystemClock()
    hub, histories = Hub(clock), StreamHistories()
    registry = CollectorRegistry()
    calls = settings or WebRtcSettings(bind=LOCAL)
    async with (
        Analyzer(pipeline(), hub, Metrics(registry), clock, calls=calls) as analyzer,
        challenging(
            asking or ChallengeSettings(), analyzer.events, clock, None, analyzer
        ) as challenges,
    ):
        app = create_app(
            analyzer,
            hub,
            histories,
            PlayedPredictor(),
            web or WebSettings(),
            clock,
            registry,
            resolve=resolver(()),
            challenges=challenges,
        )
        async with served(app) as port:
            rig = CallRig(analyzer, port)

            def take() -> None:
                while (text := reader.take(clock.monotonic())) is not None:
                    rig.messages.append(json.loads(text))

            loop = asyncio.get_running_loop()
            reader = hub.subscribe(Filter(max_hz=60.0), lambda: loop.call_soon(take))
            yield rig
            reader.close()


class MovingTrack(VideoStreamTrack):
    """A still texture below a moving disc, in real time; its size may be changed as it plays."""

    def __init__(self, fps: int = 25, size: tuple[int, int] = (320, 240)) -> None:
        super().__init__()
        self.size = size
        self._step = 1 / fps
        self._n = 0
        self._began: float | None = None

    async def recv(self) -> av.VideoFrame:
        await self._wait()
        width, height = self.size
        y, x = np.mgrid[:height, :width]
        picture = _TILES[y * 12 // height, x * 16 // width]
        disc = (x - width * (0.5 + 0.4 * np.cos(self._n / 9))) ** 2 + y**2
        picture[disc < (height / 8) ** 2] = (250, 220, 40)
        frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
        frame.pts, frame.time_base = round(self._n * self._step / VIDEO), VIDEO
        return frame

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._began = loop.time() if self._began is None else self._began
        self._n += 1
        await asyncio.sleep(max(self._began + self._n * self._step - loop.time(), 0))


class PacketTrack(MovingTrack):
    """Pictures that were compressed beforehand, over and over: cheap at any size and rate."""

    def __init__(self, packets: Iterable[bytes], fps: int) -> None:
        super().__init__(fps)
        self._packets = list(packets)

    async def recv(self) -> av.Packet:  # type: ignore[override]
        await self._wait()
        packet = av.Packet(self._packets[self._n % len(self._packets)])
        packet.pts, packet.time_base = round(self._n * self._step / VIDEO), VIDEO
        return packet


def compressed(path: Path) -> list[bytes]:
    """Return the packets of a video file."""
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def shown(token: str | None) -> dict[str, str]:
    """Return the headers that show a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


class OtherSuites(CallCertificate):
    """Certificate of a peer that speaks DTLS 1.2, and one suite that does not go with ECDSA."""

    def _create_ssl_context(self, srtp_profiles: Any) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_max_proto_version(0xFEFD)
        context.set_cipher_list(b"ECDHE-RSA-AES128-SHA")
        return context


class Caller:
    """A peer in the test's hands; an async context manager that is rude only when told to be.

    Args:
        url: of the endpoint.
        track: what it sends.
        token: what it shows.
        certificate: kind of its certificate; aiortc's own when None.
    """

    def __init__(
        self,
        url: str,
        track: VideoStreamTrack | None = None,
        token: str | None = None,
        certificate: type[CallCertificate] | None = None,
    ) -> None:
        self.url = url
        self.token = token
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if certificate is not None:
            certificate.of(self.connection)
        self.scores = self.connection.createDataChannel("scores")
        self.heard: list[dict[str, Any]] = []
        self.scores.on("message", lambda text: self.heard.append(json.loads(text)))
        self.sender = self.connection.addTrack(track or MovingTrack())
        self._connected = asyncio.Event()
        self.connection.on("connectionstatechange", self._on_state)
        self.location = ""
        self.etag = ""

    async def offer(self) -> str:
        """Return an offer with all candidates in it."""
        gather_on(self.connection, LOCAL)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def post(self, offer: str) -> httpx.Response:
        """Knock."""
        async with httpx.AsyncClient(timeout=20, headers=shown(self.token)) as client:
            response = await client.post(self.url, content=offer, headers=SDP)
        if response.status_code == 201:
            self.location = str(httpx.URL(self.url).join(response.headers["Location"]))
            self.etag = response.headers["ETag"]
        return response

    async def call(self) -> Caller:
        """Call and connect."""
        response = await self.post(await self.offer())
        assert response.status_code == 201, response.text
        return await self.connect(response.text)

    async def connect(self, answer: str) -> Caller:
        """Connect with an answer."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(15):
            await self._connected.wait()
        return self

    def _on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self._connected.set()

    @property
    def payload_type(self) -> int:
        """What marks its media packets; what is sent again has another mark."""
        sdp = self.connection.remoteDescription.sdp
        return int(next(x for x in sdp.splitlines() if x.startswith("m=video")).split()[3])

    @property
    def ports(self) -> list[tuple[str, int]]:
        """Where the call is received."""
        lines = self.connection.remoteDescription.sdp.splitlines()
        named = [line.split() for line in lines if line.startswith("a=candidate:")]
        return sorted({(words[4], int(words[5])) for words in named})

    def forge(self, data: bytes) -> None:
        """Send a datagram from the peer's own address, without its keys."""
        agent = self.sender.transport.transport._connection
        pair = agent._nominated[1]
        pair.protocol.transport.sendto(data, pair.remote_addr)

    async def delete(self) -> int:
        """End the call as one should; return the status."""
        async with httpx.AsyncClient(timeout=20, headers=shown(self.token)) as client:
            return (await client.delete(self.location)).status_code

    async def close(self) -> None:
        """Close the connection, which the other side hears of."""
        await close_quietly(self.connection)

    def vanish(self) -> None:
        """Send nothing any more, not even a goodbye."""

        async def nothing(data: bytes) -> None:
            return

        transport = self.sender.transport.transport
        transport._send = nothing
        for protocol in transport._connection._protocols:
            protocol.transport.sendto = lambda *args: None

    def keep_silent_of_dtls(self) -> None:
        """Take no part in the handshake from now on, though a way to the other side is found."""
        transport = self.sender.transport.transport
        send = transport._connection.send

        async def silent(data: bytes) -> None:
            if not 19 < data[0] < 64:
                await send(data)

        transport._send = silent

    def lose(self, share: float, seed: int = 1) -> None:
        """Lose this share of the media packets on the way."""
        rng = random.Random(seed)
        self.drop(lambda _: rng.random() < share)

    def drop(self, lost: Callable[[bytes], bool]) -> None:
        """Lose the media packets that a function chooses."""
        transport = self.sender.transport.transport
        send = transport._connection.send

        async def lossy(data: bytes) -> None:
            if 127 < data[0] < 192 and not 192 <= data[1] <= 223 and lost(data):
                return
            await send(data)

        transport._send = lossy

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await close_quietly(self.connection)


def sockets() -> int:
    """Return how many sockets this process has open."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += entry.readlink().name.startswith("socket:")
        except OSError:
            continue
    return count


def resident_mb() -> float:
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def thread_names() -> list[str]:
    """Return the threads that calls could leave behind."""
    return [
        t.name for t in threading.enumerate() if "decoder" in t.name or t.name.startswith("ingest")
    ]


def left_tasks() -> list[str]:
    """Return the tasks of calls that are still there."""
    tasks = [task for task in asyncio.all_tasks() if not task.done()]
    files = [getattr(task.get_coro(), "cr_code", None) for task in tasks]
    return [
        c.co_qualname
        for c in files
        if c and ("aiortc" in c.co_filename or "aioice" in c.co_filename)
    ]
