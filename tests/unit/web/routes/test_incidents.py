"""Incidents over HTTP: listed, judged by operators, exported as labels; and snoozes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from stream.analyzer.streams import StreamSpec
from stream.events import Verdict, VerdictChanged
from stream.incident import Incident, IncidentStatus, Label, Severity
from stream.incidents import records
from stream.ingest.source import SourceSettings, SourceUrl
from stream.store.access import DirectStore
from stream.store.tables import evidence, metadata
from tests.support.incidents import NIGHT, incident
from tests.support.web import WebRig, problem
from tests.support.wire import CARD, score
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

OPERATOR, VIEWER = "operator token 123456", "viewer token 12345678"
TOKENS = WebSettings(
    tokens=(
        Token(TokenDigest(OPERATOR), Role.OPERATOR, "ann"),
        Token(TokenDigest(VIEWER), Role.VIEWER, "bob"),
    )
)


@pytest.fixture
def store(tmp_path: Path) -> DirectStore:
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(engine)
    return DirectStore(engine)


def keep(store: DirectStore, *kept: Incident, clip: str = "") -> None:
    """Put incidents into the store, with a clip each if one is named."""

    def write(connection: Any) -> None:
        for each in kept:
            records.save(connection, each)
            if clip:
                row = {"incident": each.id, "state": "kept", "file": clip, "sha256": ""}
                connection.execute(insert(evidence).values(row))

    store.submit(write).result()


async def rig_of(store: DirectStore | None, settings: WebSettings | None = None) -> WebRig:
    """Return a rig whose lobby is watched by a trained model."""
    rig = WebRig(settings, store=store)
    rig.control.cards["lobby"] = CARD
    await rig.control.add(StreamSpec("lobby", SourceSettings(SourceUrl.parse("rtsp://cam/1"))))
    return rig


def suspect(rig: WebRig) -> None:
    """Have a face of the lobby be suspect."""
    turned = Verdict.SUSPECT
    now = rig.clock.monotonic()
    rig.publish(
        score(value=0.9, verdict=turned, arrived=now),
        VerdictChanged("lobby", 1, 1, 1.0, Verdict.CLEAR, turned, 0.9, CARD.name),
    )


async def test_an_incident_is_listed_shown_and_judged(store: DirectStore) -> None:
    rig = await rig_of(store, TOKENS)
    suspect(rig)
    async with rig.client(OPERATOR) as http:
        (listed,) = (await http.get("/api/v1/incidents")).json()["incidents"]
        url = f"/api/v1/incidents/{listed['id']}"
        said = {"acknowledged": True, "label": "false", "note": "a poster"}
        changed = (await http.patch(url, json=said)).json()
        shown = (await http.get(url)).json()
        undone = (await http.patch(url, json={"label": None, "acknowledged": False})).json()
    assert (listed["stream"], listed["status"], listed["severity"]) == ("lobby", "open", "low")
    assert (changed["label"], changed["labelled"]["by"], changed["notes"]) == ("false", "ann", 1)
    assert shown["incident"] == changed
    assert [(note["by"], note["text"]) for note in shown["notes"]] == [("ann", "a poster")]
    assert [entry["action"].split(".")[1] for entry in shown["audit"]] == [
        "acknowledged",
        "labelled",
        "commented",
    ]
    assert (undone["label"], undone["acknowledged"]) == (None, None)


async def test_viewers_read_and_operators_judge(store: DirectStore) -> None:
    keep(store, incident("i-1"))
    rig = await rig_of(store, TOKENS)
    async with rig.client(VIEWER) as http:
        assert (await http.get("/api/v1/incidents")).status_code == 200
        assert (await http.get("/api/v1/snoozes")).status_code == 200
        problem(await http.patch("/api/v1/incidents/i-1", json={"note": "x"}), 403)
        body = {"reason": "x", "minutes": 5}
        problem(await http.put("/api/v1/streams/lobby/snooze", json=body), 403)
        problem(await http.delete("/api/v1/streams/lobby/snooze"), 403)
    async with rig.client() as http:
        problem(await http.get("/api/v1/incidents"), 401)


async def test_incidents_are_filtered_and_paged(store: DirectStore) -> None:
    later = NIGHT + timedelta(hours=1)
    keep(
        store,
        *(incident(f"i-{n}", opened=NIGHT + timedelta(seconds=n)) for n in range(3)),
        incident("i-3", stream="yard", label=Label.TRUE, opened=later, last_at=later),
        incident("i-4", severity=Severity.HIGH, status=IncidentStatus.OPEN, opened=later),
    )
    rig = await rig_of(store)

    async with rig.client() as http:

        async def names(**asked: Any) -> list[str]:
            answer = await http.get("/api/v1/incidents", params=asked)
            assert answer.status_code == 200, answer.text
            return [each["id"] for each in answer.json()["incidents"]]

        assert await names() == ["i-4", "i-3", "i-2", "i-1", "i-0"]
        assert await names(stream="yard") == ["i-3"]
        assert await names(label="true") == ["i-3"]
        assert await names(severity="high", status="open") == ["i-4"]
        assert await names(acknowledged="true") == []
        assert await names(to=later.isoformat()) == ["i-2", "i-1", "i-0"]
        assert await names(**{"from": later.timestamp()}) == ["i-3"]
        assert await names(**{"from": "2026-03-01T03:00:00"}) == ["i-3"]
        first = (await http.get("/api/v1/incidents", params={"limit": 3})).json()
        rest = {"limit": 3, "cursor": first["next"]}
        second = (await http.get("/api/v1/incidents", params=rest)).json()
    assert [each["id"] for each in second["incidents"]] == ["i-1", "i-0"]
    assert (second["next"], second["stored"]) == (None, True)


@pytest.mark.parametrize(
    "asked", ["limit=0", "limit=501", "cursor=zz", "label=maybe", "from=never", "colour=red"]
)
async def test_questions_that_make_no_sense_are_refused(store: DirectStore, asked: str) -> None:
    rig = await rig_of(store)
    async with rig.client() as http:
        problem(await http.get(f"/api/v1/incidents?{asked}"), 422)


@pytest.mark.parametrize(
    "said", [{"note": ""}, {"note": "x" * 4001}, {"note": "a\0b"}, {"label": "x"}, {"peak": 1}]
)
async def test_changes_that_make_no_sense_are_refused(store: DirectStore, said: Any) -> None:
    keep(store, incident("i-1"))
    rig = await rig_of(store)
    async with rig.client() as http:
        problem(await http.patch("/api/v1/incidents/i-1", json=said), 422)


async def test_an_incident_that_is_not_there_is_a_404(store: DirectStore) -> None:
    rig = await rig_of(store)
    async with rig.client() as http:
        assert problem(await http.get("/api/v1/incidents/i-9"), 404)["code"] == "incident_unknown"
        problem(await http.patch("/api/v1/incidents/i-9", json={"note": "x"}), 404)


async def test_without_a_store_they_are_in_memory_and_the_list_says_so() -> None:
    rig = await rig_of(None)
    suspect(rig)
    async with rig.client() as http:
        listed = (await http.get("/api/v1/incidents")).json()
        url = f"/api/v1/incidents/{listed['incidents'][0]['id']}"
        await http.patch(url, json={"note": "seen"})
        shown = (await http.get(url)).json()
        refused = await http.get("/api/v1/incidents/labels.csv")
    assert listed["stored"] is False
    assert [note["text"] for note in shown["notes"]] == ["seen"]
    assert problem(refused, 404)["code"] == "store_off"


async def test_a_stream_is_snoozed_and_woken(store: DirectStore) -> None:
    rig = await rig_of(store, TOKENS)
    url = "/api/v1/streams/lobby/snooze"
    async with rig.client(OPERATOR) as http:
        snoozed = (await http.put(url, json={"reason": "cleaning", "minutes": 30})).json()
        suspect(rig)
        listed = (await http.get("/api/v1/snoozes")).json()["snoozes"]
        none = (await http.get("/api/v1/incidents")).json()["incidents"]
        assert (await http.delete(url)).status_code == 204
        assert (await http.delete(url)).status_code == 204
        gone = (await http.get("/api/v1/snoozes")).json()["snoozes"]
        body = {"reason": "x", "minutes": 5}
        problem(await http.put("/api/v1/streams/attic/snooze", json=body), 404)
        problem(await http.put(url, json={"reason": "", "minutes": 5}), 422)
        problem(await http.put(url, json={"reason": "x", "minutes": 1e9}), 422)
    assert listed == [snoozed]
    assert (snoozed["by"], snoozed["reason"]) == ("ann", "cleaning")
    assert none == gone == []


async def test_labels_are_a_manifest(store: DirectStore) -> None:
    keep(store, incident("i-1", label=Label.TRUE), clip="2026/i-1.mp4")
    keep(store, incident("i-2", label=Label.UNCLEAR), incident("i-3", label=Label.FALSE))
    rig = await rig_of(store)
    async with rig.client() as http:
        answer = await http.get("/api/v1/incidents/labels.csv?split=dev")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["x-labels-left-out"] == "unclear=1, no_clip=1"
    header, row = answer.text.splitlines()
    assert header.startswith("file,split,label,group")
    assert row.startswith("2026/i-1.mp4,dev,fake,lobby")
