"""Check of a bundle's `audit.json`: every entry's hash is made again, and the log's end compared.

A bundle holds the entries about its incident, and not those between them, whose contents are other
people's business. So two entries that do not follow each other are linked by their numbers alone;
the whole log is checked where it lies (`stream.store.audit.verify`), with the head that bundles
carry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stream.store import audit
from stream.store.access import from_us
from stream.store.audit import GENESIS, AuditEntry, AuditHead

AUDIT = "audit.json"


def entries_and_fault(data: bytes, said: AuditHead, incident: str) -> tuple[int, str]:
    """Return how many entries are as they were written, and the first thing that is wrong.

    Args:
        data: the part; it may come from anybody.
        said: where the log ended, as the manifest says.
        incident: whose bundle it is.
    """
    try:
        raw = json.loads(data)
        head = AuditHead(int(raw["head"]["number"]), str(raw["head"]["hash"]))
        entries = [_entry(each) for each in raw["entries"]]
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as why:
        return 0, f"cannot be read ({why})"
    if head != said:
        return 0, (
            f"the log ends at entry {head.number} there, and the manifest says "
            f"{said.number}, or with another hash"
        )
    if head.number == 0 and head.hash != GENESIS:
        return 0, "the log is empty there, and has a hash"
    before = AuditHead()
    for count, entry in enumerate(entries):
        fault = _fault(entry, before, head, incident)
        if fault:
            return count, fault
        before = AuditHead(entry.number, entry.hash)
    return len(entries), ""


def _fault(entry: AuditEntry, before: AuditHead, head: AuditHead, incident: str) -> str:
    number = entry.number
    if not before.number < number <= head.number:
        return f"entry {number} stands in another place"
    if entry.subject != f"incident/{incident}":
        return f"entry {number} is about something else"
    if audit.sha256(entry) != entry.hash:
        return f"entry {number} was changed: its hash is of something else"
    if number == before.number + 1 and entry.previous != before.hash:
        return f"entry {number} does not follow the one before it"
    if number == head.number and entry.hash != head.hash:
        return f"entry {number} is not the one with which the log ended"
    return ""


def _entry(raw: Mapping[str, Any]) -> AuditEntry:
    if set(raw) != {"number", "at", "by", "action", "subject", "detail", "previous", "hash"}:
        raise ValueError("an entry of another form")
    entry = AuditEntry(
        number=int(raw["number"]),
        at=from_us(int(raw["at"])),
        by=str(raw["by"]),
        action=str(raw["action"]),
        subject=str(raw["subject"]),
        detail=dict(raw["detail"]),
        previous=str(raw["previous"]),
        hash=str(raw["hash"]),
    )
    entry.sealed()  # what has no canonical form, or is nested too deep, is told here
    return entry
