"""Contents of bundles and reports: everything that the store and the shelf have of one incident.

Everything here waits for the database and the disk: not on the event loop.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select, tuple_

from stream.errors import EvidenceMissing, IncidentUnknown
from stream.evidence.audit_part import AUDIT
from stream.evidence.bundle import SIDECAR, Contents, Part, as_json, left_out_words
from stream.evidence.report import LIMITS, Remark, ReportFacts, ScorePoint
from stream.publish.schema import STATE_RANK, IncidentData
from stream.store import audit
from stream.store.access import from_us, to_us
from stream.store.audit import AuditEntry, AuditHead
from stream.store.tables import events, evidence, incident_notes, incidents, models, scores, streams

MAX_SCORES = 200_000
MAX_EVENTS = 100_000
MAX_AUDIT = 100_000
"""Rows of a bundle; what is beyond is counted, in the manifest and in the report."""

PAGE = 5000
"""Rows that are read at once."""

BEFORE, AFTER = timedelta(seconds=10), timedelta(seconds=5)
"""Around the suspicion, of an incident without a video."""

CLOCK = "the analyzer's system clock (UTC); arrivals are on its monotonic clock, compared once"
PICTURE = "picture.jpg"

_WORDS = {rank: word for word, rank in STATE_RANK.items()}


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one incident.

    Attributes:
        incident: as it is now.
        source: where its stream comes from, without credentials.
        notes: comments, oldest first.
        scores: rows of the stream's scores about it, oldest first.
        left_out: rows beyond a limit: by what they are, the limit and how many.
        events: messages of that time as on the wire, oldest first.
        models: whose scores there are.
        entries: of the audit log about it, oldest first.
        head: where the audit log ends.
        files: video, sidecar and picture, by name; none when no video is kept.
        media: name of the video; empty without one.
        details: what is said of the video.
    """

    incident: IncidentData
    source: str
    notes: tuple[Remark, ...]
    scores: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, Mapping[str, int]]
    events: tuple[str, ...]
    models: tuple[Mapping[str, Any], ...]
    entries: tuple[AuditEntry, ...]
    head: AuditHead
    files: Mapping[str, bytes]
    media: str
    details: Mapping[str, Any]


def read(connection: Connection, incident: str, folder: Path) -> Told:
    """Return what is known of an incident.

    Args:
        connection: to read with.
        incident: its id.
        folder: of evidence.

    Raises:
        IncidentUnknown: there is none of this id.
        EvidenceMissing: its video should be there and is not.
        OSError: its video cannot be read.
    """
    row = connection.execute(select(incidents.c.data).where(incidents.c.id == incident)).first()
    if row is None:
        raise IncidentUnknown(incident)
    told = IncidentData.model_validate_json(row.data)
    begin, end = _span(told)
    stream = connection.execute(
        select(streams.c.number, streams.c.source).where(streams.c.id == told.stream)
    ).first()
    number = -1 if stream is None else stream.number
    found, more_scores = _scores(connection, number, begin, end)
    messages, more_events = _events(connection, number, begin, end)
    entries, more_entries = _entries(connection, f"incident/{incident}")
    media, details, files = _files(connection, incident, folder)
    return Told(
        incident=told,
        source="" if stream is None else stream.source,
        notes=_notes(connection, incident),
        scores=found,
        left_out={
            "scores": {"limit": MAX_SCORES, "rows": more_scores},
            "events": {"limit": MAX_EVENTS, "rows": more_events},
            "audit": {"limit": MAX_AUDIT, "rows": more_entries},
        },
        events=messages,
        models=_models(connection, {each["model"] for each in found}),
        entries=entries,
        head=audit.head(connection),
        files=files,
        media=media,
        details=details,
    )


def contents(
    told: Told,
    configuration: Mapping[str, Any],
    versions: Mapping[str, str],
    cards: Sequence[Mapping[str, Any]] = (),
) -> Contents:
    """Return the parts of an incident's bundle.

    Args:
        told: what is known of it.
        configuration: of the analyzer, without secrets.
        versions: of the program and of what it runs on, by name.
        cards: whole model cards of the models that are here, each with the `sha256` of its weights;
            those of the incident are taken.
    """
    digests = {told.incident.model.sha256, *(each["sha256"] for each in told.models)} - {""}
    whole = [card for card in cards if card["sha256"] in digests]
    known = {card["sha256"] for card in whole}
    incident = told.incident
    said = {
        "incident.json": incident.model_dump(mode="json"),
        "notes.json": [_remark(note) for note in told.notes],
        "scores.json": {"scores": told.scores, "left_out": told.left_out["scores"]["rows"]},
        "events.json": [json.loads(message) for message in told.events],
        "model.json": {
            "card": incident.model.model_dump(mode="json"),
            "notice": incident.notice,
            "limits": LIMITS,
            "weights": told.models,
            "cards": whole,
            "without_card": sorted(digests - known),
        },
        "configuration.json": configuration,
        "versions.json": versions,
        "clock.json": {"source": CLOCK},
        AUDIT: audit_json(told.entries, told.head),
    }
    parts = [Part(name, data) for name, data in told.files.items()]
    parts += [Part(name, as_json(value)) for name, value in said.items()]
    return Contents(incident.id, tuple(parts), told.head.number, told.head.hash, told.left_out)


def audit_json(entries: Sequence[AuditEntry], head: AuditHead) -> Mapping[str, Any]:
    """Return the audit part: entries, oldest first, and where the log ends."""
    return {
        "entries": [_entry(entry) for entry in entries],
        "head": {"number": head.number, "hash": head.hash},
    }


