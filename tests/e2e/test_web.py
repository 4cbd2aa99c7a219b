"""The WebSocket as a client meets it: a real server on a loopback port, real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from jsonschema import Draft202012Validator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stream.clock import SystemClock
from stream.events import ConnectionState, StreamChanged
from stream.publish.asyncapi import schemas
from stream.publish.hub import HubSettings
from stream.publish.schema import SUBPROTOCOL, CloseCode
from stream.store.database import open_database
from stream.store.settings import StoreSettings
from stream.store.writer import StoreWriter
from tests.support.web import WebRig, resolver, served
from tests.support.wire import (
    INFO,
    UNTRAINED_DEMO,
    added,
    removed,
    score,
    track_started,
    verdict_changed,
)
from web.security.auth import Role, Token, TokenDigest
from web.security.fetch_settings import FetchSettings
from web.settings import SocketSettings, WebSettings

pytestmark = pytest.mark.e2e

SECRET = "correct horse battery staple"
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in schemas().items()}


class Client:
    """A subscriber that checks everything it gets against the published schema."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.last: dict[str, dict[str, int]] = {}

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def subscribe(self, **wanted: Any) -> dict[str, Any]:
        await self.say(type="subscribe", **{"id": "a", "streams": ["*"], **wanted})
        return await self.get("subscribed")

    async def next(self) -> dict[str, Any]:
        text = await asyncio.wait_for(self.socket.recv(), 10)
        assert isinstance(text, str)
        message: dict[str, Any] = json.loads(text)
        VALIDATORS[message["type"]].validate(message)
        if message["seq"] is not None:
            point = {"epoch": message["epoch"], "seq": message["seq"]}
            self.last[message["stream"]] = point
        return message

    async def get(self, kind: str) -> dict[str, Any]:
        message = await self.next()
        assert message["type"] == kind, message
        return message

    async def closed(self) -> tuple[int, str]:
        """Read to the end and return why it ended."""
        async with asyncio.timeout(20):
            with suppress(ConnectionClosed):
                async for _ in self.socket:
                    pass
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def client(port: int, *, hello: bool = True, **options: Any) -> AsyncIterator[Client]:
    url = f"ws://127.0.0.1:{port}/api/v1/scores"
    async with connect(
        url, subprotocols=[SUBPROTOCOL], open_timeout=10, close_timeout=1, **options
    ) as socket:
        made = Client(socket)
        if hello:
            await made.say(type="hello", client="test")
        yield made


def rig(**sockets: Any) -> WebRig:
    made = WebRig(
        WebSettings(sockets=SocketSettings(**sockets)),
        hub=HubSettings(log_events=64),
        clock=SystemClock(),
    )
    made.publish(added("lobby", INFO))
    made.publish(added("demo", UNTRAINED_DEMO))
    return made


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - the server has no event for what tests ask
            await asyncio.sleep(0.005)


async def test_hello_subscribe_snapshot_then_what_happens() -> None:
    web = rig()
    web.publish(score("lobby", 7))
    async with served(web.app) as port, client(port) as me:
        assert me.socket.subprotocol == SUBPROTOCOL
        answer = await me.subscribe(streams=["lob*"])
        assert answer["data"]["streams"] == ["lobby"]
        snapshot = await me.get("snapshot")
        assert [s["track"] for s in snapshot["data"]["scores"]] == [7]
        web.publish(score("demo"), score("lobby", 7, 0.75))
        live = await me.get("score")
        assert (live["stream"], live["data"]["p"]) == ("lobby", 0.75)
        assert live["seq"] > snapshot["seq"]


async def test_untrained_and_demo_are_said_beside_every_score() -> None:
    web = rig()
    async with served(web.app) as port, client(port) as me:
        await me.subscribe(streams=["demo"])
        await me.get("snapshot")
        web.publish(score("demo"), verdict_changed("demo"))
        for _ in range(2):
            data = (await me.next())["data"]
            assert data["demo"] is True
            assert "untrained" in data["notice"]
            assert "demo" in data["notice"]


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[]", '{"type": "hello"}', '{"type": "subscribe", "id": "a", "max_hz": 1e9}', "{"],
)
async def test_a_bad_message_is_answered_with_4400_and_a_reason(text: str) -> None:
    web = rig()
    async with served(web.app) as port, client(port) as me:
        await me.socket.send(text)
        code, reason = await me.closed()
    assert code == CloseCode.BAD_MESSAGE
    assert reason
    await until(lambda: web.hub.clients == 0)
    assert web.hub.disconnects[CloseCode.BAD_MESSAGE] == 1


