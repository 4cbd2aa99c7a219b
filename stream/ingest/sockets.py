"""Sockets that FFmpeg has opened, so that a read that nothing interrupts can be ended from outside.

FFmpeg tells nobody which sockets are its own, and asking it to look up while it reads costs
Python's lock for every network read. But a connection to a camera is a socket of this process that
was not there before, whose other end is the camera's. One address is connected to by one thread at
a time, or, where that takes too long, without knowing which socket came of it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_FDS = Path("/proc/self/fd")

_guard = threading.Lock()
_claimed: set[str] = set()
_doors: dict[tuple[str, int], threading.Lock] = {}
_waiting: Counter[tuple[str, int]] = Counter()


class Connecting:
    """One connection that is being made by code that does not tell its socket.

    Args:
        host: name or address that is connected to.
        port: likewise.
        patience_s: how long others that connect there are waited for.
    """

    def __init__(self, host: str, port: int, patience_s: float) -> None:
        self._place = (host, port)
        self._patience_s = patience_s
        self._before: frozenset[str] = frozenset()
        self._alone = False

    def __enter__(self) -> Connecting:
        with _guard:
            door = _doors.setdefault(self._place, threading.Lock())
            _waiting[self._place] += 1
        self._alone = door.acquire(timeout=self._patience_s)
        self._before = frozenset(name for name, _ in _sockets())
        return self

    def __exit__(self, *_: object) -> None:
        with _guard:
            if self._alone:
                _doors[self._place].release()
            _waiting[self._place] -= 1
            if not _waiting[self._place]:
                del _waiting[self._place], _doors[self._place]

    def made(self) -> Connection:
        """Return the connection that has been made since; an unknown one when that is unclear."""
        addresses, port = _addresses(*self._place), self._place[1]
        with _guard:
            new = [
                name
                for name, fd in _sockets()
                if name not in self._before
                and name not in _claimed
                and _leads_to(fd, addresses, port)
            ]
            if not self._alone or len(new) != 1:
                return Connection(None)
            _claimed.add(new[0])
            return Connection(new[0])


class Connection:
    """A socket by the name that the kernel gives it; it belongs to somebody else."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    @property
    def is_known(self) -> bool:
        """Whether it can be shut down."""
        return self._name is not None

    def shut_down(self) -> None:
        """End whatever waits for it, at once; its owner still has to close it."""
        for name, fd in _sockets():
            if name == self._name:
                with _copy(fd) as own, contextlib.suppress(OSError):
                    # The number may have been given away meanwhile.
                    if _name(own.fileno()) == self._name:
                        own.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Say that its owner has closed it."""
        if self._name is not None:
            with _guard:
                _claimed.discard(self._name)


def _sockets() -> list[tuple[str, int]]:
    """Return the sockets of this process, each by its name and number; none where /proc is not."""
    try:
        numbers = [int(fd) for fd in os.listdir(_FDS)]
    except OSError:
        return []
    named = ((_name(fd), fd) for fd in numbers)
    return [(name, fd) for name, fd in named if name.startswith("socket:")]


def _name(fd: int) -> str:
    try:
        return os.readlink(_FDS / str(fd))
    except OSError:
        return ""


def _addresses(host: str, port: int) -> frozenset[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(str(entry[4][0]) for entry in found)


def _leads_to(fd: int, addresses: frozenset[str], port: int) -> bool:
    try:
        with _copy(fd) as own:
            peer = own.getpeername()
    except OSError:
        return False
    return isinstance(peer, tuple) and peer[1] == port and peer[0] in addresses


@contextlib.contextmanager
def _copy(fd: int) -> Iterator[socket.socket]:
    """Yield a socket of our own for the same connection; closing it leaves the other open."""
    try:
        own = socket.socket(fileno=os.dup(fd))
    except OSError:
        own = socket.socket()  # it is gone; this one leads nowhere
    with own:
        yield own
