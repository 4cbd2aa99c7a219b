"""History: the last minutes of a stream over HTTP, and any stored stretch of its past."""

from __future__ import annotations

import csv
import io
import sys

import httpx
import pytest
from pyarrow import parquet

from stream.events import StreamReport, Verdict
from stream.store.access import DirectStore
from stream.store.database import Database
from tests.support import past
from tests.support.past import BEGAN
from tests.support.web import WebRig, lobby, problem
from tests.support.wire import score, verdict_changed
from web.routes.history import HistoryView


async def test_history_has_scores_pulses_and_events() -> None:
    rig = await lobby()
    now = rig.clock.monotonic()
    rig.publish(
        score(arrived=now - 2),
        score(arrived=now, verdict=Verdict.SUSPECT, value=0.9),
        StreamReport("lobby", 1, 25.0, 0.01, 1, (), 0.04),
        verdict_changed(),
    )
    async with rig.client() as http:
        got = (await http.get("/api/v1/streams/lobby/history")).json()
        recent = (await http.get("/api/v1/streams/lobby/history?seconds=1&events=1")).json()
        assert (await http.get("/api/v1/streams/hall/history")).status_code == 404
    assert got["scores"]["p"] == [0.25, 0.9]
    assert got["scores"]["detector"] == ["styleflow-live"] * 2
    assert got["scores"]["state"] == ["ok", "suspect"]
    assert got["scores"]["t"] == [got["now"] - 2, got["now"]]
    assert got["pulses"]["fps"] == [25.0]
    assert [e["data"]["kind"] for e in got["events"]] == ["stream_added", "verdict_changed"]
    assert recent["scores"]["p"] == [0.9]
    assert [e["data"]["kind"] for e in recent["events"]] == ["verdict_changed"]


SPAN = {"from": str(BEGAN), "to": str(BEGAN + 60)}


async def asked(database: Database, accept: str = "", **query: str) -> httpx.Response:
    """Ask for the lobby's stored past."""
    rig = WebRig(store=DirectStore(database.engine))
    async with rig.client() as http:
        return await http.get(
            "/api/v1/streams/lobby/history",
            params={**SPAN, **query},
            headers={"Accept": accept} if accept else {},
        )


@pytest.fixture
def stored(database: Database) -> Database:
    """A database with a minute of a stream that is gone."""
    with database.writing() as connection:
        past.stream(connection)
        past.seconds(connection, [(0, 1, 0.3, 4), (1, 1, 0.9, 4), (2, 1, None, 0)])
        past.full(connection, [0.25, None, 0.75])
        past.reports(connection, [25.0, 24.0])
        past.verdicts(connection, [3, 4])
    return database


async def test_a_span_is_read_from_the_store_also_of_a_stream_that_is_gone(
    stored: Database,
) -> None:
    answer = await asked(stored, resolution="1")
    found = HistoryView.model_validate_json(answer.content)
    assert answer.headers["content-type"] == "application/json"
    assert found.resolution == 1
    assert found.scores.p == (0.3, 0.9, None)
    assert found.scores.p_max == (0.4, 1.0, None)
    assert found.scores.face_px == (None, None, None)
    assert found.pulses.fps == (25.0, 24.0)
    assert [event.seq for event in found.events] == [3, 4]


async def test_full_resolution_is_every_score(stored: Database) -> None:
    found = HistoryView.model_validate_json((await asked(stored, resolution="full")).content)
    assert found.resolution == "full"
    assert found.scores.t == (BEGAN, BEGAN + 0.25, BEGAN + 0.5)
    assert found.scores.p == (0.25, None, 0.75)
    assert found.scores.face_px == (96.5,) * 3


async def test_without_a_resolution_one_is_chosen(stored: Database) -> None:
    answer = await asked(stored, to=str(BEGAN + 86_400))
    found = HistoryView.model_validate_json(answer.content)
    assert found.resolution == 120
    assert found.scores.p == (0.6,)


async def test_csv_has_a_line_per_score(stored: Database) -> None:
    answer = await asked(stored, "text/csv", resolution="1")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="lobby.csv"' in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["p"] for line in lines] == ["0.3", "0.9", ""]
    assert [float(line["t"]) for line in lines] == [BEGAN, BEGAN + 1, BEGAN + 2]
    assert lines[1]["state"] == "suspect"
    assert lines[1]["detector"] == "styleflow-live"


async def test_parquet_says_what_it_is_of(stored: Database) -> None:
    answer = await asked(stored, "application/vnd.apache.parquet", resolution="full")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = parquet.read_table(io.BytesIO(answer.content))
    assert table.column("p").to_pylist() == [0.25, None, 0.75]
    assert table.column("track").to_pylist() == [1, 1, 1]
    assert table.schema.metadata[b"stream"] == b"lobby"
    assert table.schema.metadata[b"resolution"] == b"full"


async def test_parquet_without_its_package_says_which(
    stored: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    found = problem(await asked(stored, "application/vnd.apache.parquet"), 406)
    assert found["code"] == "parquet_missing"
    assert "styleflow-live[parquet]" in found["hint"]


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/*", "text/csv"),
    ],
)
async def test_the_form_is_what_the_client_likes_best(
    stored: Database, accept: str, given: str
) -> None:
    assert (await asked(stored, accept)).headers["content-type"].startswith(given)


async def test_other_forms_are_not_given(stored: Database) -> None:
    problem(await asked(stored, "image/png"), 406)
    problem(await asked(stored, "application/json;q=0"), 406)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"to": "nan"},
        {"from": str(BEGAN + 60)},
        {"resolution": "0"},
        {"resolution": "1.5"},
        {"resolution": "none"},
    ],
)
async def test_a_question_without_sense_is_refused(stored: Database, query: dict[str, str]) -> None:
    problem(await asked(stored, **query), 422)


async def test_more_points_than_one_answer_holds_are_refused(
    stored: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.store.history.read.__kwdefaults__", {"limit": 2})
    found = problem(await asked(stored, resolution="1"), 422)
    assert found["code"] == "too_many_points"
    assert "resolution=30 or coarser" in found["hint"]


async def test_a_resolution_without_a_beginning_is_refused() -> None:
    rig = await lobby()
    async with rig.client() as http:
        problem(await http.get("/api/v1/streams/lobby/history?resolution=1"), 422)


async def test_without_a_store_a_span_is_not_there() -> None:
    rig = await lobby()
    async with rig.client() as http:
        found = problem(await http.get("/api/v1/streams/lobby/history?from=0"), 404)
    assert found["code"] == "store_off"


async def test_an_unknown_stream_is_not_found(stored: Database) -> None:
    rig = WebRig(store=DirectStore(stored.engine))
    async with rig.client() as http:
        problem(await http.get("/api/v1/streams/hall/history?from=0"), 404)
