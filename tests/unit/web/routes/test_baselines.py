"""Baselines over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.baselines import H264
from tests.support.web import WebRig, lobby, problem
from tests.support.wire import added, score
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

VIEWER = "v" * 32
PATH = "/api/v1/streams/lobby/baseline"


async def watched(folder: Path, minutes: float = 4.0, **options) -> WebRig:
    """Return a rig whose stream was watched for some minutes."""
    rig = await lobby(baselines_in=folder, **options)
    rig.publish(added())
    for n in range(round(minutes * 240)):
        rig.clock.advance(0.25)
        rig.publish(score(end=(n + 1) * 0.25, logit=-0.9, capture=H264))
    return rig


async def test_the_last_minutes_were_real(tmp_path: Path) -> None:
    rig = await watched(tmp_path)
    async with rig.client() as http:
        before = (await http.get(PATH)).json()
        made = await http.post(PATH, json={"minutes": 10, "name": "The lobby"})
        after = (await http.get(PATH)).json()
        listed = (await http.get("/api/v1/baselines")).json()["baselines"]
    assert before["baseline"] is None
    assert before["least_minutes"] == 3.0
    assert before["decides"] is True
    assert before["recent_minutes"] == pytest.approx(4.0, abs=0.1)
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["by"], body["faces"]) == ("The lobby", "local", 1)
    assert body["source"] == "the last 10 min of the stream"
    assert after["baseline"] == body == listed[0]


async def test_the_stream_s_own_name_is_the_baseline_s_unless_one_is_said(tmp_path: Path) -> None:
    rig = await watched(tmp_path)
    async with rig.client() as http:
        assert (await http.post(PATH, json={})).json()["name"] == "lobby"


async def test_too_little_video_is_refused_with_how_much_there_is(tmp_path: Path) -> None:
    rig = await watched(tmp_path, minutes=1.0)
    async with rig.client() as http:
        told = problem(await http.post(PATH, json={}), 422)
    assert told["code"] == "baseline_too_short"
    assert "0.9 min" in told["detail"]
    assert "needs 3" in told["detail"]


async def test_a_baseline_is_forgotten(tmp_path: Path) -> None:
    rig = await watched(tmp_path)
    async with rig.client() as http:
        await http.post(PATH, json={})
        assert (await http.delete(PATH)).status_code == 204
        assert (await http.get(PATH)).json()["baseline"] is None
        assert problem(await http.delete(PATH), 404)["code"] == "baseline_unknown"


async def test_a_stretch_needs_the_store_and_an_order(tmp_path: Path) -> None:
    rig = await watched(tmp_path)
    early, late = "2026-11-30T09:00:00Z", "2026-11-30T09:10:00Z"
    async with rig.client() as http:
        off = await http.post(PATH, json={"stretch": {"from": early, "to": late}})
        assert problem(off, 404)["code"] == "store_off"
        back = await http.post(PATH, json={"stretch": {"from": late, "to": early}})
        problem(back, 422)


@pytest.mark.parametrize(
    "body", [{"minutes": 0}, {"minutes": 61}, {"minutes": "NaN"}, {"hours": 1}, {"stretch": {}}]
)
async def test_a_request_that_makes_no_sense_is_refused(tmp_path: Path, body: object) -> None:
    rig = await watched(tmp_path, minutes=0.1)
    async with rig.client() as http:
        problem(await http.post(PATH, json=body), 422)


async def test_a_stream_that_is_not_there_has_none(tmp_path: Path) -> None:
    rig = WebRig(baselines_in=tmp_path)
    async with rig.client() as http:
        for answer in (await http.get(PATH), await http.post(PATH, json={})):
            assert problem(answer, 404)["code"] == "stream_unknown"


async def test_who_may_only_look_changes_nothing(tmp_path: Path) -> None:
    tokens = (Token(TokenDigest(VIEWER), Role.VIEWER, "bert"),)
    rig = await watched(tmp_path, settings=WebSettings(tokens=tokens))
    async with rig.client(VIEWER) as http:
        assert (await http.get(PATH)).status_code == 200
        problem(await http.post(PATH, json={}), 403)
        problem(await http.delete(PATH), 403)
    async with rig.client() as http:
        problem(await http.get(PATH), 401)
