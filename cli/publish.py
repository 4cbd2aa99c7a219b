"""`styleflow publish`: send a video file as a WebRTC peer would, for tests and demonstrations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import av
import httpx
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av.video.frame import VideoFrame
from rich.console import Console

from cli.errors import CallNotTaken
from stream.clock import Clock, SystemClock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.source import redact
from stream.problems import Problem
from stream.webrtc.aiortc_compat import close_quietly, gather_on
from styleflow.client.errors import AnalyzerAway, no_answer
from styleflow.pictures.rgb import is_common
from styleflow.pictures.seen import as_seen
from styleflow.pictures.upright import Orientation, pixel_aspect
from styleflow.video_tracks import best_track

VIDEO = Fraction(1, 90_000)
CODECS = ("vp8", "h264")
CONNECT_S = 15.0
ADDRESS_HINT = "Start it with `styleflow serve`, or check --whip: http://HOST:PORT/whip/STREAM"
PATH_HINT = "Let UDP pass between both machines, or set webrtc.advertise on the analyzer"
ENDED_HINT = "The events of the stream, and the analyzer's log, say why"


class ClipTrack(VideoStreamTrack):
    """A file's pictures at their own pace, once or over and over.

    Args:
        path: a video file.
        clock: paces it.
        loop: begin again at the end.
    """

    def __init__(self, path: Path, clock: Clock, *, loop: bool = False) -> None:
        super().__init__()
        self._path = path
        self._clock = clock
        self._again = loop
        self._pictures = self._read()
        self._began: float | None = None

    async def recv(self) -> VideoFrame:
        """Return the next picture when it is due."""
        found = await asyncio.to_thread(next, self._pictures, None)
        if found is None:
            self.stop()
            raise MediaStreamError
        at, frame = found
        now = self._clock.monotonic()
        self._began = now - at if self._began is None else self._began
        if self._began + at > now:
            await self._clock.sleep(self._began + at - now)
        frame.pts = round(at / VIDEO)
        frame.time_base = VIDEO
        return frame

    def _read(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yield pictures with the seconds at which they are due."""
        offset = 0.0
        while True:
            at = step = 0.0
            with av.open(str(self._path)) as container:
                video = best_track(container)
                if video is None:
                    return
                lies, aspect = None, pixel_aspect(video)
                for frame in container.decode(video):
                    lies = lies or Orientation.of(frame)
                    when = float(frame.time or 0.0)
                    step, at = max(when - at, 0.0), when
                    yield offset + at, _speaks_for_itself(frame, lies, aspect)
            if not self._again or step == 0.0:
                return
            offset += at + step


def _speaks_for_itself(frame: VideoFrame, lies: Orientation, aspect: Fraction | None) -> VideoFrame:
    """Return a frame that is seen as it is meant to, though a call says nothing of it beside."""
    if lies == Orientation() and (aspect or 1) == 1 and is_common(frame):
        return frame
    image = as_seen(frame, lies, aspect)
    height, width = (side // 2 * 2 for side in image.shape[:2])  # encoders want even ones
    return VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), "rgb24")


