"""Ray nodes on machines of a test network: raylets, without a dashboard, that can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.support.namespaces import Namespaces

ROOT = Path(__file__).resolve().parents[2]
PORT = 6379
START_S = 60.0
_STORE_BYTES = 80_000_000  # Ray's least is 75 MiB


class RayNodes:
    """Raylets in network namespaces, of which the first is the head; a context manager.

    Args:
        machines: where they run.
        head: name of the machine with Ray's control service.
        env: environment of everything that runs in them.
        redis: address of what keeps who is where beyond the head's end; empty for its memory alone.

    Attributes:
        address: of the cluster.
    """

    def __init__(
        self,
        machines: Namespaces,
        head: str = "head",
        env: dict[str, str] | None = None,
        redis: str = "",
    ) -> None:
        self._machines = machines
        self._head = head
        self._folder = tempfile.mkdtemp(prefix="sfray-")  # short: sockets' paths end at 107 bytes
        self.env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "disabled",  # nobody else reaches this network
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # Ray's own default is 15
            **(env or {}),
        }
        self._of_head = {"RAY_REDIS_ADDRESS": redis} if redis else {}
        self._control: tuple[tuple[str, ...], dict[str, str]] | None = None
        self.address = f"{machines.address(head)}:{PORT}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, name: str, cpus: int) -> None:
        """Start a machine's raylet and wait until it has joined.

        Raises:
            RuntimeError: it does not start.
        """
        address = self._machines.address(name)
        shutil.rmtree(f"{self._folder}/{name}", ignore_errors=True)
        role = ["--head", f"--port={PORT}"] if name == self._head else [f"--address={self.address}"]
        command = [
            *self._machines.under(name),
            sys.executable,
            *("-m", "ray.scripts.scripts", "start", *role),
            f"--node-ip-address={address}",
            f"--num-cpus={cpus}",
            f"--object-store-memory={_STORE_BYTES}",
            f"--temp-dir={self._folder}/{name}",
            "--include-dashboard=false",
            "--disable-usage-stats",
            *("--node-manager-port=19001", "--object-manager-port=19002"),
            *("--min-worker-port=20000", "--max-worker-port=20200"),
        ]
        if name != self._head:
            command.remove("--include-dashboard=false")
        env = {**self.env, **(self._of_head if name == self._head else {})}
        done = subprocess.run(
            command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=START_S
        )
        if done.returncode:
            raise RuntimeError(f"Ray on {name}: {done.stdout[-500:]} {done.stderr[-1500:]}")

    def kill(self, name: str) -> None:
        """Lose a machine with everything on it."""
        self._machines.kill(name)

    def kill_control(self) -> None:
        """End Ray's control service alone, as a fault of it would.

        Raises:
            LookupError: it does not run.
        """
        for pid in self._machines.processes(self._head):
            command = _zero_ended(pid, "cmdline")
            if command and Path(command[0]).name == "gcs_server":
                said = (pair.partition("=") for pair in _zero_ended(pid, "environ"))
                self._control = command, {key: value for key, _, value in said}
                os.kill(pid, signal.SIGKILL)
                return
        raise LookupError("Ray's control service does not run")

    def start_control(self) -> None:
        """Start Ray's control service again as it was before it was killed, as a supervisor does.

        Raises:
            LookupError: it was not killed.
        """
        if self._control is None:
            raise LookupError("Ray's control service was not killed")
        command, env = self._control
        subprocess.Popen(
            [*self._machines.under(self._head), *command],
            env=env,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def memory_mb(self, name: str) -> float:
        """Return what a machine's processes hold, shared pages divided among them, in 10^6 B."""
        total = 0
        for pid in self._machines.processes(name):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next(int(line.split()[1]) for line in text.splitlines() if "Pss:" in line)
        return total * 1024 / 1e6


def _zero_ended(pid: int, file: str) -> tuple[str, ...]:
    """Return the words of a file of a process; none of one that has ended."""
    try:
        text = Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return ()
    return tuple(text.decode(errors="replace").rstrip("\0").split("\0"))