async def test_a_client_that_echoes_the_version_is_understood() -> None:
    async with served(rig().app) as port, client(port, hello=False) as me:
        await me.say(v=1, type="hello")
        await me.say(v=1, type="subscribe", id="a", streams=["lobby"])
        assert (await me.get("subscribed"))["data"]["id"] == "a"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"v": 2}, "subscribe.v: this server speaks version 1 of the protocol, and no other"),
        ({"streems": ["*"]}, "subscribe.streems: unknown key; did you mean 'streams'?"),
        ({"max_hz": 99}, "subscribe.max_hz: Input should be less than or equal to 60"),
    ],
)
async def test_a_bad_message_is_told_in_the_words_of_the_configuration(
    message: dict[str, Any], reason: str
) -> None:
    async with served(rig().app) as port, client(port) as me:
        await me.say(type="subscribe", id="a", **message)
        assert await me.closed() == (CloseCode.BAD_MESSAGE, reason)


async def test_a_message_that_is_too_big_is_answered_with_1009() -> None:
    async with served(rig().app) as port, client(port) as me:
        await me.socket.send("x" * 100_000)
        assert (await me.closed())[0] == CloseCode.TOO_BIG


async def test_binary_and_a_late_hello_are_not_understood() -> None:
    async with served(rig().app) as port:
        async with client(port) as me:
            await me.socket.send(b"{}")
            assert (await me.closed())[0] == CloseCode.BAD_MESSAGE
        async with client(port, hello=False) as me:
            await me.say(type="subscribe", id="a")
            assert (await me.closed())[0] == CloseCode.BAD_MESSAGE


async def test_who_says_nothing_is_closed() -> None:
    async with served(rig(hello_s=0.05).app) as port, client(port, hello=False) as me:
        code, reason = await me.closed()
    assert code == CloseCode.TOO_SLOW  # no question of tokens: come back
    assert "hello" in reason


async def test_streams_that_do_not_exist_are_4404_unless_a_pattern_may_match_later() -> None:
    async with served(rig().app) as port:
        async with client(port) as me:
            await me.say(type="subscribe", id="a", streams=["cellar"])
            assert (await me.closed())[0] == CloseCode.UNKNOWN_STREAM
        async with client(port) as me:
            assert (await me.subscribe(streams=["cellar*"]))["data"]["streams"] == []


async def test_more_globs_than_64_in_all_subscriptions_of_a_client_are_4400() -> None:
    async with served(rig().app) as port, client(port) as me:
        await me.subscribe(streams=[f"*{n}" for n in range(40)])
        await me.say(type="subscribe", id="b", streams=[f"x{n}*" for n in range(25)])
        assert await me.closed() == (4400, "at most 64 patterns per connection")


async def test_another_subprotocol_is_refused_before_it_begins() -> None:
    async with served(rig().app) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/api/v1/scores", subprotocols=["styleflow.v9"])  # type: ignore[list-item]
    assert refused.value.response.status_code == 400


async def test_another_web_page_is_refused() -> None:
    async with served(rig().app) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/api/v1/scores", origin="https://evil.example")  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
        told = json.loads(refused.value.response.body)
        assert told["code"] == "origin_refused"
        assert "web.allowed_origins" in told["hint"]
        async with client(port, origin=f"http://127.0.0.1:{port}") as me:
            await me.subscribe()


def guarded() -> WebRig:
    settings = WebSettings(tokens=(Token(TokenDigest(SECRET), Role.VIEWER),))
    made = WebRig(settings, clock=SystemClock())
    made.publish(added("lobby", INFO))
    return made


async def test_without_the_right_token_it_is_1008() -> None:
    async with served(guarded().app) as port:
        for hello in ({}, {"token": "not this one, I think"}):
            async with client(port, hello=False) as me:
                await me.say(type="hello", **hello)
                assert (await me.closed())[0] == CloseCode.FORBIDDEN


async def test_the_token_comes_in_hello_or_in_the_header() -> None:
    async with served(guarded().app) as port:
        async with client(port, hello=False) as me:
            await me.say(type="hello", token=SECRET)
            await me.subscribe()
        header = {"Authorization": f"Bearer {SECRET}"}
        async with client(port, additional_headers=header) as me:
            await me.subscribe()


