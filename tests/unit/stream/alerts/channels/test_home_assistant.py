"""Streams as Home Assistant sees them: announced once, shown when it changes, then forgotten."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from stream.alerts.channels.home_assistant import HomeAssistant, Publication, SnoozeCommand
from stream.alerts.messages import messages_of, trial_message
from stream.alerts.rules import Alert, AlertKind
from stream.alerts.settings import MqttSettings
from stream.events import (
    AbstainReason,
    EpochCause,
    EpochStarted,
    ScoringModel,
    StreamAdded,
    StreamDescribed,
    StreamRemoved,
    TrackEnd,
    TrackEnded,
)
from stream.incident import IncidentStep, Label, Severity
from tests.support.alerts import BEGAN, changed, incident, rule
from tests.support.wire import UNTRAINED
from tests.support.wire import score as any_score


def score(p: float, track: int = 1, stream: str = "lobby", **changes: Any) -> Any:
    one = replace(any_score(stream), score=p, track=track, reasons=())
    return replace(one, **changes)


def added(stream: str = "lobby", name: str = "Lobby") -> StreamAdded:
    return StreamAdded(stream, 0, name, (ScoringModel(UNTRAINED, False),))


def shown(**changes: Any) -> HomeAssistant:
    return HomeAssistant(MqttSettings("home", "broker.example", **changes), "1.2.3")


def published(
    home: HomeAssistant, now: float = 0.0, snoozed: tuple[str, ...] = ()
) -> dict[str, str]:
    return {one.topic: one.payload for one in home.pending(now, snoozed)}


def lobby(**changes: Any) -> HomeAssistant:
    home = shown(**changes)
    home.follow(added())
    published(home)
    return home


def test_a_stream_is_announced_as_one_device_with_its_parts() -> None:
    home = shown()
    home.follow(added())
    found = {one.topic: one for one in home.pending(0.0, ())}
    config = found["homeassistant/device/styleflow_lobby/config"]
    assert config.retain
    device = json.loads(config.payload)
    assert device["device"]["name"] == "Lobby"
    assert device["device"]["sw_version"] == "1.2.3"
    assert device["origin"]["name"] == "StyleFlow Live"
    assert device["availability_topic"] == "styleflow/status"
    parts = device["components"]
    assert {key: part["platform"] for key, part in parts.items()} == {
        "suspicion": "binary_sensor",
        "score": "sensor",
        "snooze": "switch",
        "alert": "event",
    }
    assert len({part["unique_id"] for part in parts.values()}) == 4
    assert parts["score"]["expire_after"] == 60
    assert parts["snooze"]["command_topic"] == "styleflow/lobby/snooze/set"
    assert found["styleflow/lobby/suspicion"].payload == "OFF"
    assert found["styleflow/lobby/suspicion"].retain
    assert home.pending(1.0, ()) == [], "and only once"


def test_an_open_incident_is_a_suspicion_until_it_is_over() -> None:
    home = lobby()
    assert home.follow(changed())
    said = published(home)
    assert said["styleflow/lobby/suspicion"] == "ON"
    attributes = json.loads(said["styleflow/lobby/attributes"])
    assert (attributes["incident"], attributes["severity"]) == ("i1", "high")
    assert attributes["notice"], "an untrained model is named as one"
    home.follow(changed(IncidentStep.CLOSED))
    assert published(home)["styleflow/lobby/suspicion"] == "OFF"


@pytest.mark.parametrize(
    "changes", [{"severity": Severity.HINT}, {"label": Label.FALSE}], ids=["hint", "false"]
)
def test_a_hint_or_what_somebody_called_false_is_no_suspicion(changes: dict[str, Any]) -> None:
    home = lobby()
    home.follow(changed(**changes))
    assert published(home).get("styleflow/lobby/suspicion", "OFF") == "OFF"


def test_the_highest_score_with_a_verdict_is_shown_and_not_too_often() -> None:
    home = lobby(score_s=5.0)
    home.follow(score(0.3, 1))
    home.follow(score(0.8, 2))
    home.follow(score(0.95, 3, reasons=(AbstainReason.DARK,)))
    said = published(home, 10.0)
    assert said["styleflow/lobby/score"] == "0.800"
    assert json.loads(said["styleflow/lobby/attributes"])["reasons"] == ["dark"]
    home.follow(score(0.9, 2))
    assert published(home, 14.9) == {}
    assert published(home, 15.0)["styleflow/lobby/score"] == "0.900"
    home.follow(TrackEnded("lobby", 1, 2, 0.0, TrackEnd.LOST))
    home.follow(score(0.3, 1))
    assert published(home, 20.0)["styleflow/lobby/score"] == "0.300"


def test_no_score_is_shown_while_none_can_be_judged() -> None:
    """Home Assistant then lets the last one expire."""
    home = lobby()
    home.follow(score(0.9, reasons=(AbstainReason.FACE_SMALL,)))
    assert "styleflow/lobby/score" not in published(home, 10.0)
    home.follow(score(float("nan")))
    assert "styleflow/lobby/score" not in published(home, 20.0)
    home.follow(score(0.9))
    home.follow(EpochStarted("lobby", 2, EpochCause.CONNECTED))
    assert "styleflow/lobby/score" not in published(home, 30.0)


def test_scores_are_bounded() -> None:
    home = lobby()
    for track in range(1000):
        home.follow(score(0.5 if track else 0.99, track))
    assert published(home, 9.0)["styleflow/lobby/score"] == "0.500"


def test_the_birth_of_home_assistant_has_everything_announced_anew() -> None:
    home = lobby()
    home.follow(score(0.8))
    published(home, 10.0)
    assert home.heard("homeassistant/status", "offline", 11.0) is None
    assert published(home, 11.0) == {}
    assert home.heard("homeassistant/status", "online", 11.0) is None
    said = published(home, 11.0)
    assert "homeassistant/device/styleflow_lobby/config" in said
    assert said["styleflow/lobby/score"] == "0.800"


def test_the_switch_is_a_command_and_shows_what_is() -> None:
    home = lobby()
    assert home.heard("styleflow/lobby/snooze/set", "ON", 0) == SnoozeCommand("lobby", on=True)
    assert home.heard("styleflow/lobby/snooze/set", "OFF", 0) == SnoozeCommand("lobby", on=False)
    assert published(home) == {}, "a command is no fact"
    assert published(home, 0.0, ("lobby",))["styleflow/lobby/snooze"] == "ON"
    assert published(home, 0.0, ())["styleflow/lobby/snooze"] == "OFF"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("styleflow/lobby/snooze/set", "on"),
        ("styleflow/lobby/snooze/set", ""),
        ("styleflow/yard/snooze/set", "ON"),
        ("other/lobby/snooze/set", "ON"),
        ("styleflow/lobby/suspicion", "ON"),
        ("styleflow", "ON"),
        ("", ""),
    ],
)
def test_anything_else_is_no_command(topic: str, payload: str) -> None:
    assert lobby().heard(topic, payload, 0) is None


def test_a_removed_stream_is_forgotten_by_the_broker() -> None:
    home = lobby()
    home.follow(StreamRemoved("lobby", 0))
    said = published(home)
    assert said["homeassistant/device/styleflow_lobby/config"] == ""
    assert set(said.values()) == {""}
    assert published(home) == {}


def test_what_a_stream_of_former_times_left_is_cleared_when_it_does_not_come_back() -> None:
    home = lobby()
    home.heard("styleflow/yard/snooze", "OFF", 0.0)
    home.heard("styleflow/door/snooze", "OFF", 0.0)
    home.heard("styleflow/lobby/snooze", "OFF", 0.0)
    home.follow(added("door", "Door"))
    assert "homeassistant/device/styleflow_yard/config" not in published(home, 59.0)
    assert set(published(home, 60.0).values()) == {""}
    assert published(home, 61.0) == {}


def test_names_of_devices_are_plain_and_differ() -> None:
    home = shown()
    ids = ["a.b", "a_b", "a-b", "..."]
    for id in ids:
        home.follow(added(id))
    topics = [topic for topic in published(home) if topic.endswith("/config")]
    assert len(set(topics)) == len(ids)
    assert all(re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", t) for t in topics)


def test_globs_choose_what_is_shown_and_discovery_can_be_off() -> None:
    home = shown(streams=("lob*",), discovery="")
    assert home.follow(added())
    assert not home.follow(added("yard"))
    home.follow(changed(stream="yard"))
    assert all(topic.startswith("styleflow/lobby/") for topic in published(home))
    assert home.subscriptions == ["styleflow/+/snooze/set", "styleflow/+/snooze"]


def test_an_alert_is_an_event_of_its_stream() -> None:
    (message,) = messages_of(Alert(rule(), AlertKind.OPENED, incident(), BEGAN), "")
    said = shown().alert(message)
    assert said == Publication("styleflow/lobby/alert", said.payload, retain=False, qos=1)
    assert json.loads(said.payload)["event_type"] == "opened"
    assert json.loads(said.payload)["id"] == message.id
    assert shown().alert(trial_message("r", "home", BEGAN)).topic == "styleflow/alert"


def test_a_new_name_is_announced() -> None:
    home = lobby()
    assert home.follow(StreamDescribed("lobby", 1, "North door"))
    assert any("North door" in payload for payload in published(home, 1.0).values())
    assert not home.follow(StreamDescribed("elsewhere", 1, "North door"))
