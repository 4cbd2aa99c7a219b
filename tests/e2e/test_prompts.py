"""Prompts on the data channel of a call: heard by a page that asked for them, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stream.webrtc.calls import WebRtcSettings
from tests.support.calls import LOCAL, Caller, call_rig

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


async def test_prompts_reach_the_page_that_opened_a_channel_for_them() -> None:
    async with call_rig(WebRtcSettings(bind=LOCAL)) as rig, Caller(rig.url()) as caller:
        heard: list[dict[str, Any]] = []
        prompts = caller.connection.createDataChannel("prompts")
        prompts.on("message", lambda text: heard.append(json.loads(text)))
        await caller.call()
        await rig.until(lambda: rig.analyzer.has_page("me"), "page")
        assert rig.analyzer.prompt("me", json.dumps({"type": "prompt"}))
        await rig.until(lambda: heard, "prompt")
        assert heard == [{"type": "prompt"}]
        assert {message["type"] for message in caller.heard} <= {
            "snapshot",
            "status",
            "score",
            "event",
        }
        prompts.close()
        await rig.until(lambda: not rig.analyzer.has_page("me"), "end of the page")
        assert not rig.analyzer.prompt("me", "{}")


async def test_a_caller_without_a_page_is_sent_nothing() -> None:
    async with call_rig(WebRtcSettings(bind=LOCAL)) as rig, Caller(rig.url()) as caller:
        await caller.call()
        await rig.until(rig.scores, "scores")
        assert not rig.analyzer.has_page("me")
        assert not rig.analyzer.prompt("me", "{}")
        assert not rig.analyzer.has_page("nobody")
