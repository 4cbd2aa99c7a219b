"""Requests that are not valid are told in the words of the configuration's errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import CAMERA, lobby, problem

SOURCE = CAMERA["source"]


@pytest.mark.parametrize(
    ("method", "path", "body", "where", "what"),
    [
        (
            "POST",
            "/api/v1/streams",
            {"id": "a", "source": {"uri": "rtsp://cam/1"}},
            "body.source.uri",
            "unknown key; did you mean 'url'?",
        ),
        ("POST", "/api/v1/streams", {"id": "a"}, "body.source", "is missing"),
        (
            "POST",
            "/api/v1/streams",
            {"id": "a", "source": "rtsp://cam/1"},
            "body.source",
            "must be a mapping of keys and values",
        ),
        (
            "PATCH",
            "/api/v1/streams/lobby",
            {"priorty": "low"},
            "body.priorty",
            "unknown key; did you mean 'priority'?",
        ),
        (
            "PATCH",
            "/api/v1/streams/lobby",
            {"priority": "high"},
            "body.priority",
            "Input should be 'normal' or 'low'",
        ),
        (
            "PATCH",
            "/api/v1/streams/lobby/thresholds",
            {"suspekt": 0.5},
            "body.suspekt",
            "unknown key; ",
        ),
        (
            "POST",
            "/predict",
            {"file": "a.mp4"},
            "body.file",
            "unknown key; did you mean 'file_path'?",
        ),
        (
            "PUT",
            "/api/v1/streams/lobby/snooze",
            {"minute": 5},
            "body.minute",
            "unknown key; did you mean 'minutes'?",
        ),
        (
            "PATCH",
            "/api/v1/incidents/inc-1",
            {"lable": "true"},
            "body.lable",
            "unknown key; did you mean 'label'?",
        ),
    ],
)
async def test_what_is_wrong_with_a_body_reads_like_the_configurations_errors(
    method: str, path: str, body: Any, where: str, what: str
) -> None:
    async with (await lobby()).client() as http:
        told = problem(await http.request(method, path, json=body), 422)
    faults = {fault["where"]: fault["what"] for fault in told["faults"]}
    assert faults[where].startswith(what), faults
    assert f"{where}: {faults[where]}" in told["detail"]


async def test_what_is_no_json_is_said_without_repeating_it() -> None:
    async with (await lobby()).client() as http:
        headers = {"content-type": "application/json"}
        answer = await http.post("/predict", content='{"file_path": hunter2', headers=headers)
    told = problem(answer, 422)
    assert told["detail"].startswith("body: is not JSON: ")
    assert "hunter2" not in answer.text


async def test_a_query_is_told_in_the_same_words() -> None:
    async with (await lobby()).client() as http:
        told = problem(await http.get("/api/v1/incidents?strem=lobby"), 422)
    assert told["faults"][0] == {
        "where": "query.strem",
        "what": "unknown key; did you mean 'stream'?",
    }
