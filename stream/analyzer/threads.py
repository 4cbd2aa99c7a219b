"""Threads of the analyzer, behind an interface that tests can step instead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Thread(Protocol):
    """A thread that has been started."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it ends, or for so many seconds."""
        ...

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        ...


StartThread = Callable[[Callable[[], None], str], Thread]
"""Runs a function in a thread of its own, which has a name."""


def start_daemon(run: Callable[[], None], name: str) -> Thread:
    """Start a thread that does not keep the process alive."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
