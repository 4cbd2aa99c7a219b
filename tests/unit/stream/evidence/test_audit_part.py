"""The audit part of a bundle: hashes are made again, and the manifest's link to it is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.evidence import verify
from stream.evidence.audit_part import AUDIT, entries_and_fault
from stream.evidence.bundle import Contents, Part, as_json
from stream.evidence.contents import audit_json
from stream.store import audit
from stream.store.audit import GENESIS, AuditHead
from stream.store.database import open_database
from tests.support.bundles import INCIDENT, KEY, bundled, contents
from tests.support.incidents import NIGHT

SUBJECT = f"incident/{INCIDENT}"


@pytest.fixture
def log(tmp_path: Path) -> dict[str, Any]:
    """The audit part of an incident; the log ends with an entry about it."""
    database = open_database(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)
    with database.writing() as connection:
        for subject in (SUBJECT, SUBJECT, "stream/yard", SUBJECT):
            audit.append(connection, NIGHT, "ann", "incident.noted", subject, {"text": "a mask"})
        made = audit_json(audit.entries(connection, subject=SUBJECT)[::-1], audit.head(connection))
    database.close()
    return json.loads(as_json(made))  # type: ignore[no-any-return]


def head_of(log: dict[str, Any]) -> AuditHead:
    return AuditHead(log["head"]["number"], log["head"]["hash"])


def fault_of(log: dict[str, Any], said: AuditHead) -> str:
    return entries_and_fault(json.dumps(log).encode(), said, INCIDENT)[1]


def test_an_untouched_log_has_the_hashes_that_it_should_have(log: dict[str, Any]) -> None:
    assert entries_and_fault(json.dumps(log).encode(), head_of(log), INCIDENT) == (3, "")
    empty = {"entries": [], "head": {"number": 0, "hash": GENESIS}}
    assert entries_and_fault(json.dumps(empty).encode(), AuditHead(), INCIDENT) == (0, "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", 1),
        ("by", "bob"),
        ("action", "incident.seen"),
        ("detail", {"text": "no mask"}),
        ("previous", "ab" * 32),
        ("hash", "ab" * 32),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_value_of_every_entry_is_sealed(
    log: dict[str, Any], key: str, value: Any, number: int
) -> None:
    said = head_of(log)
    log["entries"][number][key] = value
    assert "was changed" in fault_of(log, said)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda log: log["entries"][0].update(subject="incident/other"), "something else"),
        (lambda log: log["entries"].reverse(), "another place"),
        (lambda log: log["entries"].append(log["entries"][-1]), "another place"),
        (lambda log: log["head"].update(number=9), "the manifest says"),
        (lambda log: log["head"].update(hash="ab" * 32), "the manifest says"),
        (lambda log: log["entries"][0].update(more=1), "cannot be read"),
        (lambda log: log["entries"][0].update(detail=3), "cannot be read"),
        (lambda log: log.pop("entries"), "cannot be read"),
    ],
)
def test_order_ends_and_forms_are_told(
    log: dict[str, Any], change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    said = head_of(log)
    change(log)
    assert words in fault_of(log, said)


def test_entries_that_follow_one_another_are_chained(log: dict[str, Any]) -> None:
    """Made anew with its own hash, an entry no longer leads to the next one."""
    said = head_of(log)
    first = log["entries"][0]
    first["by"] = "bob"
    unsealed = {key: value for key, value in first.items() if key != "hash"}
    first["hash"] = hashlib.sha256(audit.canonical(unsealed).encode()).hexdigest()
    assert "does not follow" in fault_of(log, said)


def test_the_log_ends_with_the_entry_that_the_head_names(log: dict[str, Any]) -> None:
    log["head"]["hash"] = "ab" * 32
    assert "is not the one with which the log ended" in fault_of(log, head_of(log))


def test_rubbish_is_told() -> None:
    for data in (b"[" * 100_000, b"null", b'{"entries":[],"head":{"number":1e400}}', b"\xff"):
        assert entries_and_fault(data, AuditHead(), INCIDENT)[1].startswith("cannot be read")


def test_a_bundle_that_was_signed_with_an_altered_log_is_not_whole(
    tmp_path: Path, log: dict[str, Any]
) -> None:
    made = contents(tmp_path)

    def checked(log: dict[str, Any]) -> verify.Checked:
        part = Part(AUDIT, json.dumps(log).encode())
        whole = Contents(INCIDENT, (*made.parts, part), head.number, head.hash)
        return verify.check(bundled(tmp_path / "x.zip", whole), {KEY.fingerprint})

    head = head_of(log)
    good = checked(log)
    assert good.whole
    assert good.audit_entries == 3
    log["entries"][1]["detail"] = {"text": "no mask"}
    bad = checked(log)
    assert AUDIT in bad.intact
    assert not bad.whole
    assert "entry 2 was changed: its hash is of something else" in str(bad.faults[0])
