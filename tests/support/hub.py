"""A Hugging Face hub on this machine: one server for its pages, another for the bytes.

It speaks HEAD and GET of `/OWNER/NAME/resolve/REVISION/FILE` as the real one does: large files are
redirected to another host, small ones answered at once. What goes wrong is set on `HubServer`.
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from styleflow.weights.hub import git_digest

COMMIT = "c0ffee" + "0" * 34
SIGNATURE = "Signature=signed-and-secret"


@dataclass(frozen=True)
class Asked:
    """One request that a server got."""

    server: str
    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class HubServer:
    """What the servers hold, and what goes wrong.

    Attributes:
        files: contents by `OWNER/NAME/FILE`.
        endpoint: address of the hub.
        cdn: address of the bytes.
        large: names of files that are redirected.
        refusals: statuses of the hub's next answers, one after the other.
        cuts: after how many bytes the next answers with bytes break off; None does not.
        stalls: answers with bytes that break off say nothing more instead of hanging up.
        digest: what the hub says instead of a file's digest.
        size: what the hub says instead of a file's size.
        no_ranges: bytes always come from the first on.
        strange_range: ranges are answered with other bytes than were asked for.
        endless: bytes come without a length, this many times over.
        target: where the hub redirects to instead.
        moved: repositories that have another name now.
        retry_after: seconds, sent with refusals.
    """

    files: dict[str, bytes]
    endpoint: str = ""
    cdn: str = ""
    large: tuple[str, ...] = ("model.safetensors",)
    refusals: list[int] = field(default_factory=list)
    cuts: list[int | None] = field(default_factory=list)
    stalls: bool = False
    digest: str | None = None
    size: int | None = None
    no_ranges: bool = False
    strange_range: bool = False
    endless: int = 1
    target: str | None = None
    moved: dict[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    asked: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def bytes_asked(self) -> list[Asked]:
        """Return the requests for the bytes of large files."""
        return [asked for asked in self.asked if asked.server == "cdn"]


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[HubServer]:
    """Run both servers."""
    hub = HubServer(files)
    with _server(hub, _HubHandler, "hub") as hub.endpoint, _server(hub, _Handler, "cdn") as hub.cdn:
        try:
            yield hub
        finally:
            hub.over.set()


@contextmanager
def _server(hub: HubServer, kind: type[_Handler], name: str) -> Iterator[str]:
    handler = type("Handler", (kind,), {"hub": hub, "name": name})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up, as those do that have had enough."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """The host of the bytes."""

    hub: HubServer
    name: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._heard()
        self._answer()

    def do_GET(self) -> None:
        self._heard()
        self._answer()

    def _heard(self) -> None:
        headers = self.headers
        asked = (self.command, self.path, headers.get("Range"), headers.get("Authorization"))
        self.hub.asked.append(Asked(self.name, *asked))

    def _answer(self) -> None:
        self._send(self.hub.files[self.path.split("?")[0].removeprefix("/")])

    def _send(self, data: bytes, **headers: str) -> None:
        begin = 0
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if match and not self.hub.no_ranges:
            begin = int(match[1])
            first = begin - 1 if self.hub.strange_range else begin
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if self.hub.endless == 1:
            self.send_header("Content-Length", str(len(data) - begin))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.hub.cuts.pop(0) if self.hub.cuts else None
        self.wfile.write((data[begin:] * self.hub.endless)[:cut])
        if cut is not None:
            self.close_connection = True
            if self.hub.stalls:
                self.wfile.flush()
                self.hub.over.wait(30)


class _HubHandler(_Handler):
    """The hub itself."""

    def _answer(self) -> None:
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        assert match is not None, self.path
        repo, _, file = match.groups()
        if self.hub.refusals:
            self._status(self.hub.refusals.pop(0))
        elif repo in self.hub.moved:
            self._status(307, Location=self.path.replace(repo, self.hub.moved[repo]))
        elif f"{repo}/{file}" not in self.hub.files:
            self._status(404, X_Error_Code="EntryNotFound")
        else:
            self._file(f"{repo}/{file}", large=file in self.hub.large)

    def _file(self, path: str, *, large: bool) -> None:
        data = self.hub.files[path]
        digest = hashlib.sha256(data).hexdigest() if large else git_digest(data)
        told = digest if self.hub.digest is None else self.hub.digest
        size = str(len(data) if self.hub.size is None else self.hub.size)
        if not large:
            self._send(data, X_Repo_Commit=COMMIT, ETag=f'W/"{told}"')
            return
        self._status(
            302,
            Location=self.hub.target or f"{self.hub.cdn}/{path}?{SIGNATURE}",
            X_Repo_Commit=COMMIT,
            X_Linked_Etag=f'"{told}"',
            X_Linked_Size=size,
            ETag='"of-the-pointer"',
        )

    def _status(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if self.hub.retry_after is not None:
            self.send_header("Retry-After", str(self.hub.retry_after))
        self.send_header("Content-Length", "0")
        self.end_headers()
