"""`styleflow incidents`: what the store knows of incidents, printed, and labels as a manifest."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_path
from rich.console import Console
from sqlalchemy import Connection

from stream.errors import IncidentUnknown
from stream.evidence.settings import EvidenceSettings
from stream.incident import Incident
from stream.incidents import records
from stream.incidents.labels import manifest
from stream.incidents.records import Wanted
from stream.publish.incidents import incident_data, incident_summary
from stream.store import audit
from stream.store.database import connect
from stream.store.errors import StoreOff
from stream.store.settings import StoreSettings

EVIDENCE = "evidence"
"""Name of the evidence folder in the user's data directory."""


def evidence_folder(settings: EvidenceSettings) -> Path:
    """Return where the video of incidents is kept."""
    return (settings.folder or user_data_path("styleflow") / EVIDENCE).expanduser().resolve()


@contextmanager
def reading(settings: StoreSettings) -> Iterator[Connection]:
    """Return a connection to the store of a configuration; nothing is made or changed.

    Raises:
        StoreOff: the configuration has none.
        FileNotFoundError: nothing was ever stored.
        StoreUnavailable: it cannot be read.
    """
    if not settings.enabled:
        raise StoreOff
    database = connect(settings.url.get_secret_value(), user_data_path("styleflow"))
    try:
        if database.file is not None and not database.file.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(database.file))
        with database.reading() as connection:
            yield connection
    finally:
        database.close()


def show_list(
    settings: StoreSettings, wanted: Wanted, limit: int, out: Console, *, as_json: bool
) -> None:
    """Print incidents, newest first: a line each.

    Args:
        settings: where the store is.
        wanted: which.
        limit: how many at most.
        out: where to.
        as_json: as they travel on the wire.
    """
    with reading(settings) as connection:
        found = records.search(connection, wanted, limit)
    for incident in found:
        _print(out, incident_data(incident).model_dump_json() if as_json else _line(incident))
    if not found and not as_json:
        _print(out, "no incidents")


def show(settings: StoreSettings, name: str, out: Console, *, as_json: bool) -> None:
    """Print one incident, what was said of it, and who did what.

    Raises:
        IncidentUnknown: there is none of this id.
    """
    with reading(settings) as connection:
        incident = records.load(connection, name)
        if incident is None:
            raise IncidentUnknown(name)
        notes = records.notes(connection, name)
        entries = audit.entries(connection, subject=f"incident/{name}", limit=500)[::-1]
    if as_json:
        told = {
            "incident": incident_data(incident).model_dump(mode="json"),
            "notes": [{"at": n.at.isoformat(), "by": n.by, "text": n.text} for n in notes],
            "audit": [
                {"at": e.at.isoformat(), "by": e.by, "action": e.action, "detail": dict(e.detail)}
                for e in entries
            ],
        }
        _print(out, json.dumps(told))
        return
    for line in _facts(incident):
        _print(out, line)
    for note in notes:
        _print(out, f"comment    {note.at:%Y-%m-%d %H:%M:%S} {note.by}: {note.text}")
    for entry in entries:
        _print(out, f"audit      {entry.at:%Y-%m-%d %H:%M:%S} {entry.by}: {entry.action}")


def export(
    settings: StoreSettings,
    file: Path,
    evidence: Path,
    split: str,
    streams: Sequence[str],
    out: Console,
) -> None:
    """Write labelled clips as a manifest, whose paths lead from it to the clips.

    Args:
        settings: where the store is.
        file: the manifest.
        evidence: folder of the clips.
        split: what each row says.
        streams: only theirs; all of them when empty.
        out: where to say how many.
    """
    folder = evidence.resolve()

    def place(clip: str) -> str:
        return Path(os.path.relpath(folder / clip, file.resolve().parent)).as_posix()

    with reading(settings) as connection:
        made = manifest(connection, split, place, streams)
    file.write_text(made.text, encoding="utf-8")
    _print(
        out,
        f"{file}: {made.clips['real']} real, {made.clips['fake']} fake; left out: "
        f"{made.left_out['unclear']} unclear, {made.left_out['no_clip']} without a clip",
    )


def _line(incident: Incident) -> str:
    label = incident.label.value if incident.label else "-"
    return (
        f"{incident.id}  {incident.opened:%Y-%m-%d %H:%M:%S}  {incident.severity.word:6}  "
        f"{incident.status.value:6}  {label:7}  {incident_summary(incident)}"
    )


def _facts(incident: Incident) -> Iterator[str]:
    peak, model = incident.peak, incident.scored_by
    yield f"incident   {incident.id}"
    yield f"stream     {incident.stream} ({incident.name})"
    yield f"opened     {incident.opened:%Y-%m-%d %H:%M:%S} UTC, {incident.status.value}"
    yield f"suspect    {incident.suspect_s:.1f} s, last {incident.last_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"score      at most {peak.p:.2f} ({peak.lo:.2f} to {peak.hi:.2f}), a lead and no proof"
    yield f"severity   {incident.severity.word}"
    yield f"model      {model.name} {model.version}, {model.mode}, {model.status}"
    if incident.notice:
        yield f"notice     {incident.notice}"
    if incident.label and incident.labelled:
        yield f"label      {incident.label.value}, by {incident.labelled.by}"
    yield f"evidence   {incident.evidence.state.value}"


def _print(out: Console, line: str) -> None:
    """Print a line whole, so that it can be copied and searched on a narrow terminal."""
    out.print(line, markup=False, highlight=False, soft_wrap=True)
