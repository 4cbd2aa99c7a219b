"""What has changed of a stream, over HTTP."""

from __future__ import annotations

from sqlalchemy import create_engine

from stream.drift.watch import NO_STORE, NOT_YET
from stream.store.access import DirectStore
from stream.store.database import Database
from tests.support.drift import DriftRig
from tests.support.web import lobby, problem

URL = "/api/v1/streams/lobby/drift"


async def test_without_a_store_there_is_nothing_to_compare_with() -> None:
    rig = await lobby()
    async with rig.client() as http:
        found = (await http.get(URL)).json()
        problem(await http.get("/api/v1/streams/nobody/drift"), 404)
    assert found["missing"] == NO_STORE
    assert (found["compared_at"], found["figures"], found["summary"]) == (None, [], "")


async def test_before_the_first_comparison_it_says_so() -> None:
    rig = await lobby(store=DirectStore(create_engine("sqlite://")))
    async with rig.client() as http:
        assert (await http.get(URL)).json()["missing"] == NOT_YET


async def test_what_has_changed_is_told_with_its_figures(database: Database) -> None:
    past = DriftRig(database)
    await past.hours(4 * 24)
    await past.hours(24, brightness=60.0)
    await past.watch.compare()
    web = await lobby(drift=past.watch)
    async with web.client() as http:
        found = (await http.get(URL)).json()
    assert found["missing"] == ""
    assert found["summary"] == "calibration is stale here"
    (changed,) = [each for each in found["figures"] if each["changed"]]
    assert changed["figure"] == "brightness"
    assert changed["now"] < changed["before"]
    assert changed["distance"] >= changed["limit"]
    assert changed["text"].startswith("faces have become darker")
    assert found["days"] == 4
