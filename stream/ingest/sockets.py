"""The socket that a reader of a camera has, so that its wait can be ended from outside.

FFmpeg tells nobody which sockets are its own, and asking it to look up while it reads costs
Python's lock for every network read. But a connection that FFmpeg makes is a socket of this process
that was not there before, that is nobody else's, and whose other end is the camera's. FFmpeg asks
before it writes to it whether to go on (`opening.py`): then the socket is looked for, so it is
known before its first byte. Only one reader at a time may be between beginning to connect to one
address and knowing its socket; that takes as long as connecting does, not as long as the camera
takes to answer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from stream.errors import SourceError
from stream.events import ReasonCode

FDS = Path("/proc/self/fd")
"""Where the open files of this process are listed."""

LOOK_UP_S = 0.1
"""How often whoever waits for others to connect looks whether it should stop."""

STRAY_S, STRAY_LOOKS = 0.01, 200
"""How often, and how many times, a socket that may be another reader's is looked at again."""


class SocketEnd(StrEnum):
    """Why this process ended a connection to a camera by itself.

    Attributes:
        CLOSED: its stream was stopped, removed or given up.
        MOVED: FFmpeg had left it for another one.
        UNKNOWN: it led to another address than the camera's.
    """

    CLOSED = "closed"
    MOVED = "moved"
    UNKNOWN = "unknown"


_guard = threading.Lock()
_ended: Counter[SocketEnd] = Counter()
_claimed: set[str] = set()
_doors: dict[tuple[str, int], threading.Lock] = {}
_waiting: Counter[tuple[str, int]] = Counter()