def facts(told: Told, enter: float, program: str, key: str, made: datetime) -> ReportFacts:
    """Return what a report tells.

    Args:
        told: what is known of the incident.
        enter: score from which a face may become suspect.
        program: version of this program.
        key: fingerprint of the key that signs bundles.
        made: when the report is made.
    """
    own = told.incident.model.name
    detectors = {each["number"]: each["name"] for each in told.models}
    changes = [Remark(entry.at, entry.by, entry.action) for entry in told.entries]
    return ReportFacts(
        incident=told.incident,
        scores=[
            ScorePoint(from_us(s["at"]), s["track"], s["p"], s["lo"], s["hi"])
            for s in told.scores
            if detectors.get(s["model"]) == own and None not in (s["p"], s["lo"], s["hi"])
        ],
        enter=enter,
        picture=told.files.get(PICTURE),
        clip=told.media,
        codec=str(told.details.get("codec", "")),
        packets=int(told.details.get("packets", 0)),
        remarks=sorted([*told.notes, *changes], key=lambda each: each.at),
        source=told.source,
        program=program,
        clock=CLOCK,
        left_out=tuple(left_out_words(told.left_out)),
        fingerprint=key,
        made=made,
    )


def _span(told: IncidentData) -> tuple[int, int]:
    begin = told.evidence.start or told.opened - BEFORE
    end = told.evidence.end or told.last_at + AFTER
    return to_us(min(begin, told.opened)), to_us(max(end, told.last_at))


def _scores(
    connection: Connection, stream: int, begin: int, end: int
) -> tuple[tuple[Mapping[str, Any], ...], int]:
    """Return rows of scores, and how many are beyond the limit."""
    wanted = (scores.c.stream == stream) & scores.c.at.between(begin, end)
    found: list[Mapping[str, Any]] = []
    after = (begin, -1)
    while len(found) < MAX_SCORES:
        query = (
            select(scores)
            .where(wanted, tuple_(scores.c.at, scores.c.seq) > after)
            .order_by(scores.c.at, scores.c.seq)
            .limit(min(PAGE, MAX_SCORES - len(found)))
        )
        page = connection.execute(query).mappings().all()
        if not page:
            return tuple(found), 0
        found += map(_score, page)
        after = (page[-1]["at"], page[-1]["seq"])
    return tuple(found), _count(connection, scores, wanted) - len(found)


def _count(connection: Connection, table: Table, wanted: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(wanted)
    return int(connection.execute(query).scalar_one())


def _score(row: Mapping[Any, Any]) -> Mapping[str, Any]:
    said = {str(key): value for key, value in row.items() if key != "stream"}
    return said | {"state": _WORDS.get(said["state"], "")}


def _events(
    connection: Connection, stream: int, begin: int, end: int
) -> tuple[tuple[str, ...], int]:
    """Return messages of events, and how many are beyond the limit."""
    wanted = (events.c.stream == stream) & events.c.at.between(begin, end)
    found: list[str] = []
    after = -1
    while len(found) < MAX_EVENTS:
        query = (
            select(events.c.seq, events.c.message)
            .where(wanted, events.c.seq > after)
            .order_by(events.c.seq)
            .limit(min(PAGE, MAX_EVENTS - len(found)))
        )
        page = connection.execute(query).all()
        if not page:
            return tuple(found), 0
        found += [row.message for row in page]
        after = page[-1].seq
    return tuple(found), _count(connection, events, wanted) - len(found)


def _entries(connection: Connection, subject: str) -> tuple[tuple[AuditEntry, ...], int]:
    """Return entries of the audit log, and how many older ones are beyond the limit."""
    found: list[AuditEntry] = []
    while len(found) < MAX_AUDIT:
        page = audit.entries(
            connection,
            subject=subject,
            before=found[-1].number if found else None,
            limit=min(PAGE, MAX_AUDIT - len(found)),
        )
        if not page:
            return tuple(reversed(found)), 0
        found += page
    return tuple(reversed(found)), audit.count(connection, subject) - len(found)


def _models(connection: Connection, numbers: Collection[int]) -> tuple[Any, ...]:
    query = select(models).where(models.c.number.in_(numbers)).order_by(models.c.number)
    return tuple(dict(row) for row in connection.execute(query).mappings())


def _notes(connection: Connection, incident: str) -> tuple[Remark, ...]:
    query = (
        select(incident_notes)
        .where(incident_notes.c.incident == incident)
        .order_by(incident_notes.c.number)
    )
    return tuple(Remark(from_us(row.at), row.by, row.text) for row in connection.execute(query))


def _files(
    connection: Connection, incident: str, folder: Path
) -> tuple[str, Mapping[str, Any], Mapping[str, bytes]]:
    row = connection.execute(select(evidence).where(evidence.c.incident == incident)).first()
    if row is None or not row.file:
        return "", {}, {}
    details = json.loads(row.details)
    media = folder / row.file
    if not media.resolve().is_relative_to(folder.resolve()) or not media.is_file():
        raise EvidenceMissing(incident, f"{row.file} is not in the evidence folder")
    files = {media.name: media.read_bytes()}
    for key, name in (("sidecar", SIDECAR), ("picture", PICTURE)):
        path = media.with_name(Path(str(details.get(key, ""))).name or name)
        if path.is_file():
            files[name] = path.read_bytes()
    return media.name, details, files


def _remark(note: Remark) -> Mapping[str, str]:
    return {"at": note.at.isoformat(), "by": note.by, "text": note.text}


def _entry(entry: AuditEntry) -> Mapping[str, Any]:
    return {
        "number": entry.number,
        "at": to_us(entry.at),
        "by": entry.by,
        "action": entry.action,
        "subject": entry.subject,
        "detail": dict(entry.detail),
        "previous": entry.previous,
        "hash": entry.hash,
    }
