"""Latency of a call from glass to score: age of a picture when its score is published.

    python -m benchmarks.call [--out DIR] [--seconds S] [--memory S]

A page in headless Chromium draws a face with the time of day burned in as a barcode and sends it
over WebRTC; an aiortc peer does the same with pictures of its own. The analyzer, with the product's
defaults, reads the barcode off each sampled frame. When a score is published, the time that the
newest frame behind it shows is compared with the time of day: encoding, network, jitter buffer,
decoding, waiting, faces, network and engine are all in it. Both ends are this machine, so the
figures hold for one clock, no distance, and whatever else the machine is doing.

`--memory` sends 1920x1080 at 60 frames per second to an analyzer that manages two, and watches the
memory of the process, the sender's included.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import cv2
import numpy as np
import torch
import typer
import uvicorn
from aiortc import VideoStreamTrack
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import hardware, shipped_model
from benchmarks.result import write_result
from cli import logs, wiring
from cli.publish import Publisher
from cli.settings import Settings, load
from stream.analyzer.analyzer import Analyzer
from stream.clock import SystemClock
from stream.device.device import Device
from stream.errors import SourceError
from stream.events import Frame
from stream.ingest.decode import Decoder
from stream.ingest.open import open_source
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.perception.perception import Perceiving, Perception
from stream.pipeline import Pipeline
from stream.publish.history import StreamHistories
from stream.publish.hub import Filter, Hub
from styleflow.faces.device_picture import host
from styleflow.faces.face import Image
from styleflow.weights.face_networks import load_finder
from web.app import create_app
from web.connection_limits import ConnectionLimits
from web.settings import WebSettings
from web.transport import server_options

RESULTS = Path(__file__).parent / "results"
SIZE = (640, 480)
FPS = 25
CELLS = 40  # 32 bits of milliseconds, 8 of their checksum
LOOPBACK = ("127.0.0.1",)
WARM_UP_S = 5.0
VIDEO = Fraction(1, 90_000)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
)

PAGE = """async ([picture, codec, fps]) => {
  // No URL: the page's policy allows no picture that it was not served.
  const jpeg = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 480];
  const pen = canvas.getContext("2d");
  let n = 0;
  const draw = () => {
    pen.drawImage(image, 4 * Math.sin(n / 9), 3 * Math.sin(n / 7));
    n += 1;
    const now = BigInt.asUintN(32, BigInt(Date.now()));
    const bytes = [24n, 16n, 8n, 0n].map((shift) => Number((now >> shift) & 255n));
    bytes.push(bytes.reduce((sum, byte) => (sum + byte) & 255, 85));
    for (let cell = 0; cell < 40; cell++) {
      pen.fillStyle = (bytes[cell >> 3] >> (7 - (cell & 7))) & 1 ? "white" : "black";
      pen.fillRect(cell * 16, 464, 16, 16);
    }
  };
  setInterval(draw, 1000 / fps);
  draw();
  const call = new RTCPeerConnection();
  const film = canvas.captureStream(fps);
  film.getTracks().forEach((track) => call.addTrack(track, film));
  const known = RTCRtpSender.getCapabilities("video").codecs;
  call.getTransceivers()[0].setCodecPreferences(
    known.filter((each) => each.mimeType === "video/" + codec));
  await call.setLocalDescription();
  const answer = await fetch("/whip/call", {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: call.localDescription.sdp,
  });
  const begun = performance.now();
  await call.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await new Promise((done) => {
    call.onconnectionstatechange = () => call.connectionState === "connected" && done();
  });
  window.call = call;
  return performance.now() - begun;
}"""


def burn(picture: Image, milliseconds: int) -> None:
    """Draw a time into the lowest 16 rows of a picture, 640 pixels wide."""
    data = list((milliseconds & 0xFFFFFFFF).to_bytes(4, "big"))
    bits = np.unpackbits(np.array([*data, (sum(data) + 85) & 255], np.uint8))
    picture[-16:] = (bits.repeat(16) * 255)[None, :, None]


def read(picture: Image) -> int | None:
    """Return the time that a picture shows, whatever its scale; None when it is illegible."""
    height, width = picture.shape[:2]
    row = round(height * (1 - 8 / SIZE[1]))
    middles = ((np.arange(CELLS) + 0.5) * width / CELLS).astype(int)
    data = np.packbits(picture[row, middles, 1] > 127)
    if (int(data[:4].sum()) + 85) & 255 != data[4]:
        return None
    return int.from_bytes(data[:4].tobytes(), "big")


class ReadingPerception(Perception):
    """Perception that also reads the clock off every frame."""

    shown: dict[tuple[int, float], int]

    def perceiving(self, frame: Frame, overrun: int = 0) -> Perceiving:
        """Look at a frame and remember what time it shows."""
        time = read(host(frame.image))
        if time is not None:
            self.shown[frame.epoch, frame.at] = time
            while len(self.shown) > 1000:
                del self.shown[next(iter(self.shown))]
        return (yield from super().perceiving(frame, overrun))


class ClockTrack(VideoStreamTrack):
    """A face with the time burned in."""

    def __init__(self, face: Image) -> None:
        super().__init__()
        self._face = face
        self._clock = SystemClock()
        self._began = self._clock.monotonic()
        self._n = 0

    async def recv(self) -> av.VideoFrame:
        """Return the next picture when it is due."""
        self._n += 1
        due = self._began + self._n / FPS - self._clock.monotonic()
        await self._clock.sleep(max(due, 0.0))
        shift = round(4 * float(np.sin(self._n / 9)))
        picture = np.roll(self._face, shift, axis=1)
        burn(picture, _now_ms(self._clock))
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = round(self._n / FPS / VIDEO), VIDEO
        return frame


class PreparedTrack(VideoStreamTrack):
    """Pictures that were compressed beforehand, over and over, in real time."""

    def __init__(self, packets: Sequence[bytes], fps: int) -> None:
        super().__init__()
        self._packets = packets
        self._fps = fps
        self._clock = SystemClock()
        self._began = self._clock.monotonic()
        self._n = 0

    async def recv(self) -> av.Packet[Any]:  # type: ignore[override]
        """Return the next picture when it is due."""
        self._n += 1
        due = self._began + self._n / self._fps - self._clock.monotonic()
        await self._clock.sleep(max(due, 0.0))
        packet = av.Packet(self._packets[self._n % len(self._packets)])
        packet.pts, packet.time_base = round(self._n / self._fps / VIDEO), VIDEO
        return packet


@dataclass(frozen=True, slots=True)
class Found:
    """What one kind of call measured.

    Attributes:
        sender: who sent.
        codec: what it sent.
        scores: scores whose frame's time could be read.
        connect_ms: from the answer until connected (Chromium), from the offer on (aiortc).
        p50_ms: glass to score, median.
        p95_ms: likewise.
        p99_ms: likewise.
        inside_p50_ms: of it, from the arrival of a whole picture until the score, median.
        fps: pictures per second received.
    """

    sender: str
    codec: str
    scores: int
    connect_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    inside_p50_ms: float
    fps: float


@dataclass(slots=True, eq=False)
class Rig:
    """A running analyzer, its port, and what its frames have shown."""

    analyzer: Analyzer
    hub: Hub
    port: int
    shown: dict[tuple[int, float], int]


@asynccontextmanager
async def running(settings: Settings, slow_s: float = 0.0) -> AsyncIterator[Rig]:
    """Run the product on a loopback port; optionally with eyes that take their time."""
    clock = SystemClock()
    hub, registry = Hub(clock), CollectorRegistry()
    shown: dict[tuple[int, float], int] = {}
    analyzer = Analyzer(
        _pipeline(settings, shown, slow_s), hub, Metrics(registry), clock, calls=settings.webrtc
    )
    app = create_app(
        analyzer, hub, StreamHistories(), _no_predictor, WebSettings(), clock, registry
    )
    limits = ConnectionLimits(settings.web.connections)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, log_level="warning", **server_options(limits))
    )
    async with analyzer:
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await clock.sleep(0.05)
        yield Rig(analyzer, hub, server.servers[0].sockets[0].getsockname()[1], shown)
        server.should_exit = True
        await serving


def _pipeline(settings: Settings, shown: dict[tuple[int, float], int], slow_s: float) -> Pipeline:
    devices = [
        Device(
            wiring.detector(wanted, settings, untrained=True),
            wanted.slots or settings.model.slots,
            settings.model.device,
            settings.model.threads,
        )
        for wanted in wiring.chosen(settings)
    ]
    finder = load_finder(settings.model.device, wiring.runtime(settings))
    clips = [device.detector.clip for device in devices]

    def eyes() -> Perception:
        made = ReadingPerception(finder, clips, settings.perception)
        made.shown = shown
        return _Slow(made, slow_s) if slow_s else made  # type: ignore[return-value]

    return Pipeline(devices, eyes, settings.engine, SystemClock())


class _Slow:
    """Perception that takes its time."""

    def __init__(self, inner: Perception, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds
        self._clock = SystemClock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def perceiving(self, frame: Frame, overrun: int = 0) -> Perceiving:
        """Look at a frame, for long."""
        until = self._clock.monotonic() + self._seconds
        seen = yield from self._inner.perceiving(frame, overrun)
        while self._clock.monotonic() < until:
            np.linalg.norm(host(frame.image).astype(np.float32))
        return seen


async def _no_predictor(path: Path, *, shown: str, detector: str | None) -> Any:
    raise RuntimeError("a benchmark asked for a prediction, which it has no need of")


async def collect(rig: Rig, seconds: float) -> tuple[list[float], list[float]]:
    """Return the ages of scores when they are published: glass to score, and inside; in ms."""
    clock = SystemClock()
    glass: list[float] = []
    inside: list[float] = []
    counting = False

    def take() -> None:
        now = _now_ms(clock)
        while (text := reader.take(clock.monotonic())) is not None:
            message = json.loads(text)
            if message["type"] != "score" or not counting:
                continue
            time = rig.shown.get((message["epoch"], message["data"]["window"]["pts_end"]))
            if time is not None:
                glass.append(float((now - time) & 0xFFFFFFFF))
                inside.append(float(message["data"]["latency_ms"]))

    loop = asyncio.get_running_loop()

    def wake() -> None:
        loop.call_soon(take)

    reader = rig.hub.subscribe(Filter(types=frozenset({"score"}), max_hz=60.0), wake)
    await clock.sleep(WARM_UP_S)
    counting = True
    await clock.sleep(seconds)
    reader.close()
    return glass, inside


def _now_ms(clock: SystemClock) -> int:
    return int(clock.utc().timestamp() * 1000) & 0xFFFFFFFF


async def chromium(settings: Settings, codec: str, seconds: float) -> Found | None:
    """Measure a call from a page; None where there is no Chromium to drive."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        return None
    if path is None:
        return None
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(face(), cv2.COLOR_RGB2BGR))[1].tobytes()
    picture = base64.b64encode(jpeg).decode()
    async with running(settings) as rig, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{rig.port}/")
        connect = await page.evaluate(PAGE, [picture, codec, FPS])
        found = _found("Chromium", codec, connect, *await collect(rig, seconds), rig=rig)
        await browser.close()
    return found


