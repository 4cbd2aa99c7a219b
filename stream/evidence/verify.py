"""Checks of bundles: which part is as it was signed, which packet is not, and who signed.

It needs the file alone: no database, no network, and no key but the one it is compared with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.evidence import archive, bundle
from stream.evidence.archive import Found
from stream.evidence.audit_part import AUDIT, entries_and_fault
from stream.evidence.bundle import MANIFEST, SIDECAR, SIGNATURE
from stream.evidence.errors import BundleRefused
from stream.evidence.sidecar import Sidecar, record_fault
from stream.evidence.signing import KEY_BYTES, SIGNATURE_BYTES, fingerprint, fits
from stream.store.audit import AuditHead

MAX_PACKETS_TOLD = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was signed.

    Attributes:
        part: name of the file.
        what: in words.
        packet: number of the packet, of a video; None when it is about the file.
        begin: first byte of the packet's sample in the file.
        end: the byte after its last one.
    """

    part: str
    what: str
    packet: int | None = None
    begin: int = 0
    end: int = 0

    def __str__(self) -> str:
        if self.packet is None:
            return f"{self.part}: {self.what}"
        where = f"packet {self.packet}, bytes {self.begin} to {self.end - 1}"
        return f"{self.part}: {where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        incident: id, as the manifest says.
        made: when, as the manifest says.
        signer: fingerprint of the key that signed; empty when the signature does not fit.
        known: whether that key is one of those that it was compared with.
        intact: parts that are as they were signed.
        faults: everything else.
        audit_number: of the audit log's newest entry when the bundle was made.
        audit_hash: its hash.
        audit_entries: entries about the incident whose hashes were made again and fit.
        left_out: what the bundle's limits left out, in words.
    """

    incident: str
    made: str
    signer: str
    known: bool
    intact: tuple[str, ...]
    faults: tuple[Fault, ...]
    audit_number: int
    audit_hash: str
    audit_entries: int = 0
    left_out: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, removed, added or put elsewhere since it was signed."""
        return not self.faults and bool(self.signer)


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Manifest:
    incident: str
    made: str
    audit_number: int
    audit_hash: str
    parts: tuple[_Listed, ...]
    left_out: tuple[str, ...]


def check(path: Path, known: Collection[str]) -> Checked:
    """Check a bundle.

    Args:
        path: the file.
        known: fingerprints of keys that are trusted.

    Raises:
        BundleRefused: it is no bundle, or may do harm.
        OSError: it cannot be read.
    """
    return check_parts(archive.read(path), known)


def check_parts(found: Sequence[Found], known: Collection[str]) -> Checked:
    """Check a bundle that was read; see `check`.

    Raises:
        BundleRefused: it is no bundle.
    """
    by_name = {part.name: part.data for part in found}
    raw = by_name.get(MANIFEST)
    if raw is None:
        raise BundleRefused(f"it has no {MANIFEST}, so nothing of it can be checked")
    signer, signature_fault = _signer(by_name.get(SIGNATURE), raw)
    faults = [Fault(SIGNATURE, signature_fault)] if signature_fault else []
    try:
        said = _manifest(raw)
    except ValueError as error:
        faults.append(Fault(MANIFEST, f"was changed: {error}"))
        return Checked(
            incident="",
            made="",
            signer="",
            known=False,
            intact=(),
            faults=tuple(faults),
            audit_number=0,
            audit_hash="",
        )
    intact = tuple(part.name for part in said.parts if _is_intact(part, by_name.get(part.name)))
    faults += _part_faults(said.parts, found, intact)
    entries = 0
    if (log := by_name.get(AUDIT)) is not None:
        head = AuditHead(said.audit_number, said.audit_hash)
        entries, fault = entries_and_fault(log, head, said.incident)
        faults += [Fault(AUDIT, fault)] if fault else []
    return Checked(
        said.incident,
        said.made,
        signer,
        signer in known,
        intact if signer else (),
        tuple(faults),
        said.audit_number,
        said.audit_hash,
        entries,
        said.left_out if signer else (),
    )


