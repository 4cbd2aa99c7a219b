"""Threads that run only when a test says so."""

from __future__ import annotations

from collections.abc import Callable


class SteppedThread:
    """A thread that has been started and has not run yet."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self.name = name
        self.alive = True
        self._run = run

    def run(self) -> None:
        """Run to the end, here and now."""
        try:
            self._run()
        finally:
            self.alive = False

    def join(self, timeout: float | None = None) -> None:
        """Wait for nothing."""

    def is_alive(self) -> bool:
        """Return whether it has not run yet."""
        return self.alive


class SteppedThreads:
    """Starts threads that are then run one by one, in the test's own thread."""

    def __init__(self) -> None:
        self.started: list[SteppedThread] = []

    def __call__(self, run: Callable[[], None], name: str) -> SteppedThread:
        """Take note of a thread."""
        thread = SteppedThread(run, name)
        self.started.append(thread)
        return thread

    def named(self, name: str) -> SteppedThread:
        """Return the newest thread of a name."""
        return next(t for t in reversed(self.started) if t.name == name)
