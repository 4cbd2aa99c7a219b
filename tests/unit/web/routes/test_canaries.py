"""Canaries over HTTP: how the detector fares, and learning anew."""

from __future__ import annotations

from tests.support.web import WebRig


async def test_before_the_first_round_there_is_nothing_to_say() -> None:
    async with WebRig(canaries=True).client() as http:
        said = (await http.get("/api/v1/canaries")).json()
    assert (said["state"], said["checked_at"], said["learned"]) == ("waiting", None, 0)
    assert [canary["role"] for canary in said["canaries"]] == ["real", "fake"]
    assert said["rounds"] == {"ok": 0, "learning": 0, "findings": 0, "skipped": 0}


async def test_a_round_that_failed_says_what_and_what_to_do() -> None:
    rig = WebRig(canaries=True)
    assert rig.canaries is not None
    await rig.canaries.check()
    async with rig.client() as http:
        said = (await http.get("/api/v1/canaries")).json()
    assert said["state"] == "doubtful"
    finding = said["findings"][0]
    assert finding["kind"] == "missing"
    assert finding["canary"] == said["canaries"][0]["id"]
    assert finding["text"]
    assert finding["hint"]
    assert said["canaries"][0]["failure"]


async def test_what_was_learned_is_forgotten_on_request() -> None:
    async with WebRig(canaries=True).client() as http:
        said = (await http.post("/api/v1/canaries/learn")).json()
    assert said["anew"] == "somebody asked for it"


async def test_where_none_are_sent_that_is_said() -> None:
    async with WebRig().client() as http:
        said = (await http.get("/api/v1/canaries")).json()
        again = (await http.post("/api/v1/canaries/learn")).json()
    assert said == again
    assert (said["state"], said["canaries"]) == ("off", [])