def _signer(raw: bytes | None, listed: bytes) -> tuple[str, str]:
    """Return who signed, and what is wrong with the signature; one of them is empty."""
    if raw is None:
        return "", "is missing or cannot be unpacked, so anybody may have made this file"
    try:
        said = json.loads(raw)
        public, signed = bytes.fromhex(said["public_key"]), bytes.fromhex(said["signature"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", "was changed: it cannot be read"
    if raw != bundle.signature(public, signed):
        return "", "was changed: it is not written as signatures are"
    if len(public) != KEY_BYTES or len(signed) != SIGNATURE_BYTES:
        return "", "was changed: a key or signature of another size"
    if not fits(public, signed, listed):
        return "", f"does not fit: it, its key or {MANIFEST} was changed"
    return fingerprint(public), ""


def _manifest(raw: bytes) -> _Manifest:
    try:
        said = json.loads(raw)
        if said["format"] != bundle.FORMAT or said["version"] != bundle.VERSION:
            raise ValueError("of another version")
        if len(said["parts"]) > bundle.MAX_PARTS:
            raise ValueError("too many parts")
        parts = tuple(_listed(each) for each in said["parts"])
        if len({part.name for part in parts}) != len(parts):
            raise ValueError("a part stands in it twice")
        return _Manifest(
            str(said["incident"]),
            str(said["made"]),
            int(said["audit"]["number"]),
            str(said["audit"]["hash"]),
            parts,
            tuple(bundle.left_out_words(said.get("left_out", {}))),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as why:
        raise ValueError(f"it cannot be read ({why})") from None


def _listed(raw: Mapping[str, Any]) -> _Listed:
    return _Listed(str(raw["name"]), int(raw["bytes"]), str(raw["sha256"]))


def _is_intact(listed: _Listed, data: bytes | None) -> bool:
    return (
        data is not None
        and len(data) == listed.bytes
        and hashlib.sha256(data).hexdigest() == listed.sha256
    )


def _part_faults(
    listed: Sequence[_Listed], found: Sequence[Found], intact: Collection[str]
) -> Iterator[Fault]:
    by_name = {part.name: part.data for part in found}
    wanted = [MANIFEST, SIGNATURE, *(part.name for part in listed)]
    for part in listed:
        if part.name not in by_name:
            yield Fault(part.name, "was removed")
        elif part.name not in intact:
            yield from _changed(part, by_name, intact)
    for name in by_name:
        if name not in wanted:
            yield Fault(name, "was added")
    there = [part.name for part in found if part.name in wanted]
    expected = [name for name in wanted if name in by_name]
    for name, other in zip(there, expected, strict=True):
        if name != other:
            yield Fault(name, f"parts were put in another order: {other} stood here")
            break


def _changed(
    listed: _Listed, parts: Mapping[str, bytes | None], intact: Collection[str]
) -> Iterator[Fault]:
    data = parts[listed.name]
    if data is None:
        yield Fault(listed.name, "was changed: it cannot be unpacked")
        return
    size = "" if len(data) == listed.bytes else f", {len(data)} bytes and not {listed.bytes}"
    yield Fault(listed.name, f"was changed{size}")
    sidecar = parts.get(SIDECAR)
    if listed.name == SIDECAR or sidecar is None:
        return
    try:
        known = Sidecar.of_json(sidecar)
    except ValueError:
        return
    if known.media != listed.name:
        return
    if not is_bounded(known):
        yield Fault(SIDECAR, "would make more of the video than there can be; it is not looked at")
        return
    if SIDECAR not in intact:
        yield Fault(listed.name, f"which packets cannot be said: {SIDECAR} was changed as well")
        return
    yield from _packet_faults(listed.name, known, data)


def is_bounded(known: Sidecar) -> bool:
    """Say whether packets can be rebuilt without more work than a bundle is worth."""
    filled = (
        record.tail + sum(unit if isinstance(unit, int) else unit[0] for unit in record.units or ())
        for record in known.packets
    )
    sizes = (max(record.size, record.bytes) for record in known.packets)
    return max(sum(sizes), sum(filled)) <= bundle.MAX_BYTES


def _packet_faults(name: str, known: Sidecar, media: bytes) -> Iterator[Fault]:
    told = 0
    for record in known.packets:
        what = record_fault(record, media)
        if not what:
            continue
        told += 1
        if told <= MAX_PACKETS_TOLD:
            begin, end = record.offset, record.offset + record.size
            yield Fault(name, what, record.number, begin, end)
    if told > MAX_PACKETS_TOLD:
        yield Fault(name, f"{told - MAX_PACKETS_TOLD} further packets are not as they were")
    if not told:
        yield Fault(name, "every packet is as it was received; the change is around them")
