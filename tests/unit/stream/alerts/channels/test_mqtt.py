"""MQTT against a real mosquitto: shown, told, snoozed, and there again after it was gone."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stream.alerts.channels.mqtt import Mqtt
from stream.alerts.errors import AlertUndelivered
from stream.alerts.messages import messages_of, trial_message
from stream.alerts.rules import Alert, AlertKind
from stream.alerts.settings import MqttSettings
from stream.clock import ManualClock
from stream.event_log.event_log import EventLog
from stream.events import ScoringModel, StreamAdded
from tests.support.alerts import BEGAN, changed, incident, rule
from tests.support.broker import Broker, broker
from tests.support.certificates import self_signed
from tests.support.ports import free_port
from tests.support.wire import UNTRAINED, score

ROOT = Path(__file__).resolve().parents[5]
CONFIG = "homeassistant/device/styleflow_lobby/config"


class BriefClock(ManualClock):
    """A clock whose waits are short, however long they are meant to be."""

    async def sleep(self, seconds: float) -> None:
        """Let some of the machine's time pass, and all of ours."""
        self.advance(seconds)
        await asyncio.sleep(0.01)


class Snoozes:
    """Snoozes in memory."""

    def __init__(self) -> None:
        self.streams: set[str] = set()
        self.asked: list[tuple[str, int | None, str]] = []
        self.fails = False

    def snoozed(self) -> set[str]:
        return self.streams

    async def switch(self, stream: str, minutes: int | None, by: str) -> None:
        self.asked.append((stream, minutes, by))
        if self.fails:
            raise RuntimeError("a fault of ours")
        (self.streams.add if minutes else self.streams.discard)(stream)


