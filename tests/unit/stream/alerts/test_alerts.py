"""Alerts at work, with the clock in the test's hands and real receivers behind them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from stream.alerts import alerts as module
from stream.alerts import records
from stream.alerts.alerts import Alerts
from stream.alerts.channels.webhook import Webhook
from stream.alerts.errors import (
    AlertChannelMissing,
    AlertRuleFixed,
    AlertRulesFull,
    AlertRuleUnknown,
)
from stream.alerts.settings import AlertsSettings, WebhookSettings
from stream.clock import ManualClock
from stream.incident import IncidentStep
from stream.outbound import system_resolver
from stream.store.access import DirectStore
from stream.store.tables import alert_rules, audit, metadata
from tests.support.alerts import (
    BEGAN,
    SECRET,
    PlayedChannel,
    Receiver,
    changed,
    receiver,
    rule,
    stamped,
    store,
)

ROOT = Path(__file__).resolve().parents[4]
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def kept(tmp_path: Path) -> DirectStore:
    return store(tmp_path / "store.sqlite")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def webhook(url: str, clock: ManualClock) -> Webhook:
    settings = WebhookSettings("hook", SecretStr(url), SecretStr(SECRET), 5.0, LOOPBACK)
    return Webhook(settings, clock, system_resolver)


def alerts_of(
    kept: DirectStore, clock: ManualClock, *channels: PlayedChannel | Webhook, worker: str = ""
) -> Alerts:
    settings = AlertsSettings(rules=(rule(channels=tuple(c.name for c in channels)),))
    return Alerts(channels, settings, kept, clock, random.Random(3), worker)


async def step_through(alerts: Alerts, clock: ManualClock, name: str = "hook") -> None:
    """Deliver what waits, moving the clock to whenever it is due."""
    while (due := alerts.outbox.next_due(name)) is not None:
        clock.advance(max((due - clock.utc()).total_seconds(), 0.0))
        await alerts.step(name)


async def test_a_receiver_that_fails_twice_has_the_alert_once(
    kept: DirectStore, hook: Receiver
) -> None:
    hook.answers = [500, 503]
    clock = ManualClock(epoch=BEGAN)
    alerts = alerts_of(kept, clock, webhook(hook.url, clock))
    alerts.accept(stamped(changed()))
    await step_through(alerts, clock)
    assert len({got.headers["StyleFlow-Id"] for got in hook.got}) == 1
    assert len(hook.got) == 3
    assert len(hook.taken) == 1
    (status,) = alerts.channels()
    assert (status.counts.delivered, status.counts.failed, status.waiting) == (1, 2, 0)
    assert status.state == "ok"


async def test_a_dead_channel_delays_no_other(kept: DirectStore) -> None:
    clock = ManualClock(epoch=BEGAN)
    dead, alive = PlayedChannel("dead", refusals=99), PlayedChannel("alive")
    alerts = alerts_of(kept, clock, dead, alive)
    alerts.accept(stamped(changed()))
    await alerts.step("dead")
    await alerts.step("alive")
    assert len(alive.taken) == 1
    assert {status.name: status.state for status in alerts.channels()} == {
        "dead": "failing",
        "alive": "ok",
    }


async def test_a_channel_that_hangs_is_cut_off(kept: DirectStore) -> None:
    class Hanging(PlayedChannel):
        async def deliver(self, message: object) -> str:
            await asyncio.Event().wait()
            return ""

    clock = ManualClock(epoch=BEGAN)
    alerts = alerts_of(kept, clock, Hanging(timeout_s=0.01))
    alerts.accept(stamped(changed()))
    assert await alerts.step("hook")
    assert alerts.channels()[0].last_error == "it took longer than 0.01 s"


async def test_the_words_of_an_unexpected_error_are_not_told(kept: DirectStore) -> None:
    clock = ManualClock(epoch=BEGAN)
    alerts = alerts_of(kept, clock, PlayedChannel(refusals=1, error=ValueError("hunter2")))
    alerts.accept(stamped(changed()))
    await alerts.step("hook")
    assert alerts.channels()[0].last_error == "unexpected: ValueError"


async def test_the_running_tasks_deliver_and_end(kept: DirectStore) -> None:
    channel = PlayedChannel()
    alerts = alerts_of(kept, ManualClock(epoch=BEGAN), channel)
    running = asyncio.create_task(alerts.run())
    await asyncio.sleep(0)
    alerts.accept(stamped(changed()))
    await channel.arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_fault_of_one_part_stops_no_other(kept: DirectStore) -> None:
    clock, channel = ManualClock(epoch=BEGAN), PlayedChannel()
    alerts = alerts_of(kept, clock, channel)
    failing = iter([RuntimeError("a fault of ours")])
    take = alerts.outbox.take

    def broken(name: str, now: datetime) -> object:
        for error in failing:
            raise error
        return take(name, now)

    alerts.outbox.take = broken  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(alerts.run())
    alerts.accept(stamped(changed()))
    await channel.arrived.wait()
    assert alerts.faults == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_after_a_restart_nothing_is_told_twice(kept: DirectStore) -> None:
    clock, before, after = ManualClock(epoch=BEGAN), PlayedChannel(), PlayedChannel()
    first = alerts_of(kept, clock, before)
    first.accept(stamped(changed()))
    await first.step("hook")
    second = alerts_of(kept, clock, after)
    await second.load()
    second.accept(stamped(changed()))
    assert not await second.step("hook")
    second.accept(stamped(changed(IncidentStep.CLOSED), 1.0))
    assert await second.step("hook")
    assert [message.kind.value for message in before.taken + after.taken] == ["opened", "closed"]


async def test_a_worker_that_is_restarted_sends_what_it_had_and_nothing_of_others(
    kept: DirectStore,
) -> None:
    clock, other, own = ManualClock(epoch=BEGAN), PlayedChannel(), PlayedChannel()
    before = alerts_of(kept, clock, PlayedChannel(), worker="worker-2")
    before.accept(stamped(changed()))
    for channel, name in ((other, "worker-1"), (own, "worker-2")):
        alerts = alerts_of(kept, clock, channel, worker=name)
        await alerts.load()
        assert await alerts.step("hook") == (name == "worker-2")
    assert (len(other.taken), len(own.taken)) == (0, 1)


async def test_alerts_of_a_worker_that_is_gone_are_sent_by_its_heir_once(kept: DirectStore) -> None:
    clock, heard = ManualClock(epoch=BEGAN), PlayedChannel()
    dead, busy = (
        alerts_of(kept, clock, PlayedChannel(), worker=name) for name in ("worker-2", "worker-3")
    )
    dead.accept(stamped(changed(id="i2")))
    busy.accept(stamped(changed(id="i3")))
    heir = alerts_of(kept, clock, heard, worker="worker-1")
    await heir.load()
    living = ("worker-1", "worker-3")
    assert await heir.inherit(living) == 1
    assert await heir.inherit(living) == 0
    assert await heir.step("hook")
    assert not await heir.step("hook")
    assert [message.incident for message in heard.taken] == ["i2"]
    returned = alerts_of(kept, clock, PlayedChannel(), worker="worker-2")
    await returned.load()
    assert not await returned.step("hook")  # it is the heir's now


async def test_an_heir_takes_so_many_messages_at_a_time(
    kept: DirectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "INHERITED_AT_ONCE", 2)
    clock = ManualClock(epoch=BEGAN)
    dead = alerts_of(kept, clock, PlayedChannel(), worker="worker-2")
    for number in range(3):
        dead.accept(stamped(changed(id=f"i{number}")))
    heir = alerts_of(kept, clock, PlayedChannel(), worker="worker-1")
    assert [await heir.inherit(("worker-1",)) for _ in range(3)] == [2, 1, 0]


async def test_what_one_process_left_is_sent_by_workers_that_come_after_it(
    kept: DirectStore,
) -> None:
    clock, heard = ManualClock(epoch=BEGAN), PlayedChannel()
    alone = alerts_of(kept, clock, PlayedChannel())
    alone.accept(stamped(changed()))
    heir = alerts_of(kept, clock, heard, worker="worker-1")
    assert await heir.inherit(("worker-1",)) == 1
    assert await heir.step("hook")


async def test_rules_that_another_process_has_made_hold_once_they_are_read(
    kept: DirectStore,
) -> None:
    clock = ManualClock(epoch=BEGAN)
    one, other = alerts_of(kept, clock, PlayedChannel()), alerts_of(kept, clock, PlayedChannel())
    await one.put_rule(rule(name="night", channels=("hook",)), "ann")
    assert await other.reread()
    assert other.rule("night").rule == one.rule("night").rule
    await one.remove_rule("night", "ann")
    assert await other.reread()
    assert [status.rule.name for status in other.rules()] == [s.rule.name for s in one.rules()]


KILLED = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from ipaddress import ip_network
from stream.alerts.alerts import Alerts
from stream.alerts.channels.webhook import Webhook
from stream.alerts.settings import AlertsSettings, OutboxSettings, WebhookSettings
from stream.clock import SystemClock
from stream.event_log.event_log import StampedEvent
from stream.outbound import system_resolver
from tests.support.alerts import changed, rule, store

async def main(path, url):
    clock = SystemClock()
    hook = WebhookSettings("hook", SecretStr(url), allow_networks=(ip_network("127.0.0.0/8"),))
    settings = AlertsSettings(rules=(rule(),), outbox=OutboxSettings(first_s=600))
    alerts = Alerts([Webhook(hook, clock, system_resolver)], settings, store(Path(path)), clock)
    alerts.accept(StampedEvent(1, clock.monotonic(), clock.utc(), changed()))
    running = asyncio.create_task(alerts.run())
    while not alerts.channels()[0].counts.failed:
        await asyncio.sleep(0.01)
    print("failed once", flush=True)
    await running

asyncio.run(main(*sys.argv[1:]))
"""


