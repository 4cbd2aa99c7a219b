"""Streams as Home Assistant sees them: events in, MQTT publications out. Pure.

Every stream is a device with four entities: the suspicion (a binary sensor, with what is behind it
as attributes), the score (a sensor that expires), a switch that snoozes the stream, and an event
for every alert. They are announced by one retained message per device (device-based discovery) and
announced anew when Home Assistant says that it was born.

Topics, of which `BASE` is the channel's `topic`:

    BASE/status              online or offline (last will), retained
    BASE/STREAM/suspicion    ON while an incident is open that is severe enough, retained
    BASE/STREAM/attributes   JSON: state, reasons, incident, notice, retained
    BASE/STREAM/score        the highest score of the faces that have a verdict
    BASE/STREAM/snooze       ON or OFF, retained; commands come to BASE/STREAM/snooze/set
    BASE/STREAM/alert        a message of a rule, JSON
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from stream.alerts.messages import Message
from stream.alerts.rules import AlertKind
from stream.alerts.settings import MqttSettings
from stream.events import (
    AbstainReason,
    EpochStarted,
    Event,
    IncidentChanged,
    Score,
    StreamAdded,
    StreamDescribed,
    StreamRemoved,
    TrackEnded,
    Verdict,
)
from stream.incident import Incident, IncidentStatus, Label
from stream.problems import notice
from stream.publish.patterns import PatternSet

BIRTH = "status"
"""Last part of the topic on which Home Assistant says that it was born."""

STALE_S = 60.0
"""Seconds after which what is retained of a stream that nobody knows is cleared."""

MAX_FACES = 256
"""Scores that are kept of one stream; the oldest gives way."""

MAX_STALE = 1024
"""Streams of former times that are remembered until they are cleared."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to the broker.

    Attributes:
        topic: where.
        payload: what; empty clears what is retained there.
        retain: whether the broker keeps it for those who come later.
        qos: 0, or 1 for at least once.
    """

    topic: str
    payload: str
    retain: bool = True
    qos: int = 1


@dataclass(frozen=True, slots=True)
class SnoozeCommand:
    """What somebody did with the switch of a stream."""

    stream: str
    on: bool


@dataclass(slots=True)
class _Stream:
    """One stream that is shown."""

    name: str
    notice: str
    scores: dict[tuple[int, str], Score] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    snoozed: bool = False
    new: bool = True  # to be announced
    changed: bool = True  # suspicion, attributes or switch
    scored: bool = False  # a score that was not shown
    shown_at: float = -math.inf

    def best(self) -> Score | None:
        """Return the highest score that has a verdict."""
        judged = [score for score in self.scores.values() if _is_judged(score)]
        return max(judged, key=lambda score: score.score, default=None)

    def worst(self) -> Incident | None:
        """Return the open incident that is most severe."""
        found = self.incidents.values()
        return max(found, key=lambda one: (one.severity, one.opened), default=None)


class HomeAssistant:
    """Everything that is shown of streams through one broker.

    Args:
        settings: topics, and what is shown.
        version: of this program.
    """

    def __init__(self, settings: MqttSettings, version: str) -> None:
        self._settings = settings
        self._version = version
        self._shown = PatternSet(settings.streams)
        self._streams: dict[str, _Stream] = {}
        self._gone: list[str] = []
        self._stale: dict[str, float] = {}

    @property
    def status_topic(self) -> str:
        """Where the analyzer says whether it is there."""
        return f"{self._settings.topic}/status"

    @property
    def subscriptions(self) -> list[str]:
        """Topics to listen to: commands, Home Assistant's birth, and what is left of before."""
        base, discovery = self._settings.topic, self._settings.discovery
        birth = [f"{discovery}/{BIRTH}"] if discovery else []
        return [f"{base}/+/snooze/set", f"{base}/+/snooze", *birth]

    def announce(self) -> None:
        """Show everything anew: after connecting, and when Home Assistant was born."""
        for stream in self._streams.values():
            stream.new = stream.changed = True
            stream.scored = bool(stream.scores)
            stream.shown_at = -math.inf

    def follow(self, event: Event) -> bool:
        """Take note of an event; return whether it should be shown at once."""
        match event:
            case StreamAdded(stream=id):
                return self._shown.matches(id) and self._added(event)
            case StreamDescribed(stream=id, name=name) if shown := self._streams.get(id):
                shown.name, shown.new, shown.changed = name, True, True
                return True
            case StreamRemoved(stream=id):
                return self._removed(id)
            case IncidentChanged(incident=incident):
                return self._incident(incident)
            case Score(stream=id) if shown := self._streams.get(id):
                shown.scores.pop((event.track, event.detector), None)
                shown.scores[event.track, event.detector] = event
                while len(shown.scores) > MAX_FACES:
                    del shown.scores[next(iter(shown.scores))]
                shown.scored = True
            case TrackEnded(stream=id, track=track) if shown := self._streams.get(id):
                for key in [key for key in shown.scores if key[0] == track]:
                    del shown.scores[key]
            case EpochStarted(stream=id) if shown := self._streams.get(id):
                shown.scores.clear()
        return False

    def heard(self, topic: str, payload: str, now: float) -> SnoozeCommand | None:
        """Understand a message of the broker; return a command if it is one."""
        settings = self._settings
        if settings.discovery and topic == f"{settings.discovery}/{BIRTH}":
            if payload == "online":
                self.announce()
            return None
        base, _, rest = topic.partition("/")
        id, _, what = rest.partition("/")
        if base != settings.topic:
            return None
        if what == "snooze" and payload and id not in self._streams:
            if len(self._stale) < MAX_STALE:
                self._stale.setdefault(id, now)
        elif what == "snooze/set" and id in self._streams and payload in ("ON", "OFF"):
            return SnoozeCommand(id, on=payload == "ON")
        return None

    def pending(self, now: float, snoozed: Collection[str]) -> list[Publication]:
        """Return what is to be published now, and take it for published.

        Args:
            now: monotonic seconds.
            snoozed: ids of the streams that are snoozed.
        """
        found: list[Publication] = []
        while self._gone:
            found += self._cleared(self._gone.pop())
        for id in [id for id, since in self._stale.items() if now - since >= STALE_S]:
            del self._stale[id]
            if id not in self._streams:
                found += self._cleared(id)
        for id, stream in self._streams.items():
            found += self._news(id, stream, now, snoozed=id in snoozed)
        return found

    def alert(self, message: Message) -> Publication:
        """Return a message of a rule."""
        stream = (message.body.get("incident") or {}).get("stream")
        topic = f"{self._settings.topic}/{stream}/alert" if stream else self._test_topic
        body = {"event_type": message.kind.value, **message.body}
        return Publication(topic, json.dumps(body, ensure_ascii=False), retain=False)

    @property
    def _test_topic(self) -> str:
        return f"{self._settings.topic}/alert"

    def _added(self, event: StreamAdded) -> bool:
        said = notice(event.models[0].model, demo=event.demo)
        known = self._streams.get(event.stream)
        if known is None:
            self._streams[event.stream] = _Stream(event.name, said)
        else:
            known.name, known.notice, known.new, known.changed = event.name, said, True, True
        self._stale.pop(event.stream, None)
        return True

    def _removed(self, id: str) -> bool:
        if self._streams.pop(id, None) is None:
            return False
        self._gone.append(id)
        return True

    def _incident(self, incident: Incident) -> bool:
        stream = self._streams.get(incident.stream)
        if stream is None:
            return False
        counts = (
            incident.status is IncidentStatus.OPEN
            and incident.severity >= self._settings.least
            and incident.label is not Label.FALSE
        )
        if counts:
            stream.incidents[incident.id] = incident
        elif stream.incidents.pop(incident.id, None) is None:
            return False
        stream.changed = True
        return True

    def _news(
        self, id: str, stream: _Stream, now: float, *, snoozed: bool
    ) -> Iterator[Publication]:
        if stream.new and self._settings.discovery:
            yield Publication(self._config_topic(id), json.dumps(self._device(id, stream.name)))
        if snoozed is not stream.snoozed:
            stream.snoozed, stream.changed = snoozed, True
        due = stream.scored and now - stream.shown_at >= self._settings.score_s
        if stream.changed:
            suspect = _switch(on=bool(stream.incidents))
            yield Publication(self._topic(id, "suspicion"), suspect)
            yield Publication(self._topic(id, "snooze"), _switch(on=snoozed))
        if stream.changed or due:
            yield Publication(self._topic(id, "attributes"), json.dumps(_attributes(stream)))
        best = stream.best()
        if due and best is not None:
            text = f"{best.score:.3f}"
            yield Publication(self._topic(id, "score"), text, retain=False, qos=0)
        if due:
            stream.scored, stream.shown_at = False, now
        stream.new = stream.changed = False

    def _cleared(self, id: str) -> Iterator[Publication]:
        """Yield what makes Home Assistant and the broker forget a stream."""
        if self._settings.discovery:
            yield Publication(self._config_topic(id), "")
        for what in ("suspicion", "attributes", "snooze"):
            yield Publication(self._topic(id, what), "")

    def _topic(self, id: str, what: str) -> str:
        return f"{self._settings.topic}/{id}/{what}"

    def _config_topic(self, id: str) -> str:
        return f"{self._settings.discovery}/device/{self._node(id)}/config"

    def _node(self, id: str) -> str:
        """Return a name of letters, digits, dashes and underscores, another for each stream."""
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", id)
        if plain != id:
            plain += f"_{hashlib.sha256(id.encode()).hexdigest()[:8]}"
        return f"{self._settings.topic}_{plain}"

    def _device(self, id: str, name: str) -> dict[str, Any]:
        """Return the announcement of a stream, as Home Assistant's MQTT discovery wants it."""
        node = self._node(id)
        score: dict[str, Any] = {
            "platform": "sensor",
            "name": "Score",
            "icon": "mdi:account-question",
            "state_class": "measurement",
            "suggested_display_precision": 2,
            "state_topic": self._topic(id, "score"),
        }
        if self._settings.expire_s:
            score["expire_after"] = self._settings.expire_s
        parts = {
            "suspicion": {
                "platform": "binary_sensor",
                "name": "Suspicion",
                "device_class": "problem",
                "state_topic": self._topic(id, "suspicion"),
                "json_attributes_topic": self._topic(id, "attributes"),
            },
            "score": score,
            "snooze": {
                "platform": "switch",
                "name": "Snooze",
                "icon": "mdi:bell-sleep",
                "state_topic": self._topic(id, "snooze"),
                "command_topic": f"{self._topic(id, 'snooze')}/set",
            },
            "alert": {
                "platform": "event",
                "name": "Alert",
                "event_types": [kind.value for kind in AlertKind],
                "state_topic": self._topic(id, "alert"),
            },
        }
        return {
            "device": {
                "identifiers": [node],
                "name": name,
                "manufacturer": "StyleFlow Live",
                "model": "monitored stream",
                "sw_version": self._version,
            },
            "origin": {"name": "StyleFlow Live", "sw_version": self._version},
            "components": {
                key: {"unique_id": f"{node}_{key}", **part} for key, part in parts.items()
            },
            "availability_topic": self.status_topic,
            "qos": 1,
        }


def _is_judged(score: Score) -> bool:
    return not score.reasons and math.isfinite(score.score)


def _switch(*, on: bool) -> str:
    return "ON" if on else "OFF"


def _attributes(stream: _Stream) -> dict[str, Any]:
    """Return what is behind a suspicion."""
    best, incident = stream.best(), stream.worst()
    said: set[AbstainReason] = {r for score in stream.scores.values() for r in score.reasons}
    reasons = [reason.value for reason in AbstainReason if reason in said]
    return {
        "verdict": best.verdict.value if best else Verdict.PENDING.value,
        "reasons": reasons,
        "lo": round(best.low, 3) if best else None,
        "hi": round(best.high, 3) if best else None,
        "detector": best.detector if best else None,
        "incident": incident.id if incident else None,
        "severity": incident.severity.word if incident else None,
        "since": incident.opened.isoformat() if incident else None,
        "notice": stream.notice,
    }
