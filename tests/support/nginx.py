"""nginx as `deploy/nginx.conf` runs it, on loopback ports: one stripping the prefix, one not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from stream.publish.schema import SUBPROTOCOL
from tests.support.ports import free_port
from tests.support.rtsp import certificate_files

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
HOST = "scores.example"
PREFIX = "/styleflow"

_MAIN = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
  include {folder}/stripping.conf;
  include {folder}/handing-on.conf;
}}
"""


def nginx() -> str:
    """Return the program, or skip the test."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    found = shutil.which("nginx", path=path)
    if found is None:
        pytest.skip("there is no nginx here (apt install nginx-light)")
    return found


class Nginx:
    """A running nginx with the configuration of the documents; a context manager.

    Args:
        folder: empty folder for its files.
        analyzer: port of the analyzer.

    Attributes:
        stripping: door behind which the analyzer sees no prefix.
        handing_on: door behind which it does.
    """

    def __init__(self, folder: Path, analyzer: int) -> None:
        self._command = [nginx(), "-p", folder, "-c", "nginx.conf", "-e", folder / "error.log"]
        self._folder = folder
        certificate, key = certificate_files(folder, HOST)
        self.stripping, self.handing_on = (Door(free_port(), certificate) for _ in range(2))
        (folder / "nginx.conf").write_text(_MAIN.format(folder=folder))
        for name, door, end in (
            ("stripping", self.stripping, "/"),
            ("handing-on", self.handing_on, ""),
        ):
            filled = _filled(
                ("listen 443 ssl;", f"listen 127.0.0.1:{door.port} ssl;"),
                ("/etc/ssl/scores.pem", str(certificate)),
                ("/etc/ssl/scores.key", str(key)),
                (
                    "proxy_pass http://127.0.0.1:8000;",
                    f"proxy_pass http://127.0.0.1:{analyzer}{end};",
                ),
            )
            (folder / f"{name}.conf").write_text(filled)

    def answers(self, method: str, path: str) -> list[int]:
        """Return the statuses that clients got for such a request."""
        log = (self._folder / "access.log").read_text(encoding="utf-8")
        told = re.findall(rf'"{method} {re.escape(path)} [^"]*" (\d+)', log)
        return [int(status) for status in told]

    def __enter__(self) -> Nginx:
        self._process = subprocess.Popen(self._command)
        pause = threading.Event()
        for _ in range(400):
            assert self._process.poll() is None, (self._folder / "error.log").read_text()
            if self.stripping.is_open() and self.handing_on.is_open():
                return self
            pause.wait(0.05)
        self.__exit__()
        raise TimeoutError("nginx does not listen")

    def __exit__(self, *exc: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        finally:
            self._process.kill()


class Door:
    """One of the servers in front, and clients that believe its certificate.

    Args:
        port: where it listens.
        certificate: file of its certificate.
    """

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self.origin = f"https://{HOST}:{port}"
        self._trust = ssl.create_default_context(cafile=certificate)

    def is_open(self) -> bool:
        """Return whether somebody listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def http(self, token: str | None = None) -> httpx.Client:
        """Return a client that asks for what is below the host's root."""
        headers = {"Host": f"{HOST}:{self.port}"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"https://127.0.0.1:{self.port}"
        return httpx.Client(
            base_url=url, verify=self._trust, headers=headers, timeout=20, trust_env=False
        )

    def scores(self, **options: Any) -> connect:
        """Return a WebSocket to the scores below the prefix; an asynchronous context manager.

        The blocking client reads in a thread of its own, and a TLS connection must not be read in
        one thread while another writes.
        """
        url = f"wss://{HOST}:{self.port}{PREFIX}/api/v1/scores"
        return connect(
            url,
            host="127.0.0.1",
            port=self.port,
            ssl=self._trust,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            proxy=None,
            **options,
        )


def _filled(*changes: tuple[str, str]) -> str:
    """Return the documents' configuration with other ports and files."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text
