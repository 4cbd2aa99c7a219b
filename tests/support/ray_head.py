"""A Ray head on this machine, that gateways and commands join; ends with the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
_STORE_BYTES = 80_000_000  # Ray's least is 75 MiB


class RayHead:
    """`ray start --head` with room for some workers; a context manager.

    Args:
        cpus: for how many workers there is room.
        env: environment of everything that runs in it, besides the test's own.

    Attributes:
        address: to join.
        env: environment of whoever joins.
    """

    def __init__(self, cpus: int, env: dict[str, str] | None = None) -> None:
        self._cpus = cpus
        self._folder = tempfile.mkdtemp(prefix="sfhead-")  # short: paths of sockets are
        port, *self._ports = _free_ports(5)
        self.address = f"127.0.0.1:{port}"
        self.env = {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "disabled",  # it listens here alone
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            **(env or {}),
        }

    def __enter__(self) -> Self:
        node, objects, agent, metrics = self._ports
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            f"--port={self.address.partition(':')[2]}",
            "--node-ip-address=127.0.0.1",
            f"--num-cpus={self._cpus}",
            f"--object-store-memory={_STORE_BYTES}",
            f"--temp-dir={self._folder}",
            "--include-dashboard=false",
            "--disable-usage-stats",
            f"--node-manager-port={node}",
            f"--object-manager-port={objects}",
            f"--dashboard-agent-listen-port={agent}",
            f"--metrics-export-port={metrics}",
        ]
        env = {**os.environ, **self.env}
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._process = subprocess.Popen(
                command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(self._end)
            status = [sys.executable, "-m", "ray.scripts.scripts", "status"]
            status.append(f"--address={self.address}")
            for _ in range(int(START_S)):
                done = subprocess.run(status, env=env, cwd=ROOT, capture_output=True, check=False)
                if done.returncode == 0:
                    break
            else:
                raise RuntimeError(f"Ray does not start: {done.stderr[-500:]!r}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody uses now."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
