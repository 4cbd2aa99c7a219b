"""RTSP cameras, through FFmpeg: one connection from DESCRIBE to its end, never a retry.

FFmpeg's own `timeout` bounds every wait for the network; a deadline over the whole of opening
bounds a server that answers byte by byte. The deadline is not used while reading, because its check
takes Python's lock for every network read: what keeps sending, but no video, is ended by shutting
its socket down (`sockets.py`); where a system does not tell of sockets, the deadline has to do.

`protocol_whitelist` keeps a redirect or a session description from reaching anything but RTSP.
FFmpeg would follow any redirect and take the credentials along, so redirects are followed before it
connects (`rtsp_redirects.py`). A camera may redirect only then all the same: FFmpeg is asked to go
on before everything that it sends, and is stopped once it has left the connection that it began
with (`opening.py`).

Loss over UDP is the one thing that FFmpeg tells nowhere but in its log, and the H.265 decoder
notices less than half of it: measured at 0.3 % loss, 115 of 138 damaged pictures passed for sound.
`_units` therefore listens to the log lines of its own thread. Over TCP nothing is lost on the way;
what the camera itself leaves out shows as a hole between PTS.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import av
import av.logging
from av.container import InputContainer
from av.packet import Packet as Unit
from av.video.stream import VideoStream

from stream.clock import Clock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.network_wait import NetworkWait
from stream.ingest.opening import asking
from stream.ingest.rtsp_errors import TIMED_OUT, explain, silence
from stream.ingest.rtsp_redirects import PORTS, final_url
from stream.ingest.sockets import CameraSocket, visible
from stream.ingest.source import Packet, SourceSettings, SourceTraits, StreamFormat, Transport

USER_AGENT = "StyleFlow-Live"
RECEIVE_BUFFER_BYTES = 2 << 20
"""A keyframe arrives in one burst; the kernel may grant less."""

MOVED = "the camera is not followed: it redirects although it did not when it was asked"
ELSEWHERE = "the camera is not watched: its name led to another address than a moment before"


class RtspSource:
    """One connection to a camera.

    Args:
        settings: whose URL is `rtsp://` or `rtsps://`.
        clock: stamps arrivals.
    """

    traits = SourceTraits(live=True)

    def __init__(self, settings: SourceSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._camera = CameraSocket()

    def packets(self) -> Iterator[Packet]:
        """Connect and yield packets until the camera or `close` ends it.

        Raises:
            SourceError: with the reason; ENDED when the camera hung up.
        """
        container, transport = self._open()
        try:
            with contextlib.nullcontext() if visible() else asking(self._goes_on):
                yield from self._read(container, transport)
        finally:
            container.close()
            self._camera.forget()

    def close(self) -> None:
        """Stop yielding and end the wait for the network; for any thread.

        The connection is closed by whoever reads it.
        """
        self._camera.close()

    def _goes_on(self) -> bool:
        return not self._camera.is_closed

    def _open(self) -> tuple[InputContainer, Transport]:
        transports = [self._settings.transport]
        if self._settings.transport is Transport.AUTO:
            transports = [Transport.TCP, Transport.UDP]
        url = final_url(self._settings, self._clock, self._camera)
        settings = replace(self._settings, url=url)
        for transport in transports:
            try:
                return self._open_with(settings, transport), transport
            except av.error.FFmpegError as error:  # the camera answered 461
                if transport is transports[-1] or self._camera.is_closed:
                    raise explain(error, 0.0, settings) from None
        raise AssertionError("there is at least one transport")

    def _open_with(self, settings: SourceSettings, transport: Transport) -> InputContainer:
        place = urlsplit(settings.url.reveal())
        port = place.port or PORTS[place.scheme]
        with self._camera.opening(place.hostname or "", port) as opening:
            started = self._clock.monotonic()
            try:
                with asking(opening.goes_on):
                    container = av.open(
                        settings.url.reveal(),
                        format="rtsp",
                        options=options(settings, transport),
                        timeout=(settings.timeout_s, None if visible() else settings.timeout_s),
                    )
            except av.error.FFmpegError as error:
                if opening.moved or opening.astray:
                    why = MOVED if opening.moved else ELSEWHERE
                    raise SourceError(ReasonCode.UNREACHABLE, why) from None
                if error.errno == errno.EPROTONOSUPPORT:
                    raise
                waited_s = self._clock.monotonic() - started
                raise explain(error, waited_s, settings) from None
        if not self._camera.is_known and visible():
            container.close()
            raise SourceError(ReasonCode.UNREACHABLE, MOVED if opening.moved else ELSEWHERE)
        if not container.streams.video or container.streams.video[0].codec_context is None:
            container.close()
            self._camera.forget()
            raise SourceError(ReasonCode.CODEC, "the camera sends no video that can be decoded")
        return container

    def _read(self, container: InputContainer, transport: Transport) -> Iterator[Packet]:
        video = container.streams.video[0]
        context = video.codec_context
        known = StreamFormat(
            context.name,
            context.width,
            context.height,
            context.extradata,
            pixel_aspect=video.sample_aspect_ratio or None,
        )
        wait = NetworkWait(self._clock)
        ending = ""
        if self._camera.is_closed:
            return
        try:
            for unit, lossy in _timed(_units(container, video, transport), wait):
                now = self._clock.monotonic()
                if self._camera.is_closed:
                    return
                if not unit.size:
                    continue
                if wait.silent(self._settings.timeout_s):
                    # FFmpeg has timed out, and before saying so hands over the access unit that
                    # its parser was still holding. Asking again would wait as long again.
                    raise silence(self._settings)
                yield Packet(
                    data=bytes(unit),
                    pts=unit.pts,
                    dts=unit.dts,
                    time_base=unit.time_base,
                    keyframe=unit.is_keyframe,
                    arrived=now,
                    format=known,
                    lossy=lossy,
                )
        except TIMED_OUT:
            if self._camera.is_closed:
                return
            raise silence(self._settings) from None
        except av.error.FFmpegError:
            # Whatever it is called, a connection that worked has broken: with TLS an I/O error.
            ending = " without a farewell"
        if not self._camera.is_closed:
            raise SourceError(ReasonCode.ENDED, f"the camera closed the connection{ending}")


def _timed(
    units: Iterator[tuple[Unit[VideoStream], bool]], wait: NetworkWait
) -> Iterator[tuple[Unit[VideoStream], bool]]:
    """Yield access units, and start the stopwatch whenever the next one is asked for."""
    while True:
        wait.begin()
        found = next(units, None)
        if found is None:
            return
        yield found


def _units(
    container: InputContainer, video: VideoStream, transport: Transport
) -> Iterator[tuple[Unit[VideoStream], bool]]:
    """Yield access units, and whether RTP packets in or right before them were lost."""
    if transport is Transport.TCP:
        yield from ((unit, False) for unit in container.demux(video))
        return
    _listen_to_ffmpeg()
    units = container.demux(video)
    lost_before = False
    while True:
        with av.logging.Capture(local=True) as lines:
            unit = next(units, None)
        if unit is None:
            return
        # FFmpeg hands over a unit when it sees the next one begin: a loss noticed by then may
        # belong to either.
        lost = any(line[2].startswith("RTP: missed") for line in lines)
        yield unit, lost or lost_before
        lost_before = lost


def _listen_to_ffmpeg() -> None:
    """Let FFmpeg's warnings through to `Capture`, and to nobody else: they may quote URLs."""
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
    if av.logging.get_level() is None:
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.WARNING)


def options(settings: SourceSettings, transport: Transport) -> dict[str, str]:
    """Return FFmpeg's options for one connection.

    `stimeout` is not among them: this FFmpeg no longer knows it and ignores it silently. Neither
    is `nobuffer`: it throws away the first packet, which is the keyframe.
    """
    chosen = {
        "rtsp_transport": transport.value,
        "timeout": str(round(settings.timeout_s * 1_000_000)),
        "allowed_media_types": "video",
        "protocol_whitelist": "rtsp,rtp,udp,tcp,tls",
        "user_agent": USER_AGENT,
        # The session description tells the codec, so there is nothing to probe for.
        "probesize": "32",
        "analyzeduration": "0",
        "buffer_size": str(RECEIVE_BUFFER_BYTES),
    }
    if settings.url.scheme == "rtsps":
        chosen["tls_verify"] = "1" if settings.tls_verify else "0"
        if settings.tls_ca_file is not None:
            chosen["ca_file"] = str(settings.tls_ca_file)
    return chosen
