"""A real mosquitto on a loopback port, with what is retained and published there."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.support.ports import free_port

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
"""Debian's broker; absent, its tests are skipped and say so."""


@dataclass
class Broker:
    """A broker that can be stopped and started again on its port.

    Attributes:
        folder: where its configuration lies.
        port: where it listens.
        options: further lines of its configuration.
    """

    folder: Path
    port: int
    options: tuple[str, ...] = ("allow_anonymous true",)
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it listens."""
        if MOSQUITTO is None:
            pytest.skip("there is no mosquitto here (apt install mosquitto)")
        config = self.folder / "mosquitto.conf"
        lines = (f"listener {self.port} 127.0.0.1", "user root", *self.options)
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.process = subprocess.Popen(  # noqa: ASYNC220 - it only starts
            [MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                assert self.process.poll() is None, "mosquitto ended at once"
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def client(self, **options: Any) -> aiomqtt.Client:
        """Return a client of it."""
        return aiomqtt.Client("127.0.0.1", self.port, **options)

    @asynccontextmanager
    async def watched(self, *topics: str, **options: Any) -> AsyncIterator[Watcher]:
        """Listen to topics."""
        async with self.client(**options) as client:
            for topic in topics:
                await client.subscribe(topic, qos=1)
            yield Watcher(client)


@dataclass
class Watcher:
    """A listener: what was said last on every topic."""

    client: aiomqtt.Client

    def __post_init__(self) -> None:
        self.last: dict[str, str] = {}
        self.all: list[tuple[str, str]] = []
        self._messages = self.client.messages

    async def until(self, topic: str, payload: str | None = None) -> str:
        """Wait until something is said on a topic, or this, and return it."""
        while True:
            if topic in self.last and payload in (None, self.last[topic]):
                return self.last[topic]
            message = await anext(self._messages)
            said = bytes(message.payload or b"").decode()
            self.last[str(message.topic)] = said
            self.all.append((str(message.topic), said))

    def forget(self) -> None:
        """Wait for new messages only."""
        self.last.clear()


@asynccontextmanager
async def broker(folder: Path, *options: str) -> AsyncIterator[Broker]:
    """Run a broker."""
    made = Broker(folder, free_port(), options or ("allow_anonymous true",))
    await made.start()
    try:
        yield made
    finally:
        made.stop()
