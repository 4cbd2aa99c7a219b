"""Messages: what an alert says, the same through every channel.

A message's body is JSON with the incident as it is on the wire (`IncidentData` in
docs/protocol.md), and the same in plain words for people. Its id is made of what it says to whom,
so a message that is sent again, even after a restart, has the id that it had.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stream.alerts.rules import Alert, AlertKind, Told
from stream.incident import Incident, Severity
from stream.publish.incidents import incident_data, incident_summary

VERSION = 1
"""Version of a message's body; keys may be added without a new one."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel.

    Attributes:
        id: receivers tell repeats by it.
        rule: name of the rule that it is sent by.
        channel: name of the channel that it is sent through.
        incident: id of the incident; empty for a test.
        created: when it was made.
        body: JSON of all that it says.
    """

    id: str
    rule: str
    channel: str
    incident: str
    created: datetime
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The body as it travels: JSON in UTF-8 without line breaks."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))

    @property
    def kind(self) -> AlertKind:
        """The occasion."""
        return AlertKind(self.body["kind"])

    @property
    def title(self) -> str:
        """One line for people."""
        return str(self.body["title"])

    @property
    def words(self) -> str:
        """Some lines for people."""
        return str(self.body["text"])

    def told(self) -> Told:
        """Return what rules must know of it after a restart."""
        stream = (self.body.get("incident") or {}).get("stream", "")
        return Told(self.rule, self.incident, stream, self.kind, self.created)


def messages_of(alert: Alert, page: str) -> list[Message]:
    """Return an alert as one message per channel of its rule.

    Args:
        alert: what is told.
        page: address of the page for links; empty for none.
    """
    rule, incident = alert.rule, alert.incident
    link = f"{page.rstrip('/')}/incidents/{incident.id}" if page else ""
    said = {
        "kind": alert.kind.value,
        "test": False,
        "rule": rule.name,
        "at": alert.at.isoformat(),
        "title": title(alert),
        "text": words(alert, link),
        "link": link,
        "incident": incident_data(incident).model_dump(mode="json"),
    }
    found = []
    for channel in dict.fromkeys(rule.channels):
        id = message_id(rule.name, channel, incident.id, alert.kind)
        body = {"version": VERSION, "id": id, "channel": channel, **said}
        found.append(Message(id, rule.name, channel, incident.id, alert.at, body))
    return found


def trial_message(rule: str, channel: str, now: datetime) -> Message:
    """Return a message that says of itself that it is a test."""
    id = message_id(rule, channel, f"test {now.isoformat()}", AlertKind.TEST)
    body = {
        "version": VERSION,
        "id": id,
        "channel": channel,
        "kind": AlertKind.TEST.value,
        "test": True,
        "rule": rule,
        "at": now.isoformat(),
        "title": f"Test of the rule {rule}",
        "text": f"This is a test of the rule {rule} and the channel {channel} of StyleFlow Live. "
        "Nothing has happened.",
        "link": "",
        "incident": None,
    }
    return Message(id, rule, channel, "", now, body)


def message_id(rule: str, channel: str, incident: str, kind: AlertKind) -> str:
    """Return the id of what a rule says of an incident through a channel."""
    said = json.dumps([rule, channel, incident, kind.value])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def title(alert: Alert) -> str:
    """Return an alert in one line."""
    incident = alert.incident
    if alert.kind is AlertKind.CLOSED:
        return f"{incident.name}: over, {severity_words(incident)}"
    return f"{incident.name}: {severity_words(incident)}"


def severity_words(incident: Incident) -> str:
    """Return what an incident is, in the words that people are told."""
    if incident.severity is Severity.HINT:
        return "a hint that a face may be synthesised"
    return f"a face looks synthesised ({incident.severity.word})"


def words(alert: Alert, link: str) -> str:
    """Return an alert in some lines: facts, and what must stand beside the score."""
    incident = alert.incident
    peak = incident.peak
    lines = [
        f"{incident_summary(incident)}.",
        f"Stream {incident.stream}, since {incident.opened:%Y-%m-%d %H:%M:%S} UTC"
        + (f", over at {incident.closed:%H:%M:%S} UTC." if incident.closed else "."),
        f"Highest score {peak.p:.2f} (between {peak.lo:.2f} and {peak.hi:.2f}), "
        f"by {incident.scored_by.name} {incident.scored_by.version}.",
        "A score is evidence, not proof.",
    ]
    if incident.notice:
        lines.append(incident.notice)
    if link:
        lines.append(link)
    return "\n".join(lines)
