"""Desired state: streams that were added while the analyzer ran, to be there after a restart.

Pure reads and writes; `stream.analyzer.remembered_streams` says when. A source's URL is kept as it
may be shown, and as it is in encrypted form. Streams of the configuration are the file's and are
not kept here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Row, insert, select, update

from stream.errors import SecretLost, StreamError
from stream.ingest.source import Pace, SourceSettings, SourceUrl, Transport
from stream.store import audit
from stream.store.access import to_us
from stream.store.secret_box import SecretBox
from stream.store.tables import streams

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WantedStream:
    """A stream as somebody wants it to be.

    Attributes:
        id: of the stream.
        source: how it is obtained.
        name: what people call it; the id when empty.
        priority: name of its priority.
        thresholds: what it is judged by where that differs from the configuration, by name.
        tags: what people sort it by, the most important first.
        placement: labels that its worker must have.
    """

    id: str
    source: SourceSettings
    name: str = ""
    priority: str = "normal"
    thresholds: Mapping[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    placement: Mapping[str, str] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """Return what may be told of it to anybody."""
        return {
            "source": self.source.url.redacted,
            "name": self.name,
            "priority": self.priority,
            **_source_settings(self.source),
            "thresholds": dict(self.thresholds),
            "tags": list(self.tags),
            "placement": dict(self.placement),
        }


class DesiredStreams:
    """Reads and writes wanted streams.

    Args:
        box: encrypts URLs that hold credentials.
    """

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def save(
        self, connection: Connection, wanted: WantedStream, at: datetime, by: str, action: str
    ) -> None:
        """Keep a stream as it is wanted now, and note who wants it so.

        Args:
            connection: in a transaction.
            wanted: the stream.
            at: wall clock.
            by: who asked for it.
            action: `stream.added` or `stream.changed`.
        """
        before = connection.execute(select(streams).where(streams.c.id == wanted.id)).first()
        values = self._values(wanted, before)
        values["changed"] = to_us(at)
        if before is None:
            connection.execute(insert(streams).values(id=wanted.id, **values))
        else:
            connection.execute(update(streams).where(streams.c.id == wanted.id).values(values))
        audit.append(connection, at, by, action, f"stream/{wanted.id}", _detail(wanted, before))

    def note(
        self, connection: Connection, wanted: WantedStream, at: datetime, by: str, action: str
    ) -> None:
        """Note that somebody wants a stream so that is not kept here; see `save`."""
        audit.append(connection, at, by, action, f"stream/{wanted.id}", wanted.shown())

    def drop(self, connection: Connection, stream: str, at: datetime, by: str) -> None:
        """Want a stream no longer, forget its credentials, and note who asked for it."""
        connection.execute(
            update(streams)
            .where(streams.c.id == stream)
            .values(wanted=False, secret=None, settings="{}", changed=to_us(at))
        )
        audit.append(connection, at, by, "stream.removed", f"stream/{stream}")

    def is_wanted(self, connection: Connection, stream: str) -> bool:
        """Say whether a stream is wanted, even if its settings cannot be read."""
        query = select(streams.c.number).where(streams.c.id == stream, streams.c.wanted)
        return connection.execute(query).first() is not None

    def wanted(self, connection: Connection) -> tuple[WantedStream, ...]:
        """Return every wanted stream, in the order in which they were first seen.

        One whose credentials cannot be read has a URL that says why. One whose settings cannot be
        read is left out, and told of in the log.
        """
        query = select(streams).where(streams.c.wanted).order_by(streams.c.number)
        found = []
        for row in connection.execute(query):
            try:
                found.append(self._stream(row))
            except (ValueError, TypeError, StreamError) as error:
                log.error("a stored stream cannot be read", stream=row.id, reason=str(error))
        return tuple(found)

    def _values(self, wanted: WantedStream, before: Row[Any] | None) -> dict[str, Any]:
        url = wanted.source.url
        kept = {
            "name": wanted.name,
            "wanted": True,
            "priority": wanted.priority,
            "settings": json.dumps(
                {
                    **_source_settings(wanted.source),
                    "thresholds": dict(wanted.thresholds),
                    "tags": list(wanted.tags),
                    "placement": dict(wanted.placement),
                },
                sort_keys=True,
            ),
        }
        if url.fault and before is not None:
            return kept  # what nobody can read now may be readable again
        secret = url.reveal() != url.redacted and not url.fault
        return {
            **kept,
            "source": url.redacted,
            "secret": self._box.seal(url.reveal(), wanted.id) if secret else None,
        }

    def _stream(self, row: Row[Any]) -> WantedStream:
        settings = json.loads(row.settings)
        ca_file = settings.get("tls_ca_file")
        source = SourceSettings(
            url=self._url(row),
            transport=Transport(settings.get("transport", Transport.AUTO.value)),
            timeout_s=float(settings.get("timeout_s", 2.5)),
            tls_verify=bool(settings.get("tls_verify", True)),
            tls_ca_file=Path(ca_file) if ca_file else None,
            pace=Pace(settings.get("pace", Pace.NATIVE.value)),
            loop=bool(settings.get("loop", False)),
        )
        thresholds = settings.get("thresholds", {})
        tags = tuple(str(tag) for tag in settings.get("tags", ()))
        placement = {str(key): str(value) for key, value in settings.get("placement", {}).items()}
        return WantedStream(row.id, source, row.name, row.priority, thresholds, tags, placement)

    def _url(self, row: Row[Any]) -> SourceUrl:
        if row.secret is None:
            return SourceUrl.parse(row.source)
        try:
            return SourceUrl.parse(self._box.open(bytes(row.secret), row.id))
        except SecretLost as error:
            log.error("credentials of a stream cannot be read", stream=row.id, reason=str(error))
            return SourceUrl.locked(row.source, f"{error}; give the stream's URL again")


def _source_settings(source: SourceSettings) -> dict[str, Any]:
    return {
        "transport": source.transport.value,
        "timeout_s": source.timeout_s,
        "tls_verify": source.tls_verify,
        "tls_ca_file": str(source.tls_ca_file) if source.tls_ca_file else None,
        "pace": source.pace.value,
        "loop": source.loop,
    }


def _detail(wanted: WantedStream, before: Row[Any] | None) -> dict[str, Any]:
    """Return what is new of a stream, for the audit log."""
    now = wanted.shown()
    if before is None or not before.wanted:
        return now
    then = {"source": before.source, "name": before.name, "priority": before.priority, "tags": []}
    then |= {"placement": {}}  # rows of older versions have none
    then |= json.loads(before.settings)
    changed = {key: value for key, value in now.items() if then.get(key) != value}
    return changed or {"source": now["source"]}
