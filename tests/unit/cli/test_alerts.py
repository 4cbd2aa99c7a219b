"""`styleflow alerts test`: what came back from every channel, on the terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from stream.alerts.alerts import Alerts
from stream.alerts.settings import AlertsSettings
from stream.clock import ManualClock
from tests.support.alerts import PlayedChannel, receiver, store
from tests.support.alerts import rule as made
from tests.support.broker import broker
from tests.support.ports import free_port
from tests.support.web import WebRig, served


def config(folder: Path, hook: str, mqtt: int) -> Path:
    path = folder / "styleflow.yaml"
    path.write_text(
        f"""alerts:
  channels:
    webhook: [{{name: hook, url: '{hook}', allow_networks: [127.0.0.0/8]}}]
    mqtt: [{{name: home, host: 127.0.0.1, port: {mqtt}, timeout_s: 5}}]
  rules: [{{name: all, channels: [hook, home]}}]
""",
        encoding="utf-8",
    )
    return path


async def test_every_channel_says_what_came_back(tmp_path: Path) -> None:
    with receiver() as hook:
        async with broker(tmp_path) as mosquitto:
            path = config(tmp_path, hook.url, mosquitto.port)
            command = ["alerts", "test", "all", "--config", str(path)]
            done = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "ok      hook: the receiver answered 204",
        "ok      home: the broker took it on styleflow/alert",
    ]
    assert hook.got[0].json["test"] is True


def test_a_channel_that_fails_is_named_and_told_by_the_exit_code(tmp_path: Path) -> None:
    with receiver((503,)) as hook:
        path = config(tmp_path, hook.url, free_port())
        done = CliRunner().invoke(app, ["alerts", "test", "all", "--config", str(path)])
    assert done.exit_code == 1
    first, second = done.output.splitlines()
    assert first == "failed  hook: the receiver answered 503"
    assert second.startswith("failed  home: the broker: ")
    assert "refused" in second


def test_a_rule_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    path = config(tmp_path, "https://hook.example", 1)
    done = CliRunner().invoke(app, ["alerts", "test", "other", "--config", str(path)])
    assert done.exit_code == 1
    assert "there is no rule 'other'" in done.output


def test_an_analyzer_that_is_not_there_is_one_line() -> None:
    command = ["alerts", "test", "all", "--analyzer", f"http://127.0.0.1:{free_port()}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "nothing listens on this host and port" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize(("rule", "code"), [("all", 0), ("other", 1)])
async def test_a_running_analyzer_sends_it(tmp_path: Path, rule: str, code: int) -> None:
    clock = ManualClock()
    kept = store(tmp_path / "store.sqlite")
    channel = PlayedChannel(kind="webhook")
    alerts = Alerts([channel], AlertsSettings(rules=(made(),)), kept, clock)
    async with served(WebRig(clock=clock, alerts=alerts).app) as port:
        command = ["alerts", "test", rule, "--analyzer", f"http://127.0.0.1:{port}"]
        done = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert done.exit_code == code, done.output
    assert len(channel.taken) == (1 if code == 0 else 0)
