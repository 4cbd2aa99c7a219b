"""What FFmpeg is told and what its errors mean; real connections are in tests/e2e."""

import errno
from pathlib import Path

import av
import pytest

from stream.clock import ManualClock
from stream.events import ReasonCode
from stream.ingest.rtsp import RtspSource, options
from stream.ingest.source import SourceSettings, SourceUrl, Transport


def settings(url: str = "rtsp://cam/live", **more: object) -> SourceSettings:
    return SourceSettings(SourceUrl.parse(url), **more)  # type: ignore[arg-type]


def test_no_url_can_reach_a_file_and_no_dead_option_is_passed() -> None:
    chosen = options(settings(), Transport.TCP)
    allowed = chosen["protocol_whitelist"].split(",")
    assert not {"file", "concat", "http", "pipe", "crypto", "data"} & set(allowed)
    assert "stimeout" not in chosen
    assert "nobuffer" not in chosen.get("fflags", "")


def test_the_timeout_is_given_in_microseconds() -> None:
    assert options(settings(timeout_s=1.25), Transport.UDP)["timeout"] == "1250000"


def test_certificates_are_checked_unless_told_otherwise() -> None:
    secure = options(settings("rtsps://cam/live", tls_ca_file=Path("/ca.pem")), Transport.TCP)
    assert (secure["tls_verify"], secure["ca_file"]) == ("1", "/ca.pem")
    lax = options(settings("rtsps://cam/live", tls_verify=False), Transport.TCP)
    assert lax["tls_verify"] == "0"


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
    source = RtspSource(settings(timeout_s=2.5), ManualClock())
    assert source.reason_of(error, waited_s).code is code


def test_an_io_error_of_rtsps_is_a_matter_of_trust_unless_the_host_is_unknown() -> None:
    error = av.error.OSError(errno.EIO, "Input/output error")
    known = RtspSource(settings("rtsps://127.0.0.1/live"), ManualClock())
    unknown = RtspSource(settings("rtsps://camera.invalid/live"), ManualClock())
    assert known.reason_of(error, 0.1).code is ReasonCode.TLS
    assert unknown.reason_of(error, 0.1).code is ReasonCode.UNREACHABLE


def test_ffmpegs_words_are_scrubbed() -> None:
    source = RtspSource(settings("rtsp://admin:hunter22@cam/live"), ManualClock())
    error = av.error.OSError(errno.EHOSTUNREACH, "cannot reach hunter22@cam")
    assert "hunter22" not in source.reason_of(error, 0.1).detail
