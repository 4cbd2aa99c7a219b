"""`/api/v1/models`: which models score streams, and what was measured of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from styleflow.cards import TrainingStatus
from tests.support.web import WebRig, problem
from tests.support.wire import CARD, UNTRAINED
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

SHIPPED = json.loads((Path(__file__).parents[4] / "styleflow/measured.json").read_text())


async def test_measured_weights_come_with_their_figures_and_others_without() -> None:
    rig = WebRig()
    ours = replace(CARD, sha256=SHIPPED["sha256"], status=TrainingStatus.EXPERIMENTAL)
    rig.models = (ours, UNTRAINED)
    async with rig.client() as http:
        first, second = (await http.get("/api/v1/models")).json()["models"]
    assert first["model"]["status"] == "experimental"
    assert first["figures"] == {key: SHIPPED[key] for key in first["figures"]}
    assert {"auc", "flagged_at_5", "kinds", "reals", "fakes"} <= set(first["figures"])
    assert second == {"model": second["model"], "figures": None}


async def test_models_are_told_to_viewers_only() -> None:
    tokens = (Token(TokenDigest("a viewer's secret"), Role.VIEWER),)
    rig = WebRig(WebSettings(tokens=tokens))
    async with rig.client() as http:
        problem(await http.get("/api/v1/models"), 401)
    async with rig.client("a viewer's secret") as http:
        assert (await http.get("/api/v1/models")).status_code == 200
