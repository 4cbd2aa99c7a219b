"""Health: whether the process works, and whether it may be given work."""

from __future__ import annotations

from typing import Any

import pytest

from stream.analyzer.streams import Health
from tests.support.web import WebRig


async def test_healthcheck() -> None:
    async with WebRig().client() as http:
        assert (await http.get("/healthcheck")).json() == {"healthy": True}


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (Health(True, True, {}), (200, 200, 200)),
        (Health(True, False, {"model": "loading"}), (200, 200, 503)),
        (Health(False, False, {"device": "fails"}), (503, 503, 503)),
    ],
)
async def test_live_and_ready_are_different_questions(state: Health, codes: Any) -> None:
    rig = WebRig()
    rig.control.state = state
    async with rig.client() as http:
        got = [(await http.get(path)).status_code for path in ("/healthcheck", "/livez", "/readyz")]
        assert tuple(got) == codes
        assert (await http.get("/readyz")).json()["details"] == state.details
