"""Waits for the network: pauses and slow consumers are not the camera's silence."""

from __future__ import annotations

import threading

from stream.clock import ManualClock
from stream.ingest.network_wait import SLICES_PER_S, NetworkWait, naps_of_this_thread


class Rig:
    """A stopwatch whose thread sleeps when it is told to."""

    def __init__(self, counted: bool = True) -> None:
        self.clock = ManualClock()
        self.naps = 0
        self.wait = NetworkWait(self.clock, lambda: self.naps if counted else None)

    def network(self, seconds: float) -> None:
        """Wait as FFmpeg does, in slices."""
        self.clock.advance(seconds)
        self.naps += round(seconds * SLICES_PER_S)


def test_a_silent_camera_is_silent() -> None:
    rig = Rig()
    rig.wait.begin()
    rig.network(2.4)
    assert not rig.wait.silent(2.5)
    rig.network(0.1)
    assert rig.wait.silent(2.5)


def test_a_pause_of_this_process_is_not_called_the_cameras_silence() -> None:
    rig = Rig()
    rig.wait.begin()
    rig.network(0.1)
    rig.clock.advance(3600.0)
    rig.naps += 2
    assert not rig.wait.silent(2.5)


def test_a_slow_consumer_is_not_called_the_cameras_silence() -> None:
    rig = Rig()
    rig.network(60.0)
    rig.wait.begin()
    rig.network(0.04)
    assert not rig.wait.silent(2.5)


def test_where_nobody_counts_a_long_wait_is_silence() -> None:
    rig = Rig(counted=False)
    rig.wait.begin()
    rig.clock.advance(2.5)
    assert rig.wait.silent(2.5)


def test_going_to_sleep_is_counted_per_thread() -> None:
    before = naps_of_this_thread()
    if before is None:
        return
    for _ in range(20):
        threading.Event().wait(0.001)
    after = naps_of_this_thread()
    assert after is not None
    assert after - before >= 20
