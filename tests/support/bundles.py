"""Evidence bundles of small videos."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from stream.evidence import bundle, clip
from stream.evidence.bundle import MANIFEST, SIDECAR, SIGNATURE, Contents, Part
from stream.evidence.sidecar import Sidecar
from stream.evidence.signing import SigningKey
from tests.support.packets import recorded

MADE = datetime(2026, 3, 1, 2, 31, tzinfo=UTC)
KEY = SigningKey(bytes(range(32)))
INCIDENT = "20260301-023000-1"

Files = list[tuple[str, bytes]]


def contents(folder: Path, codec: str = "h264", count: int = 12) -> Contents:
    """Return a bundle's parts, with a video in them."""
    packets = recorded(folder, codec, count)
    media = folder / f"clip.{clip.container_of(codec)}"
    records = clip.write(packets, media)
    formats = clip.format_indices(packets)
    sidecar = Sidecar(media.name, formats, records, "rtsp", 100.0, MADE.isoformat(), {})
    parts = (
        Part("incident.json", b'{"id":"' + INCIDENT.encode() + b'"}\n'),
        Part(media.name, media.read_bytes()),
        Part(SIDECAR, sidecar.to_json()),
        Part("scores.json", b"[]\n"),
    )
    return Contents(INCIDENT, parts, 7, "ab" * 32)


def bundled(path: Path, made_of: Contents, key: SigningKey = KEY) -> Path:
    """Write a bundle and return its path."""
    bundle.save(path, made_of, key, MADE, "1.0")
    return path


def unzipped(path: Path) -> Files:
    """Return the files of a zip in their order."""
    with zipfile.ZipFile(path) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def zipped(path: Path, files: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    """Write a zip as anybody can, and return its path."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    path.write_bytes(made.getvalue())
    return path


def forged(path: Path, files: Files, key: SigningKey = KEY) -> Path:
    """Sign other files with a key and return the bundle's path; the audit log ended as it did."""
    said = json.loads(dict(files).get(MANIFEST, b"{}")).get("audit")
    head = (said["number"], said["hash"]) if said else (7, "ab" * 32)
    parts = [Part(name, data) for name, data in files if name not in (MANIFEST, SIGNATURE)]
    return bundled(path, Contents(INCIDENT, tuple(parts), *head), key)
