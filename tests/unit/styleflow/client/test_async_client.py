"""The asynchronous client against a server on a loopback port; what both share is tested there."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from stream.incidents import records
from stream.store.access import DirectStore
from stream.store.tables import metadata
from styleflow.client import AnalyzerAway, AsyncClient, Lost, Reconnect, RequestRefused
from styleflow.client import async_client as asynchronous
from styleflow.client import sync_client as blocking
from styleflow.client.messages import EventMessage, Message, SubscribedMessage
from tests.support.incidents import incident
from tests.support.ports import free_port
from tests.support.web import lobby, resolver, served
from tests.support.wire import track_started

SOON = Reconnect(first_s=0.01, most_s=0.02, attempts=500)


async def test_streams_are_listed_added_changed_and_removed() -> None:
    rig = await lobby(resolve=resolver(["192.0.2.7"]))
    async with served(rig.app) as port, AsyncClient(f"http://127.0.0.1:{port}") as client:
        assert (await client.caller()).name == "local"
        made = await client.streams.add("hall", "rtsp://camera.example/1", priority="low")
        assert (made.id, made.priority) == ("hall", "low")
        assert (await client.streams.change("hall", name="The hall")).name == "The hall"
        assert (await client.streams.status("hall")).name == "The hall"
        await client.streams.remove("hall")
        assert [stream.id for stream in await client.streams.list()] == ["lobby"]
        with pytest.raises(RequestRefused):
            await client.streams.remove("hall")


async def test_incidents_are_listed_read_and_judged(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(engine)
    store = DirectStore(engine)
    store.submit(lambda connection: records.save(connection, incident())).result()
    rig = await lobby(store=store)
    async with served(rig.app) as port, AsyncClient(f"http://127.0.0.1:{port}") as client:
        names = [each.id async for each in client.incidents.list(severity="low")]
        assert names == [incident().id]
        assert (await client.incidents.acknowledge(names[0])).acknowledged is not None
        assert (await client.incidents.label(names[0], "unclear")).label == "unclear"
        assert (await client.incidents.note(names[0], "dim")).notes == 1
        assert (await client.incidents.get(names[0])).notes[0].text == "dim"


async def test_a_subscription_goes_on_where_it_was_after_a_restart() -> None:
    rig = await lobby()
    losses: list[Lost] = []
    read: list[Message] = []

    async def follow(url: str, last: int) -> None:
        async with AsyncClient(url) as client:
            live = client.subscribe("lobby", types=["event"], reconnect=SOON, on_lost=losses.append)
            async with live:
                async for message in live:
                    read.append(message)
                    if last in tracks():
                        return

    def tracks() -> list[int]:
        return [getattr(m.data, "track", 0) for m in read if isinstance(m, EventMessage)]

    port = free_port()  # nobody else's between the two
    async with served(rig.app, port):
        following = asyncio.create_task(follow(f"http://127.0.0.1:{port}", last=4))
        while 1 not in tracks():
            rig.publish(track_started(track=1))
            await asyncio.sleep(0.02)
    rig.publish(track_started(track=2), track_started(track=3))
    async with served(rig.app, port):
        rig.publish(track_started(track=4))
        await following
    assert tracks()[-3:] == [2, 3, 4]
    numbers = [m.seq for m in read if isinstance(m, EventMessage)]
    assert numbers == sorted(set(numbers))
    assert losses
    assert [m.data.resumed for m in read if isinstance(m, SubscribedMessage)] == [(), ("lobby",)]


async def test_a_subscription_ends_when_it_is_closed_while_it_waits_to_connect_again() -> None:
    rig = await lobby()
    lost = asyncio.Event()
    slow = Reconnect(first_s=3600.0, most_s=3600.0)
    async with served(rig.app) as port:
        client = AsyncClient(f"http://127.0.0.1:{port}")
        live = client.subscribe("lobby", reconnect=slow, on_lost=lambda _: lost.set())
        await anext(live)

        async def drain() -> None:
            async for _ in live:
                pass

        draining = asyncio.create_task(drain())
    await lost.wait()
    await live.close()
    await draining
    await client.close()


async def test_an_analyzer_that_is_not_there_is_said_at_once() -> None:
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(AnalyzerAway, match="nothing listens"):
            await client.streams.list()
        with pytest.raises(AnalyzerAway, match="nothing listens"):
            await anext(client.subscribe())


@pytest.mark.parametrize("name", ["Client", "Streams", "Incidents", "Subscription"])
def test_both_clients_can_do_the_same(name: str) -> None:
    """Every public method, with the same parameters."""

    def methods(kind: type) -> dict[str, list[str]]:
        return {
            key: list(inspect.signature(value).parameters)
            for key, value in vars(kind).items()
            if inspect.isfunction(value) and not key.startswith("_")
        }

    one, other = getattr(blocking, name), getattr(asynchronous, f"Async{name}")
    assert methods(one) == methods(other)
    assert methods(one)