class Publisher:
    """One call to a WHIP endpoint.

    Args:
        url: of the endpoint, `http://HOST:PORT/whip/STREAM`.
        token: bearer token, where one is needed.
        bind: addresses of this machine to send from; none means all but loopback.
    """

    def __init__(self, url: str, token: str | None = None, bind: Sequence[str] = ()) -> None:
        self._bind = tuple(bind)
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: str | None = None
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def call(self, track: VideoStreamTrack, codec: str | None = None) -> None:
        """Offer a track and connect.

        Raises:
            CallNotTaken: the endpoint did not take the offer.
            TimeoutError: no connection came about.
        """
        sender = self.connection.addTrack(track)
        if codec is not None:
            self._prefer(sender, codec)
        gather_on(self.connection, self._bind)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = self.connection.localDescription.sdp
        async with httpx.AsyncClient(headers=self._headers, timeout=20) as client:
            response = await client.post(
                self._url, content=offer, headers={"Content-Type": "application/sdp"}
            )
        if response.status_code != 201:
            raise CallNotTaken(_problem(response))
        self._session = urljoin(self._url, response.headers["Location"])
        connected = asyncio.Event()

        def changed() -> None:
            if self.connection.connectionState in ("connected", "failed", "closed"):
                connected.set()

        self.connection.on("connectionstatechange", changed)
        answer = RTCSessionDescription(response.text, "answer")
        await self.connection.setRemoteDescription(answer)
        async with asyncio.timeout(CONNECT_S):
            await connected.wait()
        if self.connection.connectionState != "connected":
            raise TimeoutError

    async def hang_up(self) -> None:
        """Take leave; a server that has gone is fine."""
        if self._session is not None:
            try:
                async with httpx.AsyncClient(headers=self._headers, timeout=5) as client:
                    await client.delete(self._session)
            except httpx.HTTPError:
                pass
            self._session = None
        await close_quietly(self.connection)

    def _prefer(self, sender: RTCRtpSender, codec: str) -> None:
        known = RTCRtpSender.getCapabilities("video").codecs
        wanted = [c for c in known if c.mimeType.lower() == f"video/{codec}"]
        for transceiver in self.connection.getTransceivers():
            if transceiver.sender is sender:
                transceiver.setCodecPreferences(wanted)


def _problem(response: httpx.Response) -> Problem:
    """Return what an endpoint said; one that is no analyzer may say anything."""
    try:
        body: Any = response.json()
        if body["code"] == "http":
            raise KeyError("nothing here speaks WHIP")
        code, title, detail, hint = (str(body[k]) for k in ("code", "title", "detail", "hint"))
        return Problem(code, title, detail, hint, response.status_code, retry=bool(body["retry"]))
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.reason_phrase}"
        hint = "Check the address; it ends in /whip/STREAM"
        return Problem("whip", "The call was not taken", detail, hint, response.status_code)


def run(
    path: Path, url: str, token: str | None, codec: str | None, console: Console, *, loop: bool
) -> None:
    """Send a file until it ends, or until interrupted.

    Raises:
        FileNotFoundError: there is no such file.
        SourceError: it is no video.
        AnalyzerAway: the analyzer cannot be reached, or hangs up.
        CallNotTaken: the analyzer does not take the call.
    """
    check(path, url)
    asyncio.run(_publish(path, url, token, codec, console, loop=loop))


def check(path: Path, url: str) -> None:
    """Find what is wrong before anything is opened."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise AnalyzerAway(
            redact(url), "this is no address of a call", "--whip is http://HOST:PORT/whip/STREAM"
        )
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    try:
        with av.open(str(path)) as container:
            if best_track(container) is None:
                raise SourceError(ReasonCode.CODEC, f"{path} holds no video")
    except av.error.FFmpegError as error:
        raise SourceError(ReasonCode.CORRUPT, f"{path} is no video ({error.strerror})") from None


async def _publish(
    path: Path, url: str, token: str | None, codec: str | None, console: Console, *, loop: bool
) -> None:
    publisher = Publisher(url, token)
    track = ClipTrack(path, SystemClock(), loop=loop)
    over = asyncio.Event()
    track.on("ended", over.set)

    def changed() -> None:
        if publisher.connection.connectionState in ("failed", "closed"):
            over.set()

    publisher.connection.on("connectionstatechange", changed)
    try:
        await publisher.call(track, codec)
        console.print(f"sending {path} to {redact(url)}", markup=False, highlight=False)
        await over.wait()
        if track.readyState == "live":
            raise AnalyzerAway(redact(url), "it has ended the call", ENDED_HINT)
    except httpx.HTTPError as error:
        raise AnalyzerAway(redact(url), no_answer(error), ADDRESS_HINT) from None
    except TimeoutError:
        reason = "it took the offer, but no way for the video was found"
        raise AnalyzerAway(redact(url), reason, PATH_HINT) from None
    finally:
        await publisher.hang_up()
