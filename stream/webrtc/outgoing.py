"""Outgoing calls: pictures sent as a WebRTC peer sends them, with the signalling left to others.

`styleflow publish` sends a file to an analyzer with it, and an analyzer its canaries to itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
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

from stream.clock import Clock
from stream.webrtc.aiortc_compat import close_quietly, gather_on
from styleflow.faces.face import Image
from styleflow.pictures.rgb import is_common
from styleflow.pictures.seen import as_seen
from styleflow.pictures.upright import Orientation, pixel_aspect
from styleflow.video_tracks import best_track

VIDEO = Fraction(1, 90_000)
CODECS = ("vp8", "h264")
CONNECT_S = 15.0

Pictures = Iterator[tuple[float, VideoFrame]]
"""Pictures, each with the media seconds at which it is due."""


class PictureTrack(VideoStreamTrack):
    """Pictures at their own pace, as a media track.

    Args:
        pictures: each with the media seconds at which it is due; read in a worker thread.
        clock: paces them.

    Attributes:
        began: monotonic seconds at which media time was 0; None before the first picture.
        at: media seconds of the newest picture.
        over: set when there are no more.
        fault: why there are no more, when they broke off; else empty.
    """

    def __init__(self, pictures: Pictures, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._pictures = pictures
        self.began: float | None = None
        self.at = 0.0
        self.fault = ""
        self.over = asyncio.Event()
        self.on("ended", self.over.set)

    async def recv(self) -> VideoFrame:
        """Return the next picture when it is due."""
        try:
            found = await asyncio.to_thread(next, self._pictures, None)
        except (av.error.FFmpegError, OSError) as error:
            found, self.fault = None, error.strerror or type(error).__name__
        if found is None:
            self.stop()
            raise MediaStreamError
        at, frame = found
        self.at = at
        now = self._clock.monotonic()
        self.began = now - at if self.began is None else self.began
        if self.began + at > now:
            await self._clock.sleep(self.began + at - now)
        frame.pts = round(at / VIDEO)
        frame.time_base = VIDEO
        return frame


class OutgoingCall:
    """One call that is begun here: an offer out, an answer in.

    Args:
        bind: addresses of this machine to send from; none means all but loopback.
    """

    def __init__(self, bind: Sequence[str] = ()) -> None:
        self._bind = tuple(bind)
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def offer(self, track: VideoStreamTrack, codec: str | None = None) -> str:
        """Return an offer to send a track, with every candidate in it.

        Args:
            track: what is sent.
            codec: one of CODECS that it must be sent in; the other side's choice when left out.
        """
        sender = self.connection.addTrack(track)
        if codec is not None:
            self._prefer(sender, codec)
        gather_on(self.connection, self._bind)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def connect(self, answer: str) -> None:
        """Take the answer and connect.

        Raises:
            TimeoutError: no connection came about.
        """
        connected = asyncio.Event()

        def changed() -> None:
            if self.connection.connectionState in ("connected", "failed", "closed"):
                connected.set()

        self.connection.on("connectionstatechange", changed)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(CONNECT_S):
            await connected.wait()
        if self.connection.connectionState != "connected":
            raise TimeoutError

    async def close(self) -> None:
        """End the connection; in any state, more than once."""
        await close_quietly(self.connection)

    def _prefer(self, sender: RTCRtpSender, codec: str) -> None:
        known = RTCRtpSender.getCapabilities("video").codecs
        wanted = [c for c in known if c.mimeType.lower() == f"video/{codec}"]
        for transceiver in self.connection.getTransceivers():
            if transceiver.sender is sender:
                transceiver.setCodecPreferences(wanted)


def drawn_pictures(images: Iterator[Image], fps: float) -> Pictures:
    """Yield RGB pictures as frames, with the seconds at which they are due."""
    for index, image in enumerate(images):
        yield index / fps, VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")


def file_pictures(path: Path, *, loop: bool = False) -> Pictures:
    """Yield the pictures of a file with the seconds at which they are due.

    Args:
        path: a video file.
        loop: begin again at the end.
    """
    offset = 0.0
    while True:
        at = step = 0.0
        with av.open(str(path)) as container:
            video = best_track(container)
            if video is None:
                return
            lies, aspect = None, pixel_aspect(video)
            for frame in container.decode(video):
                lies = lies or Orientation.of(frame)
                when = float(frame.time or 0.0)
                step, at = max(when - at, 0.0), when
                yield offset + at, _speaks_for_itself(frame, lies, aspect)
        if not loop or step == 0.0:
            return
        offset += at + step


def _speaks_for_itself(frame: VideoFrame, lies: Orientation, aspect: Fraction | None) -> VideoFrame:
    """Return a frame that is seen as it is meant to, though a call says nothing of it beside."""
    if lies == Orientation() and (aspect or 1) == 1 and is_common(frame):
        return frame
    image = as_seen(frame, lies, aspect)
    height, width = (side // 2 * 2 for side in image.shape[:2])  # encoders want even ones
    return VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), "rgb24")