class Rig:
    """A running channel behind an event log."""

    def __init__(self, port: int, **changes: Any) -> None:
        self.clock = BriefClock(epoch=BEGAN)
        self.snoozes = Snoozes()
        settings = MqttSettings("home", "127.0.0.1", port, **changes)
        self.channel = Mqtt(settings, self.clock, "1.2.3", self.snoozes)
        self.log = EventLog(self.clock)

        class Sink:
            accept = staticmethod(self.channel.follow)

        self.log.attach(Sink())

    def publish(self, *events: Any) -> None:
        for event in events:
            self.log.append(event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.channel.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@contextmanager
def running_program(program: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of Python until the end of the block."""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def added() -> StreamAdded:
    return StreamAdded("lobby", 0, "Lobby", (ScoringModel(UNTRAINED, False),))


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker(tmp_path) as running:
        yield running


async def test_a_stream_is_shown_from_announcement_to_suspicion(mosquitto: Broker) -> None:
    rig = Rig(mosquitto.port)
    rig.publish(added())
    async with mosquitto.watched("#") as seen, rig.running():
        assert json.loads(await seen.until(CONFIG))["device"]["name"] == "Lobby"
        await seen.until("styleflow/status", "online")
        await seen.until("styleflow/lobby/suspicion", "OFF")
        rig.publish(changed())
        await seen.until("styleflow/lobby/suspicion", "ON")
        rig.publish(replace(score("lobby"), reasons=()))
        await seen.until("styleflow/lobby/score")
    async with mosquitto.watched("#") as late:
        await late.until("styleflow/lobby/suspicion", "ON")
        assert await late.until("styleflow/status") == "offline", "and said so when it went"
        assert await late.until(CONFIG)


async def test_one_who_vanishes_leaves_a_last_will(mosquitto: Broker) -> None:
    """Home Assistant shows a stream as unavailable when its analyzer was killed."""
    program = (
        "import asyncio\nfrom stream.alerts.channels.mqtt import Mqtt\n"
        "from stream.alerts.settings import MqttSettings\nfrom stream.clock import SystemClock\n"
        "async def main():\n"
        f"    own = MqttSettings('home', '127.0.0.1', {mosquitto.port})\n"
        "    await Mqtt(own, SystemClock(), '1').run()\n"
        "asyncio.run(main())\n"
    )
    async with mosquitto.watched("styleflow/status") as seen:
        with running_program(program) as process:
            await seen.until("styleflow/status", "online")
            process.kill()
            await seen.until("styleflow/status", "offline")


async def test_the_switch_snoozes_a_stream_and_shows_it(mosquitto: Broker) -> None:
    rig = Rig(mosquitto.port, snooze_min=30)
    rig.publish(added())
    async with mosquitto.watched("styleflow/#") as seen, rig.running():
        await seen.until("styleflow/lobby/snooze", "OFF")
        await seen.client.publish("styleflow/lobby/snooze/set", "ON", qos=1)
        await seen.until("styleflow/lobby/snooze", "ON")
        rig.snoozes.fails = True
        await seen.client.publish("styleflow/lobby/snooze/set", "OFF", qos=1)
        while len(rig.snoozes.asked) < 2:  # noqa: ASYNC110 - played by this test
            await asyncio.sleep(0.01)
        rig.snoozes.streams.clear()
        await seen.until("styleflow/lobby/snooze", "OFF")
    assert rig.snoozes.asked == [("lobby", 30, "mqtt home"), ("lobby", None, "mqtt home")]
    assert rig.channel.connections == 1, "a fault behind the switch is not the broker's"


async def test_a_command_that_was_retained_is_not_obeyed_again(mosquitto: Broker) -> None:
    async with mosquitto.watched("styleflow/#") as seen:
        await seen.client.publish("styleflow/lobby/snooze/set", "ON", qos=1, retain=True)
        rig = Rig(mosquitto.port)
        rig.publish(added())
        async with rig.running():
            await seen.until("styleflow/lobby/suspicion")
            await seen.client.publish("styleflow/lobby/snooze/set", "OFF", qos=1)
            while not rig.snoozes.asked:  # noqa: ASYNC110 - played by this test
                await asyncio.sleep(0.01)
    assert rig.snoozes.asked == [("lobby", None, "mqtt home")]


async def test_home_assistant_is_told_again_when_it_was_born(mosquitto: Broker) -> None:
    rig = Rig(mosquitto.port)
    rig.publish(added())
    async with mosquitto.watched("#") as seen, rig.running():
        await seen.until("styleflow/lobby/suspicion")
        seen.forget()
        await seen.client.publish("homeassistant/status", "online", qos=1)
        await seen.until(CONFIG)
        await seen.until("styleflow/lobby/suspicion")


async def test_a_broker_that_comes_back_is_shown_everything_anew(tmp_path: Path) -> None:
    port = free_port()
    rig, mosquitto = Rig(port), Broker(tmp_path, port)
    message = messages_of(Alert(rule(), AlertKind.OPENED, incident(), BEGAN), "")[0]
    rig.publish(added())
    async with rig.running():
        with pytest.raises(AlertUndelivered, match="there is no connection"):
            await rig.channel.deliver(message)
        for connections in (1, 2):
            await mosquitto.start()
            try:
                async with mosquitto.watched("#") as seen:
                    await seen.until("styleflow/lobby/suspicion", "OFF")
                    said = await rig.channel.deliver(message)
                    assert said == "the broker took it on styleflow/lobby/alert"
                    assert json.loads(await seen.until("styleflow/lobby/alert"))["id"] == message.id
                assert rig.channel.connections == connections
                assert rig.channel.trouble == ""
            finally:
                mosquitto.stop()
            while not rig.channel.trouble:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def test_a_password_is_asked_for_and_not_told(tmp_path: Path) -> None:
    tool = shutil.which("mosquitto_passwd")
    assert tool is not None, "install Debian's mosquitto"
    passwords = tmp_path / "passwords"
    subprocess.run([tool, "-b", "-c", str(passwords), "u", "hunter2"], check=True)  # noqa: ASYNC221
    async with broker(tmp_path, "allow_anonymous false", f"password_file {passwords}") as asks:
        test = trial_message("all", "home", BEGAN)

        def brief(password: str) -> Mqtt:
            settings = MqttSettings(
                "home", "127.0.0.1", asks.port, username="u", password=SecretStr(password)
            )
            return Mqtt(settings, BriefClock(), "1", brief=True)

        assert await brief("hunter2").deliver(test) == "the broker took it on styleflow/alert"
        with pytest.raises(AlertUndelivered, match="Not authorized") as caught:
            await brief("hunter3").deliver(test)
        assert "hunter3" not in str(caught.value)


async def test_a_certificate_is_verified(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    options = ("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    async with broker(tmp_path, *options) as mosquitto:
        test = trial_message("all", "home", BEGAN)

        def brief(ca_file: Path | None) -> Mqtt:
            settings = MqttSettings(
                "home", "localhost", mosquitto.port, tls=True, tls_ca_file=ca_file
            )
            return Mqtt(settings, BriefClock(), "1", brief=True)

        assert await brief(certificate).deliver(test)
        with pytest.raises(AlertUndelivered, match="CERTIFICATE_VERIFY_FAILED"):
            await brief(None).deliver(test)
        with pytest.raises(AlertUndelivered, match="tls_ca_file cannot be read"):
            await brief(tmp_path / "nowhere").deliver(test)
