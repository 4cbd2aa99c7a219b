"""Options of FFmpeg's RTSP client; real connections are in tests/e2e."""

from pathlib import Path

from stream.ingest.rtsp import options
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