class MovedClock(SystemClock):
    """The machine's clock, moved ahead by whoever holds it."""

    ahead = timedelta()

    def utc(self) -> datetime:
        return super().utc() + self.ahead


async def test_a_token_that_expires_meanwhile_ends_the_connection_with_4401() -> None:
    clock = MovedClock()
    token = Token(TokenDigest(SECRET), expires=clock.utc() + timedelta(hours=1))
    web = WebRig(WebSettings(tokens=(token,)), clock=clock)
    web.publish(added("lobby", INFO))
    async with served(web.app) as port, client(port, hello=False) as me:
        await me.say(type="hello", token=SECRET)
        await me.subscribe()
        clock.ahead = timedelta(hours=2)
        web.publish(track_started())
        assert (await me.closed())[0] == CloseCode.TOKEN_EXPIRED


async def test_after_a_reconnection_exactly_the_missed_events_come() -> None:
    web = rig()
    async with served(web.app) as port:
        async with client(port) as me:
            await me.subscribe(streams=["lobby"], types=["event"])
            await me.get("snapshot")
            web.publish(track_started(track=1))
            await me.get("event")
            point = me.last["lobby"]
        web.publish(*(track_started(track=t) for t in (2, 3, 4)))
        async with client(port) as me:
            answer = await me.subscribe(streams=["lobby"], types=["event"], resume=point)
            assert answer["data"]["resumed"] == ["lobby"]
            web.publish(track_started(track=5))
            assert [(await me.get("event"))["data"]["track"] for _ in range(4)] == [2, 3, 4, 5]


async def test_events_from_before_what_is_in_memory_come_from_the_store(tmp_path: Path) -> None:
    """All 500 that were missed, in order, and then those that happen while they are read."""
    database = open_database(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)
    writer = StoreWriter(database, StoreSettings(), SystemClock())
    thread = threading.Thread(target=writer.run)
    thread.start()
    web = WebRig(hub=HubSettings(log_events=64), clock=SystemClock(), store=writer)
    web.log.attach(writer)
    web.publish(added("lobby", INFO))
    try:
        async with served(web.app) as port:
            async with client(port) as me:
                await me.subscribe(streams=["lobby"], types=["event"])
                await me.get("snapshot")
                web.publish(track_started(track=1))
                await me.get("event")
                point = me.last["lobby"]
            web.publish(*(track_started(track=t) for t in range(2, 502)))
            async with client(port) as me:
                answer = await me.subscribe(streams=["lobby"], types=["event"], resume=point)
                assert answer["data"]["resumed"] == ["lobby"]
                web.publish(*(track_started(track=t) for t in range(502, 602)))
                tracks = [(await me.get("event"))["data"]["track"] for _ in range(600)]
        assert tracks == list(range(2, 602))
    finally:
        writer.stop()
        thread.join()
        database.close()


async def test_a_resume_point_that_is_gone_gives_an_error_and_a_snapshot() -> None:
    async with served(rig().app) as port, client(port) as me:
        await me.subscribe(streams=["lobby"], resume={"lobby": {"epoch": 0, "seq": 3}})
        assert (await me.get("error"))["data"]["code"] == 4409
        await me.get("snapshot")


async def test_a_client_that_stops_reading_is_cut_with_1013_and_others_lose_nothing() -> None:
    """Its memory stays bounded meanwhile, and it learns why once it reads again.

    The other one is sent less at a time than the server's buffer holds: nothing waits for it, so
    that it is not cut however slow this process is.
    """
    web = rig(stall_s=0.3)
    long = StreamChanged("lobby", 1, ConnectionState.STALLED, detail="x" * 20_000)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with served(web.app) as port:
            raw.connect(("127.0.0.1", port))
            async with client(port, sock=raw, max_queue=1, ping_interval=None) as stuck:
                await stuck.subscribe(types=["event"])
                async with client(port) as healthy:
                    await healthy.subscribe(streams=["lobby"], types=["event"])
                    await healthy.get("snapshot")
                    numbers = []
                    while web.hub.disconnects[CloseCode.TOO_SLOW] == 0:
                        web.publish(long, long, verdict_changed())
                        numbers += [(await healthy.get("event"))["seq"] for _ in range(3)]
                        assert len(numbers) < 20_000
                    while len(numbers) < web.hub.published["event"] - 2:  # the incident's, too
                        numbers.append((await healthy.get("event"))["seq"])
                code, reason = await stuck.closed()
    assert code == CloseCode.TOO_SLOW
    assert reason
    assert len(set(numbers)) == len(numbers) == web.hub.published["event"] - 2


