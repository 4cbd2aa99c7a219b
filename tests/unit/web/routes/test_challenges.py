"""Challenges over HTTP: asking, the refusals, and the list with what the store keeps."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from stream.challenge.settings import ChallengeSettings
from stream.compliance import Task
from stream.events import StreamRemoved
from stream.store.access import DirectStore
from stream.store.database import Database
from tests.support.store import StoreRig
from tests.support.web import WebRig, lobby, problem
from tests.support.wire import added
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

URL = "/api/v1/streams/lobby/challenges"
SECRET = "r" * 32
READER = Token(TokenDigest(SECRET), Role.VIEWER, "eve")


async def test_an_operator_asks_and_sees_how_it_stands() -> None:
    rig = await lobby()
    async with rig.client() as http:
        asked = await http.post(URL, json={"task": "turn"})
        listed = (await http.get(URL)).json()
        one = (await http.get(f"{URL}/{asked.json()['id']}")).json()
    assert asked.status_code == 201
    assert (asked.json()["task"], asked.json()["phase"]) == ("turn", "watching")
    assert (asked.json()["prompt"], asked.json()["steps"]) == ("", [])
    assert listed["challenges"] == [one] == [asked.json()]
    assert (listed["running"], listed["page"], listed["stored"]) == (True, False, False)


async def test_without_a_body_the_task_is_random() -> None:
    rig = await lobby()
    async with rig.client() as http:
        assert (await http.post(URL)).json()["task"] == "random"


@pytest.mark.parametrize(
    ("status", "code"), [(409, "challenge_running"), (429, "challenge_too_soon")]
)
async def test_one_at_a_time_with_a_pause(status: int, code: str) -> None:
    rig = await lobby()
    async with rig.client() as http:
        await http.post(URL)
        if status == 429:
            rig.clock.advance(10.0)  # type: ignore[attr-defined]
            rig.challenges.tick()  # nobody was seen: it is over
        refused = await http.post(URL)
    assert problem(refused, status)["code"] == code
    assert ("retry-after" in refused.headers) == (status == 429)


async def test_what_cannot_be_asked_is_refused_in_words() -> None:
    rig = await lobby(asking=ChallengeSettings(at_once=1))
    async with rig.client() as http:
        assert problem(await http.post(URL, json={"task": "flash"}), 409)["code"] == (
            "challenge_no_page"
        )
        assert problem(await http.post(URL, json={"task": "jump"}), 422)
        rig.control.silent.add("lobby")
        assert problem(await http.post(URL), 409)["code"] == "challenge_no_video"
        other = "/api/v1/streams/nowhere/challenges"
        assert problem(await http.post(other), 404)["code"] == "stream_unknown"
        assert problem(await http.get(other), 404)["code"] == "stream_unknown"
        assert problem(await http.get(f"{URL}/abc"), 404)["code"] == "challenge_unknown"


async def test_colours_are_asked_of_who_calls_from_a_page_of_ours() -> None:
    rig = await lobby()
    rig.control.pages["lobby"] = []
    async with rig.client() as http:
        asked = (await http.post(URL, json={"task": "flash"})).json()
        assert (await http.get(URL)).json()["page"] is True
    assert asked["shown"] == "caller"
    (told,) = map(json.loads, rig.control.pages["lobby"])
    assert (told["type"], told["data"]["phase"]) == ("prompt", "watching")


async def test_only_who_may_control_asks() -> None:
    rig = await lobby(settings=WebSettings(tokens=(READER,)))
    async with rig.client(SECRET) as http:
        problem(await http.post(URL), 403)
        assert (await http.get(URL)).status_code == 200


async def test_results_outlive_their_stream_in_the_store(database: Database) -> None:
    rig = WebRig(store=DirectStore(database.engine))
    kept = StoreRig(database)
    rig.log.attach(kept.writer)
    rig.publish(added())
    rig.control.specs["lobby"] = (await lobby()).control.specs["lobby"]
    asked = rig.challenges.ask("lobby", Task.COVER, "ann")
    rig.clock.advance(10.0)  # type: ignore[attr-defined]
    rig.challenges.tick()
    rig.publish(StreamRemoved("lobby", 0))
    kept.turn()
    later = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
    async with rig.client() as http:
        listed = (await http.get(URL)).json()
        none = (await http.get(f"{URL}?from={later}")).json()
    (found,) = listed["challenges"]
    assert (found["id"], found["outcome"], found["by"]) == (asked.id, "unjudged", "ann")
    assert (listed["stored"], listed["running"]) == (True, False)
    assert none["challenges"] == []
