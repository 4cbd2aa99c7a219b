"""Bundles: what is known of an incident in one zip file, each part hashed, the whole signed.

`manifest.json` names every part in order, with its size and SHA-256, and where the audit log ended;
`signature.json` signs the manifest's exact bytes. `stream.evidence.verify` checks it.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from stream.evidence.errors import BundleUnmade
from stream.evidence.signing import SigningKey

FORMAT = "styleflow-evidence"
VERSION = 1

MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
SIDECAR = "packets.json"

MAX_PARTS = 64
MAX_BYTES = 1_200_000_000
"""All parts together: a video of the largest size that settings allow, and what is around it."""

ALGORITHM = "Ed25519"
STORED_ENDINGS = ("mp4", "webm", "mkv", "jpg")

_ROWS = {"audit": "entries of the audit log"}
_MAX_SHRINKING = 50
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # zip has no time zones; the manifest says when


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a bundle.

    Attributes:
        name: of the file; bundles have no folders.
        data: what is in it.
    """

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle is made of.

    Attributes:
        incident: id of the incident.
        parts: in the order in which they are written.
        audit_number: number of the audit log's newest entry; 0 without any.
        audit_hash: its hash.
        left_out: rows that a limit left out, by what they are, as `left_out_of` says it.
    """

    incident: str
    parts: tuple[Part, ...]
    audit_number: int
    audit_hash: str
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def as_json(value: Any) -> bytes:
    """Return JSON of which there is one form, one member of the top level a line."""
    if isinstance(value, Mapping):
        lines = (f"{_compact(key)}:{_compact(value[key])}" for key in sorted(value))
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    return ("[\n" + ",\n".join(_compact(each) for each in value) + "\n]\n").encode()


def manifest(contents: Contents, made: datetime, program: str) -> bytes:
    """Return the manifest's bytes, which are signed.

    Args:
        contents: what the bundle has.
        made: when.
        program: version of this program.
    """
    return as_json(
        {
            "format": FORMAT,
            "version": VERSION,
            "incident": contents.incident,
            "made": made.isoformat(),
            "program": program,
            "left_out": contents.left_out,
            "audit": {"number": contents.audit_number, "hash": contents.audit_hash},
            "parts": [
                {
                    "name": part.name,
                    "bytes": len(part.data),
                    "sha256": hashlib.sha256(part.data).hexdigest(),
                }
                for part in contents.parts
            ],
        }
    )


def left_out_words(left_out: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yield what limits left out, in words; nothing when all is there.

    Args:
        left_out: by what it is (`scores`, `events`, `audit`): the `limit`, and `rows` beyond it.
    """
    for name, said in sorted(left_out.items()):
        rows, limit = int(said["rows"]), int(said["limit"])
        if rows:
            yield f"{rows} {_ROWS.get(name, name)} beyond the limit of {limit}"


def signature(public: bytes, signed: bytes) -> bytes:
    """Return the bytes of `signature.json`."""
    return as_json({"algorithm": ALGORITHM, "public_key": public.hex(), "signature": signed.hex()})


def write(
    file: BinaryIO, contents: Contents, key: SigningKey, made: datetime, program: str
) -> None:
    """Write a bundle.

    Args:
        file: where to; it need not be able to seek.
        contents: what it has.
        key: what signs it.
        made: when.
        program: version of this program.

    Raises:
        BundleUnmade: it would be refused, because there is too much of it.
    """
    _check(contents.parts)
    listed = manifest(contents, made, program)
    signed = signature(key.public, key.sign(listed))
    parts = (Part(MANIFEST, listed), Part(SIGNATURE, signed), *contents.parts)
    with zipfile.ZipFile(file, "w") as archive:
        for part in parts:
            info = zipfile.ZipInfo(part.name, _LONG_AGO)
            info.external_attr = 0o600 << 16
            archive.writestr(info, part.data, _method(part))


def save(path: Path, contents: Contents, key: SigningKey, made: datetime, program: str) -> None:
    """Write a bundle to a file that only its owner may read: all of it, or nothing.

    Raises:
        BundleUnmade: there is too much of it.
        OSError: the disk does not take it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        opened = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w+b") as file:
            write(file, contents, key, made, program)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _check(parts: Sequence[Part]) -> None:
    size = sum(len(part.data) for part in parts)
    if size > MAX_BYTES or len(parts) + 2 > MAX_PARTS:
        raise BundleUnmade(f"{len(parts)} parts of {size} bytes are more than a bundle may have")


def _method(part: Part) -> int:
    """Return how a part is packed: what shrinks like a zip bomb is not, nor is video."""
    if part.name.rpartition(".")[2] in STORED_ENDINGS:
        return zipfile.ZIP_STORED
    shrinks = len(zlib.compress(part.data)) * _MAX_SHRINKING > len(part.data)
    return zipfile.ZIP_DEFLATED if shrinks else zipfile.ZIP_STORED


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
