"""Operators judge incidents over the WebSocket; everybody who listens hears of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from websockets.asyncio.client import ClientConnection, connect

from stream.publish.asyncapi import schemas
from stream.publish.schema import SUBPROTOCOL
from tests.support.web import served
from tests.unit.web.routes.test_incidents import OPERATOR, TOKENS, VIEWER, rig_of, suspect

pytestmark = pytest.mark.e2e


async def said(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            Draft202012Validator(schemas()[message["type"]]).validate(message)
            if message["type"] == kind:
                return message


async def test_an_operator_labels_an_incident_over_the_websocket() -> None:
    rig = await rig_of(None, TOKENS)
    async with served(rig.app) as port:
        url = f"ws://127.0.0.1:{port}/api/v1/scores"
        async with (
            connect(url, subprotocols=[SUBPROTOCOL]) as operator,
            connect(url, subprotocols=[SUBPROTOCOL]) as viewer,
        ):
            for socket, token in ((operator, OPERATOR), (viewer, VIEWER)):
                await socket.send(json.dumps({"type": "hello", "token": token}))
                await socket.send(json.dumps({"type": "subscribe", "id": "a"}))
                await said(socket, "snapshot")
            suspect(rig)
            opened = (await said(viewer, "event"))["data"]
            while opened["kind"] != "incident_changed":
                opened = (await said(viewer, "event"))["data"]
            name = opened["incident"]["id"]
            wish = {"type": "incident", "id": name, "label": "true", "note": "a mask"}
            await viewer.send(json.dumps(wish))
            refused = (await said(viewer, "error"))["data"]
            await operator.send(json.dumps({**wish, "id": "i-9"}))
            unknown = (await said(operator, "error"))["data"]
            await operator.send(json.dumps(wish))
            labelled = (await said(viewer, "event"))["data"]
            commented = (await said(viewer, "event"))["data"]
    assert opened["step"] == "opened"
    assert (refused["code"], unknown["code"]) == (403, 404)
    assert (labelled["step"], labelled["by"]) == ("labelled", "ann")
    assert labelled["incident"]["label"] == "true"
    assert (commented["step"], commented["text"]) == ("commented", "a mask")
