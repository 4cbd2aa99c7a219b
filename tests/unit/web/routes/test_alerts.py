"""`/api/v1/alerts`: rules are seen, made, refused and tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from stream.alerts.alerts import Alerts
from stream.alerts.settings import AlertsSettings
from stream.clock import ManualClock
from stream.store.access import DirectStore
from stream.store.tables import audit
from tests.support.alerts import BEGAN, PlayedChannel, changed, rule, stamped, store
from tests.support.web import WebRig, problem
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

OPERATOR, VIEWER = "operator-0123456789", "viewer-0123456789ab"
TOKENS = (
    Token(TokenDigest(OPERATOR), Role.OPERATOR, "anna"),
    Token(TokenDigest(VIEWER), Role.VIEWER, "bert"),
)


class Rig:
    """The application with one configured rule and one played channel."""

    def __init__(self, kept: DirectStore) -> None:
        self.store = kept
        self.hook = PlayedChannel(kind="webhook")
        clock = ManualClock(epoch=BEGAN)
        settings = AlertsSettings(rules=(rule(),))
        self.alerts = Alerts([self.hook], settings, kept, clock)
        web = WebRig(WebSettings(tokens=TOKENS), clock=clock, alerts=self.alerts)
        self.client, self.viewer = web.client(OPERATOR), web.client(VIEWER)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(store(tmp_path / "store.sqlite"))


async def test_rules_and_channels_are_listed(rig: Rig) -> None:
    rig.hook.refusals = 1
    rig.alerts.accept(stamped(changed()))
    await rig.alerts.step("hook")
    answer = await rig.viewer.get("/api/v1/alerts")
    assert answer.status_code == 200
    (listed,) = answer.json()["rules"]
    assert (listed["name"], listed["origin"]) == ("all", "configuration")
    (channel,) = answer.json()["channels"]
    assert channel == {
        "name": "hook",
        "kind": "webhook",
        "state": "failing",
        "waiting": 1,
        "delivered": 0,
        "failed": 1,
        "given_up": 0,
        "dropped": 0,
        "last_error": "nobody is there",
        "last_at": "2026-01-01T00:00:00Z",
    }


async def test_a_rule_is_made_changed_and_removed(rig: Rig) -> None:
    path = "/api/v1/alerts/rules/mine"
    quiet = [{"start": "22:00", "end": "06:00", "zone": "Europe/Berlin", "days": ["sat"]}]
    body: dict[str, Any] = {"channels": ["hook"], "streams": ["cam-*"], "quiet": quiet}
    made = await rig.client.put(path, json=body)
    assert made.status_code == 200, made.text
    assert made.json()["origin"] == "page"
    assert made.json()["quiet"] == quiet
    changed = await rig.client.put(path, json=body | {"severity": "high"})
    assert changed.json()["severity"] == "high"
    names = [one["name"] for one in (await rig.client.get("/api/v1/alerts")).json()["rules"]]
    assert names == ["all", "mine"]
    assert (await rig.client.delete(path)).status_code == 204
    problem(await rig.client.delete(path), 404)
    with rig.store.reading() as connection:
        assert set(connection.scalars(select(audit.c.by))) == {"anna"}


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("all", {"channels": ["hook"]}, 409, "alert_rule_fixed"),
        ("mine", {"channels": ["pager"]}, 422, "alert_channel_missing"),
        ("mine", {"channels": []}, 422, "invalid_request"),
        ("mine", {"channels": ["hook"], "sevrity": "low"}, 422, "invalid_request"),
        ("mine", {"channels": ["hook"], "most": 0}, 422, "invalid_request"),
        ("a b", {"channels": ["hook"]}, 422, "invalid_request"),
        (
            "mine",
            {"channels": ["hook"], "quiet": [{"start": "25:00", "end": "06:00"}]},
            422,
            "invalid_request",
        ),
        (
            "mine",
            {"channels": ["hook"], "quiet": [{"start": "1:00", "end": "2:00", "zone": "../x"}]},
            422,
            "invalid_request",
        ),
    ],
)
async def test_a_rule_that_cannot_be_is_refused(
    rig: Rig, name: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await rig.client.put(f"/api/v1/alerts/rules/{name}", json=body)
    assert problem(answer, status)["code"] == code


async def test_a_test_says_what_came_back(rig: Rig) -> None:
    answer = await rig.client.post("/api/v1/alerts/rules/all/test")
    assert answer.json() == {
        "rule": "all",
        "results": [{"channel": "hook", "ok": True, "detail": "taken"}],
    }
    assert rig.hook.taken[0].body["test"] is True
    problem(await rig.client.post("/api/v1/alerts/rules/other/test"), 404)


async def test_a_viewer_only_looks(rig: Rig) -> None:
    problem(await rig.viewer.put("/api/v1/alerts/rules/b", json={"channels": ["hook"]}), 403)
    problem(await rig.viewer.delete("/api/v1/alerts/rules/all"), 403)
    problem(await rig.viewer.post("/api/v1/alerts/rules/all/test"), 403)
    assert rig.hook.taken == []


async def test_without_alerts_there_is_nothing_to_ask() -> None:
    problem(await WebRig().client().get("/api/v1/alerts"), 404)
