"""Events and the audit log over HTTP: pages by cursors."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from stream.publish.schema import EventMessage
from stream.store import audit
from stream.store.access import DirectStore
from stream.store.database import Database
from stream.store.figures import StoreState
from tests.support import past
from tests.support.web import WebRig, problem

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def stored(database: Database) -> Database:
    """A database with events and changes."""
    with database.writing() as connection:
        past.stream(connection)
        past.stream(connection, "lift", 2)
        past.verdicts(connection, range(10, 20))
        past.verdicts(connection, range(20, 25), "lift", 2)
        for n in range(5):
            subject = "stream/lobby" if n % 2 else "store"
            audit.append(connection, AT, "guard", "stream.changed", subject, {"n": n})
    return database


async def every_page(http: httpx.AsyncClient, path: str, key: str) -> list[dict[str, object]]:
    """Follow the cursors to the end."""
    found, cursor = [], ""
    while True:
        answer = await http.get(path + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += body[key]
        cursor = body["next"]
        if cursor is None:
            return found


async def test_cursors_lead_through_all_events_once(stored: Database) -> None:
    async with WebRig(store=DirectStore(stored.engine)).client() as http:
        found = await every_page(http, "/api/v1/events?limit=4", "events")
        lift = await every_page(http, "/api/v1/events?limit=2&stream=lift", "events")
    assert [event["seq"] for event in found] == list(range(24, 9, -1))
    assert [event["seq"] for event in lift] == list(range(24, 19, -1))
    EventMessage.model_validate(found[0])


async def test_events_are_found_by_kind_and_time(stored: Database) -> None:
    begin = f"&from={past.BEGAN + 3}&to={past.BEGAN + 4}"
    async with WebRig(store=DirectStore(stored.engine)).client() as http:
        found = await every_page(http, f"/api/v1/events?kind=verdict_changed{begin}", "events")
        none = await every_page(http, "/api/v1/events?kind=track_ended", "events")
    assert [event["seq"] for event in found] == [23, 13]
    assert none == []


async def test_cursors_lead_through_the_audit_log(stored: Database) -> None:
    async with WebRig(store=DirectStore(stored.engine)).client() as http:
        found = await every_page(http, "/api/v1/audit?limit=2", "entries")
        lobby = await every_page(http, "/api/v1/audit?subject=stream/lobby", "entries")
    assert [entry["number"] for entry in found] == [5, 4, 3, 2, 1]
    assert [entry["detail"] for entry in lobby] == [{"n": 3}, {"n": 1}]
    assert found[0]["previous"] == found[1]["hash"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/events?cursor=foreign",
        "/api/v1/audit?cursor=foreign",
        "/api/v1/events?limit=501",
        "/api/v1/audit?limit=0",
        "/api/v1/events?from=never",
    ],
)
async def test_a_question_without_sense_is_refused(stored: Database, path: str) -> None:
    async with WebRig(store=DirectStore(stored.engine)).client() as http:
        problem(await http.get(path), 422)


@pytest.mark.parametrize("path", ["events", "audit"])
async def test_without_a_store_nothing_is_there(path: str) -> None:
    async with WebRig().client() as http:
        assert problem(await http.get(f"/api/v1/{path}"), 404)["code"] == "store_off"


async def test_the_store_says_how_it_is_doing_and_what_it_holds(stored: Database) -> None:
    rig = WebRig(store=DirectStore(stored.engine))
    rig.store_state = StoreState(stored.shown, "failing", "failing: disk full; 3 events lost", 3)
    async with rig.client() as http:
        found = (await http.get("/api/v1/store")).json()
        with stored.writing() as connection:
            past.verdicts(connection, [1000])
        again = (await http.get("/api/v1/store")).json()
    assert "hunter2" not in found["url"]
    assert (found["state"], found["lost"]) == ("failing", 3)
    assert found["bytes"] > 0
    assert (found["rows"]["events"], found["rows"]["audit"]) == (15, 5)
    assert datetime.fromisoformat(found["oldest"]).timestamp() == past.BEGAN
    assert datetime.fromisoformat(found["newest"]).timestamp() == past.BEGAN + 9
    assert again["rows"] == found["rows"]  # not counted twice within a minute


async def test_how_the_store_is_doing_is_told_without_counting(stored: Database) -> None:
    rig = WebRig(store=DirectStore(stored.engine))
    since = datetime(2026, 1, 1, tzinfo=UTC)
    rig.store_state = StoreState(stored.shown, "failing", "failing: disk full", 3, since, 40)
    async with rig.client() as http:
        found = (await http.get("/api/v1/store?count=false")).json()
    assert datetime.fromisoformat(found["since"]) == since
    assert (found["lost"], found["waiting"]) == (3, 40)
    assert (found["bytes"], found["rows"]) == (None, {})


async def test_a_store_that_is_off_says_why() -> None:
    async with WebRig().client() as http:
        found = (await http.get("/api/v1/store")).json()
    assert (found["state"], found["detail"], found["bytes"]) == ("off", "turned off", None)