async def peer(settings: Settings, codec: str, seconds: float) -> Found:
    """Measure a call from an aiortc peer in this process."""
    clock = SystemClock()
    async with running(settings) as rig:
        publisher = Publisher(f"http://127.0.0.1:{rig.port}/whip/call", bind=LOOPBACK)
        begun = clock.monotonic()
        await publisher.call(ClockTrack(face()), codec.lower())
        connect = (clock.monotonic() - begun) * 1000
        found = _found("aiortc", codec, connect, *await collect(rig, seconds), rig=rig)
        await publisher.hang_up()
    return found


def _found(
    sender: str, codec: str, connect: float, glass: list[float], inside: list[float], *, rig: Rig
) -> Found:
    p50, p95, p99 = np.percentile(glass or [float("nan")], (50, 95, 99))
    return Found(
        sender=sender,
        codec=codec,
        scores=len(glass),
        connect_ms=round(connect, 1),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
        inside_p50_ms=round(float(np.median(inside or [float("nan")])), 1),
        fps=round(rig.analyzer.status("call").fps or 0.0, 1),
    )


def face() -> Image:
    """Return one picture of the demo's face."""
    url = SourceUrl.parse(f"demo://authentic?seconds=1&size={SIZE[0]}x{SIZE[1]}")
    source = open_source(SourceSettings(url, pace=Pace.FAST), SystemClock(), lambda _: False)
    decoder: Decoder | None = None
    try:
        for packet in source.packets():
            decoder = decoder or Decoder(packet.format)
            for picture in decoder.decode(packet):
                return picture.rgb()
    except SourceError:
        pass
    finally:
        source.close()
    raise RuntimeError("the demo shows nothing")


