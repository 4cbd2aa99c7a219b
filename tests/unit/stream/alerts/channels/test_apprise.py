"""Apprise, with its own plain JSON service and a real receiver behind it."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from pydantic import SecretStr

from stream.alerts.channels import apprise as module
from stream.alerts.channels.apprise import Apprise
from stream.alerts.errors import AlertChannelMissing, AlertUndelivered
from stream.alerts.messages import trial_message
from stream.alerts.settings import AppriseSettings
from tests.support.alerts import BEGAN, Receiver, receiver

TEST = trial_message("all", "rest", BEGAN)


def service(hook: Receiver) -> Apprise:
    url = hook.url.replace("http://", "json://u:hunter2@")
    return Apprise(AppriseSettings("rest", SecretStr(url)))


async def test_a_service_is_told_title_and_text() -> None:
    with receiver() as hook:
        assert await service(hook).deliver(TEST) == "the service took it"
    body = json.loads(hook.got[0].body)
    assert body["title"] == TEST.title
    assert body["message"] == TEST.words


async def test_a_service_that_does_not_take_it_is_a_failure() -> None:
    with receiver((500,)) as hook:
        with pytest.raises(AlertUndelivered) as caught:
            await service(hook).deliver(TEST)
    assert str(caught.value) == "the service did not take it"


async def test_a_service_that_hangs_holds_one_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise

    begun, over = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> bool:
        begun.set()
        return over.wait(60)

    monkeypatch.setattr(apprise.Apprise, "notify", hang)
    channel = Apprise(AppriseSettings("rest", SecretStr("json://h.example")))
    first = asyncio.create_task(channel.deliver(TEST))
    await asyncio.to_thread(begun.wait, 60)
    with pytest.raises(AlertUndelivered, match="an earlier message hangs"):
        await channel.deliver(TEST)
    over.set()
    assert await first == "the service took it"


def test_a_service_that_nobody_knows_is_named() -> None:
    with pytest.raises(AlertChannelMissing, match="'rest': Apprise knows no such service"):
        Apprise(AppriseSettings("rest", SecretStr("nobody-knows-it://hunter2")))


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_installed", lambda: False)
    with pytest.raises(AlertChannelMissing, match=r"styleflow-live\[notify\]"):
        Apprise(AppriseSettings("rest", SecretStr("json://h.example")))
