"""A caller's own scores on its data channel: the WebSocket's messages, as fast as it reads."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from stream.publish.hub import HubFull, HubSettings
from stream.webrtc.data_channel import ScoreSender
from tests.support.wire import HubRig, score, track_ended, verdict_changed

MAX = 2000


class Wire:
    """A data channel whose peer reads when the test says so."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []
        self.buffered = 0
        self.closed = 0

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))
        self.buffered += len(text)

    def close(self) -> None:
        self.closed += 1


class Rig(HubRig):
    """A hub, a channel, and timers that the test fires."""

    def __init__(self, **options: object) -> None:
        super().__init__(streams=("me", "other"), **options)  # type: ignore[arg-type]
        self.wire = Wire()
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.sender = ScoreSender(
            self.hub, "me", self.wire, self.clock,
            lambda after, call: self.timers.append((self.clock.monotonic() + after, call)), MAX,
        )  # fmt: skip

    def fire(self) -> None:
        """Call what is due."""
        now = self.clock.monotonic()
        due = [timer for timer in self.timers if timer[0] <= now]
        self.timers = [timer for timer in self.timers if timer[0] > now]
        for _, call in due:
            call()

    def read(self) -> list[dict[str, object]]:  # type: ignore[override]
        """Let everything out that may go, and take it."""
        self.fire()
        sent, self.wire.sent, self.wire.buffered = self.wire.sent, [], 0
        return sent


def test_a_channel_begins_with_a_snapshot_of_its_stream() -> None:
    rig = Rig()
    assert [(m["type"], m["stream"]) for m in rig.read()] == [("snapshot", "me")]


def test_only_its_own_stream_is_told() -> None:
    rig = Rig()
    rig.read()
    rig.publish(score("other"), score("me"), verdict_changed("me"), verdict_changed("other"))
    told = rig.read()
    assert {m["stream"] for m in told} == {"me"}
    assert {m["type"] for m in told} == {"score", "event"}


def test_a_held_score_goes_when_it_falls_due() -> None:
    rig = Rig()
    rig.read()
    rig.publish(score("me", value=0.2))
    assert len(rig.read()) == 1
    rig.publish(score("me", value=0.4))
    assert rig.read() == []
    rig.clock.advance(0.3)
    assert [m["data"]["p"] for m in rig.read()] == [0.4]  # type: ignore[index]


def test_a_peer_that_does_not_read_is_sent_no_more_until_it_does() -> None:
    rig = Rig()
    for n in range(200):
        rig.publish(verdict_changed("me"), score("me", value=n / 200))
        rig.clock.advance(0.3)
        rig.fire()
    stuck = len(rig.wire.sent)
    assert rig.wire.buffered < MAX + 4000
    rig.read()
    rig.sender.wake()
    assert rig.read()
    assert stuck < 20


def test_a_peer_that_never_reads_what_must_be_read_loses_the_channel() -> None:
    rig = Rig(settings=HubSettings(log_events=4))
    rig.fire()
    rig.wire.buffered = MAX
    for _ in range(10):
        rig.publish(track_ended("me"))
    rig.wire.buffered = 0
    rig.sender.wake()
    rig.fire()
    assert rig.wire.closed == 1
    assert rig.hub.clients == 0
    assert rig.hub.disconnects[1013] == 1


def test_a_channel_counts_as_a_client_and_gives_its_place_back_once() -> None:
    rig = Rig()
    assert rig.hub.clients == 1
    rig.sender.close()
    rig.sender.close()
    assert rig.hub.clients == 0
    rig.publish(score("me"))
    rig.fire()
    assert rig.wire.sent == []


def test_a_full_hub_takes_no_channel() -> None:
    with pytest.raises(HubFull):
        Rig(settings=HubSettings(max_clients=0))


def test_a_hub_that_stops_closes_its_channels() -> None:
    rig = Rig()
    rig.hub.stop()
    rig.fire()
    assert rig.wire.closed == 1
