"""Machines of a network of their own, made of Linux network namespaces joined by a bridge.

Everything is named after the process that made it, so that several may run side by side, and what
a killed process left behind is found and taken down by the next one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

_PREFIX = "sfn"
_TRY_S, _TRIES = 0.02, 250
_NOBODY = "02:00:00:00:00:00"
"""Hardware address that no machine has."""


def missing() -> str:
    """Return why no namespaces can be made here, or nothing if they can."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need the program ip (iproute2)"
    name = f"{_PREFIX}{os.getpid()}-probe"
    bridge = f"{_PREFIX}{os.getpid()}p"
    try:
        made = _ip("netns", "add", name) or _ip("link", "add", bridge, "type", "bridge")
    finally:
        _ip("netns", "del", name)
        _ip("link", "del", bridge)
    return f"network namespaces cannot be made: {made}" if made else ""


class Namespaces:
    """Machines joined by one switch, each in a network namespace; a context manager.

    The process that makes them sits at the switch too, and reaches every one at its address.

    Args:
        names: what the machines are called, 2 to 20 of them.

    Attributes:
        here: address of this process's own end.
    """

    def __init__(self, names: Sequence[str]) -> None:
        own = os.getpid()
        # 198.18.0.0/15 is set aside for tests of networks (RFC 2544).
        self._net = f"198.{18 + own // 256 % 2}.{own % 256}"
        self._bridge = f"{_PREFIX}{own}b"
        self._names = tuple(names)
        self.here = f"{self._net}.254"

    def __enter__(self) -> Self:
        sweep()
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for name in self._names:
            self.kill(name)
            _ip("link", "del", self._link(name))
            _ip("netns", "del", self.namespace(name))
        _ip("link", "del", self._bridge)

    def _make(self) -> None:
        _must("link", "add", self._bridge, "type", "bridge")
        _must("addr", "add", f"{self.here}/24", "dev", self._bridge)
        _must("link", "set", self._bridge, "up")
        for name in self._names:
            space, link = self.namespace(name), self._link(name)
            _must("netns", "add", space)
            _must("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
            _must("link", "set", link, "master", self._bridge, "up")
            _must("-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            _must("-n", space, "link", "set", "eth0", "up")
            _must("-n", space, "link", "set", "lo", "up")
            # It leads nowhere, but without one a program cannot tell which address is its own.
            _must("-n", space, "route", "add", "default", "via", self.here)

    def namespace(self, name: str) -> str:
        """Return what the kernel knows a machine by."""
        return f"{_PREFIX}{os.getpid()}-{name}"

    def _link(self, name: str) -> str:
        return f"{_PREFIX}{os.getpid()}v{self._names.index(name)}"

    def address(self, name: str) -> str:
        """Return a machine's address."""
        return f"{self._net}.{self._names.index(name) + 1}"

    def under(self, name: str) -> tuple[str, ...]:
        """Return the command that runs another one on a machine."""
        return ("ip", "netns", "exec", self.namespace(name))

    def cut(self, name: str, *, cut: bool = True) -> None:
        """Pull a machine's cable, or plug it in again."""
        _must("link", "set", self._link(name), "down" if cut else "up")

    def part(self, name: str, other: str, *, cut: bool = True) -> None:
        """Have nothing that two machines send to each other arrive, or take that back.

        They reach all others; nobody tells them that packets are lost.
        """
        for one, address in ((name, self.address(other)), (other, self.address(name))):
            space = self.namespace(one)
            if cut:
                nobody = ("lladdr", _NOBODY, "nud", "permanent")
                _must("-n", space, "neigh", "replace", address, *nobody, "dev", "eth0")
            else:
                _must("-n", space, "neigh", "del", address, "dev", "eth0")

    def processes(self, name: str) -> tuple[int, ...]:
        """Return the processes that run on a machine."""
        command = ["ip", "netns", "pids", self.namespace(name)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return tuple(int(pid) for pid in found.stdout.split())

    def kill(self, name: str) -> None:
        """End everything that runs on a machine, at once, and wait until it is gone."""
        pause = threading.Event()
        for _ in range(_TRIES):
            running = self.processes(name)
            if not running:
                return
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pause.wait(_TRY_S)


def sweep() -> None:
    """Take down what processes that are no longer there have left behind."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    for space in re.findall(rf"^{_PREFIX}\d+-\S+", listed.stdout, re.MULTILINE):
        if _is_left(space):
            command = ["ip", "netns", "pids", space]
            for pid in subprocess.run(
                command, capture_output=True, text=True, check=False
            ).stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "del", space)
    listed = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=False)
    for link in re.findall(rf"^{_PREFIX}\d+[bvp]\d*", listed.stdout, re.MULTILINE):
        if _is_left(link):
            _ip("link", "del", link)


def _is_left(name: str) -> bool:
    found = re.match(rf"{_PREFIX}(\d+)", name)
    return found is not None and not os.path.exists(f"/proc/{found[1]}")


def _ip(*words: str) -> str:
    """Run ip, and return what it complains about."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    return (done.stderr.strip() or f"exit status {done.returncode}") if done.returncode else ""


def _must(*words: str) -> None:
    if said := _ip(*words):
        raise OSError(f"ip {' '.join(words)}: {said}")
