"""Redirects of RTSP cameras, followed before FFmpeg connects.

FFmpeg follows a redirect wherever it points, without an end, and takes the camera's credentials
along. So the camera is asked first, as FFmpeg will ask it: OPTIONS, then DESCRIBE, with credentials
once it demands them. What it points to must be RTSP on a host that may be a camera, is reached in
five hops at most, and gets the credentials only where it is the same host and no less secret.
What is wrong beyond that is left for FFmpeg to find, which tells it better.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from stream.clock import Clock
from stream.errors import SourceError, SourceUrlInvalid
from stream.events import ReasonCode
from stream.ingest.camera_hosts import REFUSAL, is_refused
from stream.ingest.rtsp_errors import LOGIN_REFUSED, NO_RTSP, silence
from stream.ingest.sockets import CameraSocket
from stream.ingest.source import SourceSettings, SourceUrl

MAX_HOPS = 5
MAX_ANSWER_BYTES = 64 << 10
_OTHER_DIGEST = re.compile(r"(?i)^digest\b.*algorithm=\"?(?!md5\b)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
PORTS = {"rtsp": 554, "rtsps": 322}


def final_url(settings: SourceSettings, clock: Clock, camera: CameraSocket) -> SourceUrl:
    """Return where a camera is in the end.

    Args:
        settings: whose URL is where to ask first.
        clock: bounds it.
        camera: what is asked through; closing it ends this.

    Raises:
        SourceError: UNREACHABLE when it points where no camera can be or round in circles; TIMEOUT
            when it does not answer; CORRUPT when its answer makes no sense; AUTH when it refuses
            the credentials; ENDED when `camera` has been closed.
    """
    url = settings.url
    deadline = clock.monotonic() + settings.timeout_s
    for _ in range(MAX_HOPS + 1):
        try:
            with _Inquiry(url, settings, clock, deadline, camera) as inquiry:
                location = inquiry.redirect()
        except TimeoutError:
            raise silence(settings) from None
        except OSError:
            return url
        except ValueError:
            raise SourceError(ReasonCode.CORRUPT, NO_RTSP) from None
        if location is None:
            return url
        url = follow(url, location)
    raise _refused(f"it redirects more than {MAX_HOPS} times")


def follow(url: SourceUrl, location: str) -> SourceUrl:
    """Return the address that a redirect points to.

    Raises:
        SourceError: no camera can be there.
    """
    before = urlsplit(url.reveal())
    try:
        after = urlsplit(_joined(url.reveal(), location))
        host, port = after.hostname, after.port
    except ValueError:
        raise _refused("it redirects to an address that is malformed") from None
    if after.scheme not in PORTS or not host:
        raise _refused("it redirects to something that is not RTSP")
    _check_host(host, port or PORTS[after.scheme])
    place = after.netloc.rpartition("@")[2]
    login = before.netloc.rpartition("@")[0]
    downgraded = before.scheme == "rtsps" and after.scheme == "rtsp"
    if login and host == before.hostname and not downgraded:
        place = f"{login}@{place}"
    tail = f"?{after.query}" if after.query else ""
    try:
        return SourceUrl.parse(f"{after.scheme}://{place}{after.path}{tail}")
    except SourceUrlInvalid:
        raise _refused("it redirects to an address that cannot be used") from None


def _joined(base: str, location: str) -> str:
    """Return a Location as a whole URL; urljoin knows no RTSP."""
    if "://" in location:
        return location
    scheme = base.partition("://")[0]
    return scheme + urljoin("http" + base[len(scheme) :], location)[len("http") :]


def _check_host(host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        refused = is_refused(str(entry[4][0]) for entry in found)
    except (OSError, UnicodeError, ValueError):
        raise _refused("it redirects to a host that has no address") from None
    if refused:
        raise _refused(f"it redirects elsewhere: {REFUSAL}")


def _refused(why: str) -> SourceError:
    return SourceError(ReasonCode.UNREACHABLE, f"the camera is not followed: {why}")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]

    @property
    def location(self) -> str | None:
        """Where it points, when it is a redirect."""
        return self.headers.get("location") if 300 <= self.status < 400 else None


class _Inquiry:
    """One hop's questions, on one connection that is renewed when the camera hangs up."""

    def __init__(
        self,
        url: SourceUrl,
        settings: SourceSettings,
        clock: Clock,
        deadline: float,
        camera: CameraSocket,
    ) -> None:
        self._parts = urlsplit(url.reveal())
        self._settings = settings
        self._clock = clock
        self._deadline = deadline
        self._camera = camera
        self._socket: socket.socket | None = None
        self._sequence = 0
        place = self._parts.netloc.rpartition("@")[2]
        query = f"?{self._parts.query}" if self._parts.query else ""
        self._uri = f"{self._parts.scheme}://{place}{self._parts.path}{query}"

    def __enter__(self) -> _Inquiry:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def redirect(self) -> str | None:
        """Return where the camera points to, or None when it does not.

        Raises:
            SourceError: AUTH; cameras lock out who tries a wrong password too often.
        """
        answer = self._ask("OPTIONS")
        if answer.location is None and answer.status != 401:
            answer = self._ask("DESCRIBE")
        if answer.status == 401 and self._parts.username is not None:
            challenge = answer.headers.get("www-authenticate", "")
            if _OTHER_DIGEST.search(challenge):
                return None
            answer = self._ask("DESCRIBE", challenge)
            if answer.status in (401, 403):
                raise SourceError(ReasonCode.AUTH, LOGIN_REFUSED)
        return answer.location

    def _ask(self, method: str, challenge: str = "") -> _Answer:
        try:
            return self._send(method, challenge)
        except (ConnectionError, EOFError):
            self._hang_up()
        try:
            return self._send(method, challenge)
        except EOFError:
            raise ConnectionResetError from None

    def _send(self, method: str, challenge: str) -> _Answer:
        self._sequence += 1
        lines = [f"{method} {self._uri} RTSP/1.0", f"CSeq: {self._sequence}"]
        lines += ["Accept: application/sdp"] if method == "DESCRIBE" else []
        lines += [f"Authorization: {self._login(method, challenge)}"] if challenge else []
        connection = self._connected()
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        received = b""
        while (end := _HEAD_END.search(received)) is None:
            received += self._more(received)
        body = received[end.end() :]
        answer = _parsed(received[: end.start()].decode("latin-1"))
        if answer.location is not None:
            return answer
        length = int(answer.headers.get("content-length", "0"))
        while len(body) < length:
            body += self._more(body)
        return answer

    def _more(self, received: bytes) -> bytes:
        if len(received) > MAX_ANSWER_BYTES:
            raise ValueError("an answer that is too long")
        connection = self._connected()
        connection.settimeout(self._left())
        data = connection.recv(4096)
        if not data:
            raise EOFError
        return data

    def _connected(self) -> socket.socket:
        if self._socket is None:
            host = self._parts.hostname or ""
            port = self._parts.port or PORTS[self._parts.scheme]
            self._socket = self._camera.connect(host, port, self._left)
            if self._parts.scheme == "rtsps":
                self._socket = self._secured(self._socket, host)
        self._socket.settimeout(self._left())
        return self._socket

    def _secured(self, plain: socket.socket, host: str) -> socket.socket:
        context = ssl.create_default_context(cafile=self._settings.tls_ca_file)
        if not self._settings.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=host)

    def _left(self) -> float:
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._camera.forget()

    def _login(self, method: str, challenge: str) -> str:
        user = unquote(self._parts.username or "")
        password = unquote(self._parts.password or "")
        if not challenge.lower().startswith("digest"):
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm, nonce = said.get("realm", ""), said.get("nonce", "")
        secret = _md5(f"{user}:{realm}:{password}")
        asked = _md5(f"{method}:{self._uri}")
        response, more = _md5(f"{secret}:{nonce}:{asked}"), ""
        if "qop" in said:
            own = secrets.token_hex(8)
            response = _md5(f"{secret}:{nonce}:00000001:{own}:auth:{asked}")
            more = f', qop=auth, nc=00000001, cnonce="{own}"'
        if "opaque" in said:
            more += f', opaque="{said["opaque"]}"'
        return (
            f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{self._uri}", '
            f'response="{response}"{more}'
        )


def _parsed(head: str) -> _Answer:
    """Read an answer as leniently as FFmpeg does: whatever it would follow is seen here."""
    first, *lines = head.split("\n")
    status = re.match(r"\S*\s+(\d+)", first)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        # A camera that knows both ways of logging in is told no password.
        if not (key == "www-authenticate" and headers.get(key, "").lower().startswith("digest")):
            headers[key] = value.strip()
    return _Answer(int(status[1]) if status else 0, headers)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