async def memory(settings: Settings, seconds: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """Send 1080p60 to an analyzer that manages two pictures per second; return its memory."""
    packets = _full_hd()
    clock = SystemClock()
    async with running(settings, slow_s=0.5) as rig:
        publisher = Publisher(f"http://127.0.0.1:{rig.port}/whip/call", bind=LOOPBACK)
        await publisher.call(PreparedTrack(packets, 60), "vp8")
        samples: list[tuple[float, float, float]] = []
        begun = clock.monotonic()
        while (at := clock.monotonic() - begun) < seconds:
            ingest = rig.analyzer.ingest_counters("call")
            samples.append((round(at, 1), _resident_mb(), ingest.log.bytes / 1e6))
            tell(f"{at:5.0f} s  {samples[-1][1]:.0f} MB, packet log {samples[-1][2]:.1f} MB")
            await clock.sleep(min(10.0, seconds / 6))
        status = rig.analyzer.status("call")
        await publisher.hang_up()
    return {
        "seconds": seconds,
        "decoded": ingest.decoded,
        "fps": round(status.fps or 0.0, 1),
        "reasons": [reason.value for reason in status.reasons],
        "resident_mb_and_packet_log_mb": samples,
    }


def _full_hd() -> list[bytes]:
    """Return two seconds of 1920x1080 at 60 frames per second, VP8 at about 3 Mbit/s."""
    codec = av.CodecContext.create("libvpx", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = 1920, 1080, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 60), Fraction(60)
    codec.bit_rate, codec.gop_size = 3_000_000, 60
    codec.options = {"deadline": "realtime", "cpu-used": "8"}
    base = np.asarray(cv2.resize(face(), (1920, 1080)), np.uint8)
    packets: list[bytes] = []
    for n in range(120):
        picture = np.roll(base, round(8 * np.sin(2 * np.pi * n / 120)), axis=1)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = n
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return [*packets, *(bytes(packet) for packet in codec.encode(None))]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def table(found: Sequence[Found]) -> Table:
    """Return what was found, for the terminal."""
    shown = Table(title="a call, glass to score, in milliseconds")
    for column in ("sender", "codec", "scores", "connect", "p50", "p95", "p99", "inside", "fps"):
        shown.add_column(column)
    for one in found:
        figures = (one.connect_ms, one.p50_ms, one.p95_ms, one.p99_ms, one.inside_p50_ms, one.fps)
        shown.add_row(one.sender, one.codec, str(one.scores), *(f"{f:.0f}" for f in figures))
    return shown


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    seconds: Annotated[float, typer.Option(min=1, help="Measured per kind of call.")] = 30.0,
    memory_s: Annotated[
        float, typer.Option("--memory", help="Also watch the memory for so long.")
    ] = 0.0,
) -> None:
    """Measure calls from glass to score."""
    logs.configure("warning", "console")
    settings = load(None, {}, {"webrtc": {"bind": list(LOOPBACK)}})
    if settings.model.threads is not None:
        torch.set_num_threads(settings.model.threads)
    where, console = hardware(), Console()
    found: list[Found] = []
    for codec in ("VP8", "H264"):
        for one in (
            asyncio.run(chromium(settings, codec, seconds)),
            asyncio.run(peer(settings, codec, seconds)),
        ):
            found += [one] if one is not None else []
    document: dict[str, Any] = {
        "benchmark": "call",
        "hardware": where.to_json(),
        "model": shipped_model(),
        "size": SIZE,
        "calls": [asdict(one) for one in found],
    }
    console.print(table(found))
    if memory_s:
        document["memory"] = asyncio.run(memory(settings, memory_s, console.print))
    path = out / f"call-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