class CameraSocket:
    """The one socket at a time that a reader of a camera has, whoever opened it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._name: str | None = None
        self._fd = -1
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed for good."""
        return self._closed

    @property
    def is_known(self) -> bool:
        """Whether there is one that can be shut down."""
        return self._name is not None

    @property
    def is_open(self) -> bool:
        """Whether the one that is known is still open."""
        return self._name is not None and _name(self._fd) == self._name

    def close(self) -> None:
        """End whatever waits for it, at once, and let no other follow; for any thread.

        Who opened it still has to close it.
        """
        with self._lock:
            self._closed = True
            name, fd = self._name, self._fd
        if name is None:
            return
        with _copy(fd) as own, contextlib.suppress(OSError):
            # The number may have been given away meanwhile.
            if _name(own.fileno()) == name:
                own.shutdown(socket.SHUT_RDWR)
                _count(SocketEnd.CLOSED)

    def connect(self, host: str, port: int, left: Callable[[], float]) -> socket.socket:
        """Return a connection of Python's; whoever closes it calls `forget` afterwards.

        Args:
            host: name or address.
            port: likewise.
            left: seconds that are left; raises TimeoutError when none are.

        Raises:
            OSError: nothing can be reached there.
            SourceError: this has been closed.
        """
        failure = OSError("the host has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            own = socket.socket(family, kind, protocol)
            try:
                self._claim(_name(own.fileno()), own.fileno())  # before anybody could mistake it
                own.settimeout(left())
                own.connect(address)
                return own
            except OSError as error:
                own.close()
                self.forget()
                failure = error
            except SourceError:
                own.close()
                self.forget()
                raise
        self.check()
        raise failure

    @contextlib.contextmanager
    def opening(self, host: str, port: int) -> Iterator[Opening]:
        """Let somebody who does not tell its socket connect, and find out which it is.

        Raises:
            SourceError: this has been closed, maybe while others were connecting.
        """
        with _door(host, port, self.check) as leave:
            opening = Opening(self, _addresses(host, port), port, leave)
            try:
                yield opening
            except BaseException:
                self.forget()
                if opening.astray:
                    _count(SocketEnd.UNKNOWN)
                raise
        if not self.is_open:
            self.forget()
            if visible() and not opening.moved:
                _count(SocketEnd.UNKNOWN)

    def forget(self) -> None:
        """Say that its owner has closed it."""
        with self._lock, _guard:
            if self._name is not None:
                _claimed.discard(self._name)
            self._name, self._fd = None, -1

    def check(self) -> None:
        """Raise SourceError when it has been closed."""
        if self._closed:
            raise SourceError(ReasonCode.ENDED, "the source was closed")

    def take(self, name: str, fd: int) -> bool:
        """Make a socket that somebody else has opened its own; return whether it is still open."""
        with self._lock, _guard:
            self._name, self._fd = name, fd
            _claimed.add(name)
        if not self.is_open:  # its owner has just given it up
            self.forget()
        return self.is_known

    def _claim(self, name: str, fd: int) -> None:
        with self._lock:
            self.check()
            with _guard:
                self._name, self._fd = name, fd
                _claimed.add(name)


class Opening:
    """One connection that is being made by code that does not tell its socket.

    Args:
        camera: whose socket it becomes.
        addresses: where it may lead.
        port: likewise.
        leave: called once its socket is known; the next one may then connect.

    Attributes:
        moved: it was left for another one, which may lead anywhere.
        astray: it leads to another address than it may.
    """

    def __init__(
        self,
        camera: CameraSocket,
        addresses: frozenset[str],
        port: int,
        leave: Callable[[], None],
    ) -> None:
        self.moved = self.astray = False
        self._camera = camera
        self._addresses = addresses
        self._port = port
        self._leave = leave
        self._before = frozenset(name for name, _ in sockets())

    def goes_on(self) -> bool:
        """Return whether it may send something; for the thread that makes it."""
        if self._camera.is_closed or self.moved or self.astray:
            return False
        if self._camera.is_known:
            self.moved = not self._camera.is_open
            if self.moved:
                _count(SocketEnd.MOVED)
        else:
            self.astray = not self._found()
        return not self.moved and not self.astray

    def _found(self) -> bool:
        """Look for its socket; return False when it leads elsewhere.

        What leads to the same port elsewhere may be another reader's, which then makes it its own
        before it sends anything. Nothing at all means that connecting takes a while.
        """
        for _ in range(STRAY_LOOKS):
            new = self._new()
            right = [socket for socket, address in new.items() if address in self._addresses]
            if len(right) == 1 and self._camera.take(*right[0]):
                self._leave()
                return True
            if len(right) == len(new) or self._camera.is_closed:
                return True
            threading.Event().wait(STRAY_S)
        return False

    def _new(self) -> dict[tuple[str, int], str]:
        """Return the sockets that are new, nobody's and lead to the port, with their address."""
        found = ((s, _peer(s[1])) for s in sockets() if s[0] not in self._before)
        # In this order: what Python connects is claimed before it leads anywhere.
        return {
            s: peer[0]
            for s, peer in found
            if peer is not None and peer[1] == self._port and s[0] not in _claimed
        }


def ended() -> Mapping[SocketEnd, int]:
    """Return how many connections this process has ended by itself, by why."""
    with _guard:
        return {why: _ended[why] for why in SocketEnd}


def _count(why: SocketEnd) -> None:
    with _guard:
        _ended[why] += 1


def visible() -> bool:
    """Return whether this system tells a process which files it has open."""
    return FDS.is_dir()


def sockets() -> list[tuple[str, int]]:
    """Return the sockets of this process, each by its name and number; none where none can be."""
    try:
        numbers = [int(fd) for fd in os.listdir(FDS)]
    except OSError:
        return []
    named = ((_name(fd), fd) for fd in numbers)
    return [(name, fd) for name, fd in named if name.startswith("socket:")]


@contextlib.contextmanager
def _door(host: str, port: int, check: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Wait until nobody else connects there, and yield what lets the next one in."""
    place = (host, port)
    with _guard:
        door = _doors.setdefault(place, threading.Lock())
        _waiting[place] += 1
    inside = False

    def leave() -> None:
        nonlocal inside
        if inside:
            inside = False
            door.release()

    try:
        while not inside:
            check()
            inside = door.acquire(timeout=LOOK_UP_S)
        check()
        yield leave
    finally:
        leave()
        with _guard:
            _waiting[place] -= 1
            if not _waiting[place]:
                del _waiting[place], _doors[place]


def _name(fd: int) -> str:
    try:
        return os.readlink(FDS / str(fd))
    except OSError:
        return ""


def _addresses(host: str, port: int) -> frozenset[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(entry[4][0]) for entry in found)


def _peer(fd: int) -> tuple[str, int] | None:
    """Return the address and port that a socket leads to, None when it is not connected."""
    try:
        with _copy(fd) as own:
            peer = own.getpeername()
    except OSError:
        return None
    return (peer[0], peer[1]) if isinstance(peer, tuple) else None


@contextlib.contextmanager
def _copy(fd: int) -> Iterator[socket.socket]:
    """Yield a socket of our own for the same connection; closing it leaves the other open."""
    try:
        own = socket.socket(fileno=os.dup(fd))
    except OSError:
        own = socket.socket()  # it is gone; this one leads nowhere
    with own:
        yield own
