"""A Redis that keeps nothing on disk, for Ray's head to keep there who is where."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import Self

PORT = 6390
_TRY_S, _TRIES = 0.05, 200


def missing() -> str:
    """Return why there can be no Redis here, or nothing if there can."""
    found = shutil.which("redis-server") and shutil.which("redis-cli")
    return "" if found else "there is no Redis here (apt install redis-server)"


class Redis:
    """A Redis on a machine of a test network; a context manager.

    Args:
        under: command that runs another one on that machine.
        address: of the machine; nobody else can reach it, so there is no password.
    """

    def __init__(self, under: Sequence[str], address: str) -> None:
        self.at = f"{address}:{PORT}"
        self._under = tuple(under)
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.mkdtemp(prefix="sfredis-")
        options = ["--port", str(PORT), "--bind", self._address, "--protected-mode", "no"]
        options += ["--save", "", "--appendonly", "no", "--dir", self._folder]
        self._process = subprocess.Popen(
            [*self._under, "redis-server", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pause = threading.Event()
        for _ in range(_TRIES):
            if self._answers():
                return self
            pause.wait(_TRY_S)
        self.__exit__()
        raise RuntimeError("Redis does not answer")

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        ping = ["redis-cli", "-h", self._address, "-p", str(PORT), "ping"]
        done = subprocess.run([*self._under, *ping], capture_output=True, text=True, check=False)
        return done.stdout.strip() == "PONG"
