"""The application as a whole: every path is described, and no path is a surprise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import WebRig, problem


async def test_every_path_of_the_api_is_described() -> None:
    async with WebRig().client() as http:
        api = (await http.get("/openapi.json")).json()
        sockets = (await http.get("/asyncapi.json")).json()
    assert {"/predict", "/healthcheck", "/api/v1/streams", "/api/v1/streams/{id}"} <= set(
        api["paths"]
    )
    assert sockets["asyncapi"] == "3.0.0"
    assert "score" in sockets["components"]["messages"]


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _references(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _references(value)]
    return []


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_every_reference_in_the_descriptions_leads_somewhere(path: str) -> None:
    async with WebRig().client() as http:
        described = (await http.get(path)).json()
    for reference in _references(described):
        at = described
        for part in reference.removeprefix("#/").split("/"):
            at = at[part.replace("~1", "/")]


async def test_unknown_paths_are_problems_too() -> None:
    async with WebRig().client() as http:
        problem(await http.get("/nothing"), 404)
        problem(await http.put("/predict", json={}), 405)


OPERATIONS = {
    "addBaseline",
    "addStream",
    "askChallenge",
    "changeIncident",
    "changeStream",
    "changeThresholds",
    "drainWorker",
    "endCall",
    "getAsyncapi",
    "getBaseline",
    "getCaller",
    "getDrift",
    "getCanaries",
    "getChallenge",
    "getExplainedPicture",
    "getExplanation",
    "getHealth",
    "getHistory",
    "getIncident",
    "getLivez",
    "getMetrics",
    "getPicture",
    "getReadyz",
    "getStore",
    "getStream",
    "getStreamStatus",
    "getThresholds",
    "listAuditEntries",
    "listBaselines",
    "listChallenges",
    "listEvents",
    "listIncidentLabels",
    "listIncidents",
    "listModels",
    "listOverlays",
    "listSnoozes",
    "listStreams",
    "listWorkers",
    "predict",
    "removeBaseline",
    "removeStream",
    "snoozeStream",
    "learnCanaries",
    "startCall",
    "trickleCall",
    "undrainWorker",
    "wakeStream",
}
"""Names of functions in clients that are generated: one that changes breaks them."""


async def test_operations_keep_their_short_names() -> None:
    async with WebRig().client() as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert sorted(names) == sorted(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/healthcheck"), ("get", "/livez"), ("get", "/readyz"), ("post", "/whip/{stream}")],
)
async def test_what_may_be_unavailable_says_so(method: str, path: str) -> None:
    async with WebRig().client() as http:
        operation = (await http.get("/openapi.json")).json()["paths"][path][method]
    schemas = [form["schema"] for form in operation["responses"]["503"]["content"].values()]
    assert all("$ref" in schema for schema in schemas)