def killed_after_a_failure(path: Path, url: str) -> None:
    """Run a process that posts an alert, until it has failed for the first time."""
    command = [sys.executable, "-c", KILLED, str(path), url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = any(line == "failed once\n" for line in process.stdout)
        os.kill(process.pid, signal.SIGKILL)
    assert said


async def test_an_alert_outlives_a_process_that_is_killed_between_attempts(
    tmp_path: Path, hook: Receiver
) -> None:
    hook.answers = [500]
    path = tmp_path / "store.sqlite"
    await asyncio.to_thread(killed_after_a_failure, path, hook.url)
    clock = ManualClock(epoch=datetime.now(UTC))  # noqa: TID251 - the killed process had it
    alerts = alerts_of(store(path), clock, webhook(hook.url, clock))
    await alerts.load()
    assert alerts.outbox.waiting("hook") == 1
    await step_through(alerts, clock)
    assert len(hook.got) == 2
    assert len({got.headers["StyleFlow-Id"] for got in hook.got}) == 1
    assert len(hook.taken) == 1


async def test_a_test_message_says_so_and_what_came_back(kept: DirectStore) -> None:
    clock = ManualClock(epoch=BEGAN)
    good, bad = PlayedChannel("good"), PlayedChannel("bad", refusals=1)
    alerts = alerts_of(kept, clock, good, bad)
    results = await alerts.test("all")
    assert [(r.channel, r.ok, r.detail) for r in results] == [
        ("good", True, "taken"),
        ("bad", False, "nobody is there"),
    ]
    assert good.taken[0].body["test"] is True
    assert alerts.outbox.waiting("bad") == 0, "a test is tried once"
    with pytest.raises(AlertRuleUnknown):
        await alerts.test("other")


async def test_a_rule_of_the_page_holds_at_once_and_after_a_restart(kept: DirectStore) -> None:
    clock, channel = ManualClock(epoch=BEGAN), PlayedChannel()
    first = Alerts([channel], AlertsSettings(), kept, clock)
    first.accept(stamped(changed(id="a")))
    assert not await first.step("hook")
    made = rule(name="mine", severity="medium", min_s=0.0)
    await first.put_rule(made, "anna")
    first.accept(stamped(changed(id="b")))
    assert await first.step("hook")
    second = Alerts([channel], AlertsSettings(), kept, clock)
    await second.load()
    assert [(status.rule, status.configured) for status in second.rules()] == [(made, False)]
    await second.remove_rule("mine", "bert")
    assert second.rules() == []
    with kept.reading() as connection:
        assert connection.execute(select(alert_rules)).all() == []
        changes = connection.execute(select(audit.c.by, audit.c.action, audit.c.subject)).all()
    assert [tuple(change) for change in changes] == [
        ("anna", "alert_rule.set", "rule/mine"),
        ("bert", "alert_rule.removed", "rule/mine"),
    ]


async def test_rules_that_cannot_be_are_refused(
    kept: DirectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = alerts_of(kept, ManualClock(), PlayedChannel())
    with pytest.raises(AlertRuleFixed):
        await alerts.put_rule(rule(), "anna")
    with pytest.raises(AlertRuleFixed):
        await alerts.remove_rule("all", "anna")
    with pytest.raises(AlertRuleUnknown):
        await alerts.remove_rule("other", "anna")
    with pytest.raises(AlertChannelMissing):
        await alerts.put_rule(rule(name="b", channels=("pager",)), "anna")
    monkeypatch.setattr(module, "MAX_PAGE_RULES", 1)
    await alerts.put_rule(rule(name="b"), "anna")
    await alerts.put_rule(rule(name="b", min_s=3), "anna")
    with pytest.raises(AlertRulesFull):
        await alerts.put_rule(rule(name="c"), "anna")


async def test_a_store_that_cannot_be_read_stops_no_alert(tmp_path: Path) -> None:
    kept = store(tmp_path / "store.sqlite")
    metadata.drop_all(kept.engine)
    clock, channel = ManualClock(epoch=BEGAN), PlayedChannel()
    alerts = alerts_of(kept, clock, channel)
    await alerts.load()
    alerts.accept(stamped(changed()))
    await alerts.step("hook")
    assert len(channel.taken) == 1


async def test_alerts_end_although_a_library_swallows_the_cancellation(kept: DirectStore) -> None:
    """As `asyncio.wait_for` does when an answer comes in the very moment; the server then hung."""

    class Swallowing(PlayedChannel):
        async def deliver(self, message: object) -> str:
            self.arrived.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "taken"
            return ""

    channel = Swallowing()
    alerts = alerts_of(kept, ManualClock(epoch=BEGAN), channel)
    running = asyncio.create_task(alerts.run())
    alerts.accept(stamped(changed()))
    await channel.arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    assert alerts.channels()[0].counts.delivered == 1


async def test_without_a_store_alerts_are_delivered_all_the_same() -> None:
    clock, channel = ManualClock(epoch=BEGAN), PlayedChannel(refusals=1)
    alerts = Alerts([channel], AlertsSettings(), None, clock)
    await alerts.load()
    await alerts.put_rule(rule(), "anna")
    alerts.accept(stamped(changed()))
    await step_through(alerts, clock)
    assert len(channel.taken) == 1
    await alerts.remove_rule("all", "anna")
    assert alerts.rules() == []
