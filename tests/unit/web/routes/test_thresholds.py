"""Thresholds of one stream over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import lobby


async def test_thresholds_of_one_stream_change_and_go_back() -> None:
    rig = await lobby()
    url = "/api/v1/streams/lobby/thresholds"
    async with rig.client() as http:
        before = (await http.get(url)).json()
        after = (await http.patch(url, json={"enter": 0.8, "min_face_px": 64})).json()
        back = (await http.patch(url, json={"enter": None})).json()
    assert before["current"] == before["configured"]
    assert (after["current"]["enter"], after["current"]["min_face_px"]) == (0.8, 64)
    assert after["configured"] == before["configured"]
    assert back["current"]["enter"] == before["configured"]["enter"]
    assert back["current"]["min_face_px"] == 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"enter": 1.5}, "enter"),
        ({"leave": 0.9}, "must be below enter"),
        ({"entre": 0.5}, "entre"),
        ({"dwell_s": -1}, "dwell_s"),
    ],
)
async def test_thresholds_that_make_no_sense_are_refused(change: Any, said: str) -> None:
    rig = await lobby()
    async with rig.client() as http:
        refused = await http.patch("/api/v1/streams/lobby/thresholds", json=change)
    assert refused.status_code == 422
    assert said in refused.json()["detail"]
    assert rig.control.engines == {}
