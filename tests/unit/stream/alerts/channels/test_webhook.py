"""Webhooks against a real receiver: signed, judged, and never led elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from stream.alerts.channels.webhook import Webhook, signature
from stream.alerts.errors import AlertUndelivered
from stream.alerts.messages import Message, messages_of
from stream.alerts.rules import Alert, AlertKind
from stream.alerts.settings import WebhookSettings
from stream.clock import ManualClock
from stream.outbound import system_resolver
from tests.support.alerts import BEGAN, SECRET, Receiver, incident, receiver, rule

ROOT = Path(__file__).resolve().parents[5]
LOOPBACK = (ip_network("127.0.0.0/8"),)


def message() -> Message:
    alert = Alert(rule(), AlertKind.OPENED, incident(name="Türkei, Eingang"), BEGAN)
    return messages_of(alert, "https://page.example")[0]


def webhook(url: str, resolve: Any = system_resolver, **changes: Any) -> Webhook:
    options = {"secret": SecretStr(SECRET), "allow_networks": LOOPBACK} | changes
    settings = WebhookSettings("hook", SecretStr(url), **options)
    return Webhook(settings, ManualClock(epoch=BEGAN), resolve)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


async def test_a_message_arrives_signed_and_with_its_id(hook: Receiver) -> None:
    sent = message()
    assert await webhook(hook.url).deliver(sent) == "the receiver answered 204"
    (got,) = hook.got
    assert got.headers["StyleFlow-Id"] == sent.id
    assert got.headers["Content-Type"] == "application/json"
    assert got.json == sent.body
    assert got.json["incident"]["name"] == "Türkei, Eingang"
    assert got.json["link"] == "https://page.example/incidents/i1"
    moment, given = (part.split("=")[1] for part in got.headers["StyleFlow-Signature"].split(","))
    assert moment == str(int(BEGAN.timestamp()))
    signed = hmac.new(SECRET.encode(), f"{moment}.".encode() + got.body, hashlib.sha256)
    assert given == signed.hexdigest()


async def test_without_a_secret_nothing_is_signed(hook: Receiver) -> None:
    await webhook(hook.url, secret=SecretStr("")).deliver(message())
    assert "StyleFlow-Signature" not in hook.got[0].headers


def test_the_signature_covers_the_moment_and_the_body() -> None:
    made = {signature(SECRET, seconds, body) for seconds in (1, 2) for body in (b"a", b"b")}
    assert len(made) == 4


@pytest.mark.parametrize("status", [301, 302, 400, 404, 410, 500, 503])
async def test_anything_but_success_is_a_failure(hook: Receiver, status: int) -> None:
    """A redirect above all: whoever answers does not say where alerts go."""
    hook.answers = [status]
    hook.headers = {"Location": f"{hook.url}/elsewhere"}
    with pytest.raises(AlertUndelivered, match=f"answered {status}"):
        await webhook(hook.url).deliver(message())
    assert len(hook.got) == 1


@pytest.mark.parametrize(
    ("said", "understood"), [("120", 120.0), ("soon", None), ("9" * 30, 86400.0)]
)
async def test_a_receiver_may_say_when_to_come_again(
    hook: Receiver, said: str, understood: float | None
) -> None:
    hook.answers, hook.headers = [429], {"Retry-After": said}
    with pytest.raises(AlertUndelivered) as caught:
        await webhook(hook.url).deliver(message())
    assert caught.value.again_s == understood


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "0x7f.1"])
async def test_addresses_that_are_not_public_are_not_connected_to(
    hook: Receiver, host: str
) -> None:
    port = hook.url.split(":")[2]
    channel = webhook(f"http://{host}:{port}", allow_networks=())
    with pytest.raises(AlertUndelivered, match=r"not on the public internet|has no address"):
        await channel.deliver(message())
    assert hook.got == []


async def test_a_name_with_one_private_address_is_not_connected_to(hook: Receiver) -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ("203.0.114.7", "127.0.0.1")

    channel = webhook(hook.url.replace("127.0.0.1", "hook.example"), both, allow_networks=())
    with pytest.raises(AlertUndelivered, match="not on the public internet"):
        await channel.deliver(message())


async def test_the_judged_address_is_connected_to_under_the_host_s_name(hook: Receiver) -> None:
    """The name is resolved once: a second answer cannot lead elsewhere."""
    asked = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ("127.0.0.1",)

    await webhook(hook.url.replace("127.0.0.1", "hook.example"), resolve).deliver(message())
    assert asked == ["hook.example"]
    assert hook.got[0].headers["Host"].startswith("hook.example:")


async def test_nobody_there_is_a_failure_that_tells_no_address() -> None:
    with receiver() as gone:
        url = gone.url
    with pytest.raises(AlertUndelivered) as caught:
        await webhook(f"{url}?key=very-secret").deliver(message())
    assert str(caught.value) == "the receiver cannot be connected to"


def documented_check() -> tuple[Callable[[str, str, bytes], bool], SimpleNamespace]:
    """Return the ten lines of docs/alerts.md, and the clock that they look at."""
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(code.strip().splitlines()) <= 10
    names: dict[str, Any] = {}
    exec(code, names)  # ours
    names["time"] = SimpleNamespace(time=lambda: BEGAN.timestamp())
    return names["is_genuine"], names["time"]


async def test_the_documented_lines_verify_what_is_sent(hook: Receiver) -> None:
    await webhook(hook.url).deliver(message())
    header, body = hook.got[0].headers["StyleFlow-Signature"], hook.got[0].body
    is_genuine, clock = documented_check()
    assert is_genuine(SECRET, header, body)
    assert not is_genuine(f"{SECRET}x", header, body)
    assert not is_genuine(SECRET, header, body + b" ")
    assert not is_genuine(SECRET, header.replace("t=1", "t=2"), body)
    clock.time = lambda: BEGAN.timestamp() + 301
    assert not is_genuine(SECRET, header, body), "an old message played again"