async def test_a_removed_stream_says_goodbye() -> None:
    web = rig()
    async with served(web.app) as port, client(port) as me:
        await me.subscribe(streams=["lobby"])
        await me.get("snapshot")
        web.publish(removed("lobby"))
        assert (await me.get("event"))["data"]["kind"] == "stream_removed"


async def test_two_subscriptions_and_the_end_of_one() -> None:
    web = rig()
    async with served(web.app) as port, client(port) as me:
        await me.subscribe(id="a", streams=["lobby"], types=["event"])
        await me.get("snapshot")
        await me.subscribe(id="b", streams=["demo"], types=["event"])
        await me.get("snapshot")
        await me.say(type="unsubscribe", id="a")
        assert (await me.get("unsubscribed"))["data"]["id"] == "a"
        web.publish(track_started("lobby"), track_started("demo"))
        assert (await me.get("event"))["stream"] == "demo"


async def test_when_there_is_no_room_it_is_1013_at_once() -> None:
    web = WebRig(hub=HubSettings(max_clients=1), clock=SystemClock())
    async with served(web.app) as port, client(port) as me:
        await me.subscribe()
        async with client(port, hello=False) as other:
            assert (await other.closed())[0] == CloseCode.TOO_SLOW


async def test_300_sockets_that_say_no_hello_take_no_viewers_place() -> None:
    web = guarded()
    async with AsyncExitStack() as stack, served(web.app) as port:
        url = f"ws://127.0.0.1:{port}/api/v1/scores"
        for _ in range(300):
            await stack.enter_async_context(connect(url, close_timeout=0.1, open_timeout=20))
        assert web.hub.clients == 0
        async with client(port, hello=False) as viewer:
            await viewer.say(type="hello", token=SECRET)
            await viewer.subscribe()
            assert web.hub.clients == 1
        await until(lambda: web.hub.disconnects[CloseCode.TOO_SLOW] >= 236)


async def test_who_loses_the_place_before_hello_is_told_why() -> None:
    web = rig(before_hello=1)
    async with served(web.app) as port, client(port, hello=False) as silent, client(port) as me:
        await me.subscribe()
        code, reason = await silent.closed()
        assert code == CloseCode.TOO_SLOW
        assert "others want the place" in reason


async def test_a_hub_that_stops_says_1001() -> None:
    web = rig()
    async with served(web.app) as port, client(port) as me:
        await me.subscribe()
        web.hub.stop()
        assert (await me.closed())[0] == CloseCode.GOING_AWAY


async def test_a_server_that_stops_says_1012() -> None:
    web = rig()
    async with served(web.app) as port:
        me = await connect(f"ws://127.0.0.1:{port}/api/v1/scores")
        await me.send('{"type": "hello"}')
        await until(lambda: web.hub.clients == 1)
    with pytest.raises(ConnectionClosed) as gone:
        await asyncio.wait_for(me.recv(), 10)
    assert gone.value.rcvd is not None
    assert gone.value.rcvd.code == CloseCode.RESTARTING


async def test_predict_fetches_a_video_through_a_real_connection() -> None:
    """The name is asked for once, the address is pinned, and the server still sees the name."""
    seen: list[str] = []
    films = FastAPI()

    @films.get("/a.mp4")
    async def film(request: Request) -> Response:
        seen.append(request.headers["host"])
        return Response(b"film" * 100_000)

    @films.get("/moved")
    async def moved() -> Response:
        return RedirectResponse("/a.mp4")

    fetch = FetchSettings(allow_networks=(ip_network("127.0.0.0/8"),))
    settings = WebSettings(fetch=fetch)
    web = WebRig(settings, clock=SystemClock(), resolve=resolver(["127.0.0.1"]))
    async with served(films) as port, web.client() as http:
        at = f"http://films.example:{port}/moved"
        answer = await http.post("/predict", json={"file_path": at})
    assert answer.status_code == 200, answer.text
    assert answer.json()["source"] == at
    assert seen == [f"films.example:{port}"]
    assert [content for _, content in web.predictor.asked] == [b"film" * 100_000]
    assert not web.predictor.asked[0][0].exists()
