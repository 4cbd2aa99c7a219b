"""Meaning of FFmpeg's errors, one by one; real connections are in tests/e2e."""

import errno

import av
import pytest

from stream.events import ReasonCode
from stream.ingest.rtsp_errors import explain
from stream.ingest.source import SourceSettings, SourceUrl


def settings(url: str = "rtsp://cam/live", **more: object) -> SourceSettings:
    return SourceSettings(SourceUrl.parse(url), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "waited_s", "code"),
    [
        (av.error.HTTPUnauthorizedError(1, "401"), 0.1, ReasonCode.AUTH),
        (av.error.HTTPForbiddenError(1, "403"), 0.1, ReasonCode.AUTH),
        (av.error.HTTPNotFoundError(1, "404"), 0.1, ReasonCode.NOT_FOUND),
        (av.error.HTTPServerError(1, "5xx"), 0.1, ReasonCode.UNREACHABLE),
        (av.error.ConnectionRefusedError(111, "refused"), 0.1, ReasonCode.UNREACHABLE),
        (av.error.TimeoutError(110, "timed out"), 2.5, ReasonCode.TIMEOUT),
        (av.error.ExitError(1, "interrupted"), 2.5, ReasonCode.TIMEOUT),
        (av.error.InvalidDataError(1, "invalid"), 0.1, ReasonCode.CORRUPT),
        (av.error.InvalidDataError(1, "invalid"), 2.5, ReasonCode.TIMEOUT),
        (av.error.PatchWelcomeError(1, "unsupported"), 0.1, ReasonCode.CODEC),
        (av.error.OSError(errno.EPROTONOSUPPORT, "461"), 0.1, ReasonCode.UNREACHABLE),
        (av.error.OSError(errno.EHOSTUNREACH, "no route"), 0.1, ReasonCode.UNREACHABLE),
    ],
)
def test_each_error_has_one_meaning(
    error: av.error.FFmpegError, waited_s: float, code: ReasonCode
) -> None:
    assert explain(error, waited_s, settings(timeout_s=2.5)).code is code


def test_an_io_error_of_rtsps_is_a_matter_of_trust_unless_the_host_is_unknown() -> None:
    error = av.error.OSError(errno.EIO, "Input/output error")
    known, unknown = settings("rtsps://127.0.0.1/live"), settings("rtsps://camera.invalid/live")
    assert explain(error, 0.1, known).code is ReasonCode.TLS
    assert explain(error, 0.1, unknown).code is ReasonCode.UNREACHABLE


def test_ffmpegs_words_are_scrubbed() -> None:
    secret = settings("rtsp://admin:hunter22@cam/live")
    error = av.error.OSError(errno.EHOSTUNREACH, "cannot reach hunter22@cam")
    assert "hunter22" not in explain(error, 0.1, secret).detail
