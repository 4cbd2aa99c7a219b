"""A station is made of the settings, and is gone when it is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from cli.settings import load
from cli.station import station
from stream.clock import SystemClock
from stream.publish.history import StreamHistories


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


async def test_as_many_subscribe_at_a_time_as_the_settings_say(data: Path) -> None:
    settings = load(None, {"STYLEFLOW__WEB__SOCKETS__SUBSCRIBERS": "3"})
    async with station(settings, SystemClock()) as made:
        assert made.hub.settings.max_clients == 3


async def test_a_station_has_every_part_that_is_configured(data: Path) -> None:
    entered: list[str] = []

    @contextmanager
    def loading() -> Iterator[None]:
        entered.append("loading")
        yield

    histories = StreamHistories()
    async with station(load(None, {}), SystemClock(), sinks=(histories,), loading=loading) as made:
        assert entered == ["loading"]
        assert [card.name for card in made.cards] == [card.name for card in made.analyzer.models]
        assert made.memory.state().state == "ok"
        assert made.evidence is not None
        assert made.challenges is not None
        assert made.canaries is None
        said = generate_latest(made.metrics.registry).decode()
        for name in ("store_up 1.0", "streams 0.0", "incidents_open", "evidence_bytes"):
            assert f"\nstyleflow_{name}" in said
    assert not [thread for thread in threading.enumerate() if thread.name in ("store", "device")]
