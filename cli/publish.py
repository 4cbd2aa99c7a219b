"""`styleflow publish`: send a video file as a WebRTC peer would, for tests and demonstrations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import av
import httpx
from aiortc import VideoStreamTrack
from rich.console import Console

from cli.errors import CallNotTaken
from stream.clock import Clock, SystemClock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.source import redact
from stream.problems import Problem
from stream.webrtc.outgoing import CODECS, OutgoingCall, PictureTrack, file_pictures
from styleflow.client.errors import AnalyzerAway, no_answer
from styleflow.video_tracks import best_track

__all__ = ["CODECS", "ClipTrack", "Publisher", "check", "run"]

ADDRESS_HINT = "Start it with `styleflow serve`, or check --whip: http://HOST:PORT/whip/STREAM"
PATH_HINT = "Let UDP pass between both machines, or set webrtc.advertise on the analyzer"
ENDED_HINT = "The events of the stream, and the analyzer's log, say why"


class ClipTrack(PictureTrack):
    """A file's pictures at their own pace, once or over and over.

    Args:
        path: a video file.
        clock: paces it.
        loop: begin again at the end.
    """

    def __init__(self, path: Path, clock: Clock, *, loop: bool = False) -> None:
        super().__init__(file_pictures(path, loop=loop), clock)


class Publisher:
    """One call to a WHIP endpoint.

    Args:
        url: of the endpoint, `http://HOST:PORT/whip/STREAM`.
        token: bearer token, where one is needed.
        bind: addresses of this machine to send from; none means all but loopback.
    """

    def __init__(self, url: str, token: str | None = None, bind: Sequence[str] = ()) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: str | None = None
        self._outgoing = OutgoingCall(bind)
        self.connection = self._outgoing.connection

    async def call(self, track: VideoStreamTrack, codec: str | None = None) -> None:
        """Offer a track and connect.

        Raises:
            CallNotTaken: the endpoint did not take the offer.
            TimeoutError: no connection came about.
        """
        offer = await self._outgoing.offer(track, codec)
        async with httpx.AsyncClient(headers=self._headers, timeout=20) as client:
            response = await client.post(
                self._url, content=offer, headers={"Content-Type": "application/sdp"}
            )
        if response.status_code != 201:
            raise CallNotTaken(_problem(response))
        self._session = urljoin(self._url, response.headers["Location"])
        await self._outgoing.connect(response.text)

    async def hang_up(self) -> None:
        """Take leave; a server that has gone is fine."""
        if self._session is not None:
            try:
                async with httpx.AsyncClient(headers=self._headers, timeout=5) as client:
                    await client.delete(self._session)
            except httpx.HTTPError:
                pass
            self._session = None
        await self._outgoing.close()


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
        if track.fault:
            raise SourceError(ReasonCode.CORRUPT, f"{path} breaks off ({track.fault})")
        if track.readyState == "live":
            raise AnalyzerAway(redact(url), "it has ended the call", ENDED_HINT)
    except httpx.HTTPError as error:
        raise AnalyzerAway(redact(url), no_answer(error), ADDRESS_HINT) from None
    except TimeoutError:
        reason = "it took the offer, but no way for the video was found"
        raise AnalyzerAway(redact(url), reason, PATH_HINT) from None
    finally:
        await publisher.hang_up()
