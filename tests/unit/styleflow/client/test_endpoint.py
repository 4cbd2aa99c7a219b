from __future__ import annotations

import ssl

import pytest

from styleflow.client.endpoint import Endpoint, socket_address
from styleflow.client.errors import AnalyzerAway


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/api/v1/scores"),
        ("https://host/", "wss://host/api/v1/scores"),
        ("ws://host:1/other", "ws://host:1/other"),
        ("https://host/styleflow", "wss://host/styleflow/api/v1/scores"),
        ("https://host/styleflow/", "wss://host/styleflow/api/v1/scores"),
        ("https://host/styleflow/api/v1/scores", "wss://host/styleflow/api/v1/scores"),
    ],
)
def test_an_analyzers_address_becomes_a_sockets(given: str, expected: str) -> None:
    assert socket_address(given) == expected


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://host/styleflow/", "https://host/styleflow"),
        ("wss://host/styleflow/api/v1/scores", "https://host/styleflow"),
        ("ws://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_every_form_of_an_address_has_the_same_http_address(given: str, base: str) -> None:
    assert Endpoint.of(given).base == base


@pytest.mark.parametrize("given", ["", "host:8000", "http://", "rtsp://host", "http://host:port"])
def test_what_is_no_address_is_said(given: str) -> None:
    with pytest.raises(AnalyzerAway, match="this is no address"):
        Endpoint.of(given)


def test_neither_token_nor_password_is_shown() -> None:
    endpoint = Endpoint.of("https://user:hunter2@host:1/prefix", token="secret token 123456")
    assert endpoint.shown == "https://host:1/prefix"
    assert "secret token" not in repr(endpoint)
    with pytest.raises(AnalyzerAway) as caught:
        Endpoint.of("ftp://user:hunter2@host/")
    assert "hunter2" not in str(caught.value)


def test_certificates_are_checked_unless_told_otherwise() -> None:
    strict, blind = Endpoint.of("https://host").tls, Endpoint.of("https://host", verify=False).tls
    assert strict is not None
    assert blind is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert blind.verify_mode is ssl.CERT_NONE
    assert Endpoint.of("http://host").tls is None
