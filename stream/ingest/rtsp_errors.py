"""Meaning of FFmpeg's errors on the way to a camera.

FFmpeg reports what went wrong as one number, and not always the same: a server that never answers
is "invalid data" once the deadline has passed, a refused certificate is an "I/O error" like an
unknown host name. `explain` turns that into the closed list, with the time that passed as evidence.
"""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

import av

from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.source import SourceSettings

NO_RTSP = "what answers is not an RTSP server, or its answer is broken"
LOGIN_REFUSED = "the camera refuses these credentials"
LOGIN_WANTED = "the camera wants a user name and password"
TIMED_OUT = (av.error.TimeoutError, av.error.ExitError)


def explain(error: av.error.FFmpegError, waited_s: float, settings: SourceSettings) -> SourceError:
    """Return what an FFmpeg error means, without any of FFmpeg's words about the URL.

    Args:
        error: raised while the connection was opened.
        waited_s: for how long.
        settings: whose connection it was.
    """
    code, detail = _meaning(error)
    vague = code in (ReasonCode.UNREACHABLE, ReasonCode.CORRUPT)
    late = vague and waited_s >= 0.9 * settings.timeout_s
    if late or isinstance(error, TIMED_OUT):
        return silence(settings)
    if error.errno == errno.EIO:
        code, detail = _io_error(settings)
    if code is ReasonCode.AUTH and urlsplit(settings.url.reveal()).username is None:
        detail = LOGIN_WANTED
    return SourceError(code, settings.url.scrub(detail))


def silence(settings: SourceSettings) -> SourceError:
    """Return that nothing came from a camera for as long as is waited."""
    return SourceError(ReasonCode.TIMEOUT, f"the camera was silent for {settings.timeout_s:g} s")


def _io_error(settings: SourceSettings) -> tuple[ReasonCode, str]:
    """Tell an unknown host from a failed TLS handshake: FFmpeg calls both an I/O error."""
    parts = urlsplit(settings.url.reveal())
    try:
        socket.getaddrinfo(parts.hostname, parts.port or 554, type=socket.SOCK_STREAM)
    except OSError:
        return ReasonCode.UNREACHABLE, "the host name cannot be resolved"
    if parts.scheme == "rtsps":
        return ReasonCode.TLS, (
            "the TLS connection failed; the camera's certificate is not trusted, not for this "
            "host, or the camera does not speak TLS here"
        )
    return ReasonCode.UNREACHABLE, "the connection failed"


def _meaning(error: av.error.FFmpegError) -> tuple[ReasonCode, str]:
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return ReasonCode.AUTH, LOGIN_REFUSED
        case av.error.HTTPNotFoundError():
            return ReasonCode.NOT_FOUND, "the camera has nothing under this path"
        case av.error.HTTPError():
            return ReasonCode.UNREACHABLE, f"the camera answers with an error: {error.strerror}"
        case av.error.ConnectionRefusedError():
            return ReasonCode.UNREACHABLE, "nothing listens on this host and port"
        case av.error.InvalidDataError():
            return ReasonCode.CORRUPT, NO_RTSP
        case av.error.EOFError() | av.error.ConnectionResetError() | av.error.BrokenPipeError():
            return ReasonCode.UNREACHABLE, "the camera hung up before sending video"
        case _ if error.errno == errno.EPROTONOSUPPORT:
            return ReasonCode.UNREACHABLE, "the camera refuses this transport (461)"
        case av.error.PatchWelcomeError() | av.error.DecoderNotFoundError():
            return ReasonCode.CODEC, "the camera sends video that cannot be decoded"
        case _:
            return ReasonCode.UNREACHABLE, error.strerror or "the connection failed"
