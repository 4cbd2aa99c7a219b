"""A subscription without a socket: resume points, unknown messages, and when it gives up."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from styleflow.client.endpoint import Endpoint
from styleflow.client.errors import AnalyzerAway, SubscriptionRefused
from styleflow.client.following import MOST_POINTS, Following
from styleflow.client.messages import ErrorMessage, EventMessage, SubscribedMessage
from styleflow.client.reconnect import Reconnect
from styleflow.client.requests import Subscribe

NOW = "2026-11-30T09:30:00Z"


def following(policy: Reconnect | None = None, token: str | None = None) -> Following:
    wanted = Subscribe(type="subscribe", id="client", streams=("*",))
    endpoint = Endpoint.of("http://analyzer:8000", token=token)
    return Following(endpoint, wanted, "test", policy or Reconnect(), Random(0))


def envelope(kind: str, data: dict[str, Any], **more: Any) -> str:
    head = {"v": 1, "type": kind, "stream": None, "epoch": None, "seq": None, "ts_capture": None}
    return json.dumps({**head, "ts_emit": NOW, **more, "data": data})


def began(stream: str, seq: int, epoch: int = 1, kind: str = "track_started") -> str:
    data = {"kind": kind, "id": f"{stream}/{seq}", "track": 1, "at": 0.5, "reason": "lost"}
    return envelope("event", data, stream=stream, epoch=epoch, seq=seq)


SUBSCRIBED = envelope(
    "subscribed", {"id": "client", "snapshot": True, "streams": [], "resumed": []}
)


def points(live: Following) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(live.greetings()[1]).get("resume", {})
    return found


def test_the_first_connection_resumes_nothing_and_sends_only_what_was_given() -> None:
    """An analyzer refuses fields that it does not know."""
    hello, wanted = map(json.loads, following().greetings())
    assert hello == {"type": "hello", "token": None, "client": "test"}
    assert wanted == {"type": "subscribe", "id": "client", "streams": ["*"]}


def test_the_next_connection_goes_on_behind_the_highest_number_of_each_stream() -> None:
    live = following()
    for text in (SUBSCRIBED, began("a", 5), began("b", 7, epoch=3), began("a", 9), began("a", 8)):
        assert live.take(text) is not None
    assert points(live) == {"a": {"epoch": 1, "seq": 9}, "b": {"epoch": 3, "seq": 7}}


def test_a_removed_stream_is_not_resumed() -> None:
    live = following()
    live.take(began("a", 5))
    live.take(began("a", 6, kind="stream_removed"))
    assert points(live) == {}


def test_resume_points_are_bounded_and_the_quietest_stream_gives_way() -> None:
    live = following()
    for number in range(MOST_POINTS):
        live.take(began(f"s{number}", 1))
    live.take(began("s0", 2))
    live.take(began("one more", 1))
    kept = points(live)
    assert len(kept) == MOST_POINTS
    assert "s1" not in kept
    assert {"s0", "one more"} <= kept.keys()


def test_a_message_of_a_later_release_is_skipped_counted_and_not_asked_for_again() -> None:
    live = following()
    later = envelope("event", {"kind": "aura_changed"}, stream="a", epoch=1, seq=4)
    assert live.take(later) is None
    assert live.take(envelope("telepathy", {}, stream="a", epoch=1, seq=6)) is None
    assert live.take("no json") is None
    assert live.skipped == 3
    assert points(live) == {"a": {"epoch": 1, "seq": 6}}


def test_fields_and_words_of_a_later_release_do_no_harm() -> None:
    data = {"kind": "track_ended", "id": "a/1", "track": 1, "at": None, "reason": "abducted"}
    text = envelope("event", {**data, "by": "aliens"}, stream="a", epoch=1, seq=4, hue="green")
    message = following().take(text)
    assert isinstance(message, EventMessage)
    assert message.data.model_dump()["reason"] == "abducted"


def test_one_that_was_never_there_is_said_at_once() -> None:
    with pytest.raises(AnalyzerAway, match="http://analyzer:8000: nothing listens"):
        following().lost(None, "nothing listens")


@pytest.mark.parametrize("code", [1008, 4400, 4401, 4404])
def test_what_would_fail_again_is_not_tried_again(code: int) -> None:
    live = following(token="secret token 123456")
    live.take(SUBSCRIBED)
    with pytest.raises(SubscriptionRefused, match="the reason") as caught:
        live.lost(code, "the reason")
    assert caught.value.close_code == code
    assert "secret token" not in str(caught.value)


def test_tries_are_counted_from_the_last_subscription_and_end() -> None:
    live = following(Reconnect(attempts=2))
    live.take(SUBSCRIBED)
    assert [live.lost(1012, "restart").attempt, live.lost(None, "refused").attempt] == [1, 2]
    live.take(SUBSCRIBED)
    assert live.reconnects == 1
    assert live.lost(1012, "restart").attempt == 1
    live.lost(None, "refused")
    with pytest.raises(AnalyzerAway, match="refused"):
        live.lost(None, "refused")


def test_a_gap_is_told_and_keeps_the_connection() -> None:
    data = {"code": 4409, "title": "t", "detail": "d", "hint": "h"}
    message = following().take(envelope("error", data, stream="a"))
    assert isinstance(message, ErrorMessage)
    assert isinstance(following().take(SUBSCRIBED), SubscribedMessage)
