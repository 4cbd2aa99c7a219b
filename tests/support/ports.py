"""Ports for programs that have to be told theirs before they listen.

A port that the kernel gave to a probe may be given to somebody else as soon as the probe is closed,
and is, when two runs of the tests go on at the same time. The ports here lie below those that the
kernel gives by itself, and a lock keeps them for the process that took them.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_240
"""Below are ports of well-known programs."""

_LOCKS = Path(tempfile.gettempdir()) / f"styleflow-ports-{os.getuid()}"
_kept: list[int] = []


def free_port() -> int:
    """Return a port that nobody listens on, and that this process keeps until it ends."""
    return next(port for port in _shuffled() if _is_ours(port))


def _shuffled() -> Iterator[int]:
    above = max(int(RANGE.read_text(encoding="ascii").split()[0]), 2 * LOWEST)
    yield from random.SystemRandom().sample(range(LOWEST, above), above - LOWEST)


def _is_ours(port: int) -> bool:
    """Lock a port, and return whether that worked and nobody has it."""
    _LOCKS.mkdir(exist_ok=True)
    lock = os.open(_LOCKS / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError:
        os.close(lock)
        return False
    _kept.append(lock)
    return True
