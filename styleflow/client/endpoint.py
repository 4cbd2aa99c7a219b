"""Address of an analyzer, and what a client needs to be let in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from styleflow.client.errors import AnalyzerAway

SCORES = "/api/v1/scores"
DEFAULT_URL = "http://127.0.0.1:8000"
ADDRESS_HINT = "Start it with `styleflow serve`, or check the address: http://HOST:PORT"
_SECURE = {"http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One analyzer.

    Attributes:
        base: where its HTTP API begins, with the prefix that it may lie below.
        socket: its WebSocket.
        shown: `base` without credentials, for people.
        token: bearer token, or None; never shown.
        tls: what certificates are trusted; None where nothing is encrypted.
        timeout_s: seconds that connecting and a request may take.
    """

    base: str
    socket: str
    shown: str
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    timeout_s: float = 10.0

    @classmethod
    def of(
        cls,
        url: str,
        *,
        token: str | None = None,
        ca_file: Path | str | None = None,
        verify: bool = True,
        timeout_s: float = 10.0,
    ) -> Endpoint:
        """Return the analyzer at an address, its own or that of its page or WebSocket.

        Args:
            url: http(s):// or ws(s)://, with the prefix when it lies below one.
            token: its bearer token.
            ca_file: PEM file of the authority that signed its certificate; the system's when None.
            verify: whether a certificate must be valid. Else anybody between can read along.
            timeout_s: seconds that connecting and a request may take.

        Raises:
            AnalyzerAway: this is no address.
        """
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if scheme not in _SECURE or not _host(parts):
            raise AnalyzerAway(shown(url), "this is no address", ADDRESS_HINT)
        path = parts.path.removesuffix(SCORES).rstrip("/")
        tls = None
        if scheme == "https":
            tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
            if not verify:
                tls.check_hostname = False
                tls.verify_mode = ssl.CERT_NONE
        base = urlunsplit((scheme, parts.netloc, path, "", ""))
        return cls(base, socket_address(url), shown(base), token, tls, timeout_s)


def socket_address(url: str) -> str:
    """Return the WebSocket address of an analyzer, given its own or that of its page.

    A page may lie below a prefix (`web.root_path`); a ws(s) address with a path is taken as it is.
    """
    parts = urlsplit(url)
    scheme = _SECURE.get(parts.scheme, parts.scheme)
    path = parts.path
    if not path.strip("/") or (scheme != parts.scheme and not path.endswith(SCORES)):
        path = path.rstrip("/") + SCORES
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def shown(url: str) -> str:
    """Return an address without the user and password that it may carry."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def _host(parts: SplitResult) -> str | None:
    try:
        _ = parts.port  # raises when it is no number of a port
    except ValueError:
        return None
    return parts.hostname
