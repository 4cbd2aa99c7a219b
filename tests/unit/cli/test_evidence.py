"""`styleflow evidence`: from the store to a bundle and a page, and back without the store."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from typer.testing import CliRunner

from cli.main import app
from stream.evidence.bundle import SIDECAR
from stream.evidence.signing import KEY_FILE, SigningKey
from stream.incident import Evidence, EvidenceState
from stream.incidents import records
from stream.incidents.records import Note
from stream.store import audit
from stream.store.access import to_us
from stream.store.audit import AuditEntry
from stream.store.database import open_database
from stream.store.tables import evidence, scores, streams
from tests.support import past
from tests.support.bundles import INCIDENT, contents, forged, unzipped, zipped
from tests.support.incidents import NIGHT, incident

RUNNER = CliRunner()
PASSWORD = "hunter2"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An incident in a store, with its video, and another one without."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("STYLEFLOW__STORE__URL", url)
    folder = tmp_path / "data" / "styleflow" / "evidence" / INCIDENT
    folder.mkdir(parents=True)
    for part in contents(tmp_path).parts[1:3]:
        (folder / part.name).write_bytes(part.data)
    (folder / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    kept = Evidence(EvidenceState.KEPT, NIGHT, NIGHT + timedelta(seconds=5), 9, "cd" * 32)
    database = open_database(url, tmp_path)
    with database.writing() as connection:
        records.save(connection, incident(INCIDENT, evidence=kept, notes=1))
        records.save(connection, incident("i-2"))
        records.add_note(connection, INCIDENT, Note(NIGHT, "ann", "a mask"))
        audit.append(connection, NIGHT, "ann", "incident.labelled", f"incident/{INCIDENT}", {})
        audit.append(connection, NIGHT, "bob", "stream.added", "stream/yard", {})
        past.stream(connection)
        connection.execute(update(streams).values(source="rtsp://192.0.2.7/stream1"))
        past.full(connection, [0.1, 0.9, None])
        connection.execute(update(scores).values(at=to_us(NIGHT) + scores.c.seq * 250_000))
        connection.execute(
            insert(evidence).values(
                incident=INCIDENT,
                state="kept",
                file=f"{INCIDENT}/clip.mp4",
                details=json.dumps({"sidecar": SIDECAR, "picture": "picture.jpg", "packets": 12}),
            )
        )
    database.close()
    return tmp_path


def run(*words: str | Path, code: int = 0) -> Any:
    result = RUNNER.invoke(app, ["evidence", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def exported(site: Path, name: str = INCIDENT) -> Path:
    file = site / f"{name}.zip"
    run("export", name, file)
    return file


def test_a_bundle_has_everything_that_is_known(site: Path) -> None:
    files = dict(unzipped(exported(site)))
    assert set(files) == {
        *("manifest.json", "signature.json", "clip.mp4", SIDECAR, "picture.jpg", "incident.json"),
        *("notes.json", "scores.json", "events.json", "model.json", "configuration.json"),
        *("versions.json", "clock.json", "audit.json"),
    }
    said = {name: json.loads(data) for name, data in files.items() if name.endswith(".json")}
    assert said["incident.json"]["id"] == INCIDENT
    assert [each["p"] for each in said["scores.json"]["scores"]] == [0.1, 0.9, None]
    assert said["notes.json"][0]["text"] == "a mask"
    assert said["model.json"]["weights"][0]["sha256"] == "ab"
    assert "ab" in said["model.json"]["without_card"]
    assert said["versions.json"]["styleflow-live"]
    assert said["configuration.json"]["store"]["full_rate_hours"] == 48


def test_a_bundle_is_chained_to_the_audit_log(site: Path) -> None:
    files = dict(unzipped(exported(site)))
    said, manifest = json.loads(files["audit.json"]), json.loads(files["manifest.json"])
    assert manifest["audit"] == said["head"]
    assert said["head"]["number"] == 2
    (raw,) = said["entries"]
    entry = AuditEntry(**(raw | {"at": NIGHT}))
    assert raw["at"] == to_us(NIGHT)
    assert audit.sha256(entry) == entry.hash
    database = open_database(f"sqlite:///{site / 'store.db'}", site)
    with database.reading() as connection:
        assert audit.verify(connection, {2: said["head"]["hash"]}).intact
        assert not audit.verify(connection, {2: "00"}).intact
    database.close()


def test_a_bundle_tells_no_secrets(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = site / "config.yaml"
    config.write_text(
        "streams:\n- id: lobby\n  source:\n"
        f"    url: rtsp://anna:{PASSWORD}@192.0.2.7/stream1\n"
        "alerts:\n  channels:\n    webhook:\n    - name: w\n"
        f"      url: https://example.org/{PASSWORD}\n      secret: {PASSWORD}{PASSWORD}{PASSWORD}\n"
    )
    file = site / "x.zip"
    run("export", INCIDENT, file, "--config", config)
    files = dict(unzipped(file))
    assert b"192.0.2.7" in files["configuration.json"]
    assert [name for name, data in files.items() if PASSWORD.encode() in data] == []


def test_a_bundle_is_verified_without_the_store(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported(site)
    assert "as it was signed" in run("verify", file).output
    (site / "store.db").unlink()
    monkeypatch.setenv("XDG_DATA_HOME", str(site / "elsewhere"))
    result = run("verify", file, code=4)
    assert "an UNKNOWN key" in result.output
    assert not (site / "elsewhere").exists()
    key = SigningKey.at(site / "data" / "styleflow" / KEY_FILE)
    result = run("verify", file, "--key", key.fingerprint.upper())
    assert f"signed   by a key that is known here: {key.fingerprint}" in result.output
    assert "audit    1 entries, each with its own hash" in result.output
    assert "audit    log ended at entry 2" in result.output


def test_what_was_changed_is_told_by_packet(site: Path) -> None:
    files = unzipped(exported(site))
    record = json.loads(dict(files)[SIDECAR])["packets"][3]
    media = bytearray(dict(files)["clip.mp4"])
    media[record["offset"] + 9] ^= 1
    made = [(n, bytes(media) if n == "clip.mp4" else d) for n, d in files]
    result = run("verify", zipped(site / "changed.zip", [*made]), code=1)
    end = record["offset"] + record["size"] - 1
    assert f"clip.mp4: packet 3, bytes {record['offset']} to {end}: was changed" in result.output
    assert "intact   scores.json" in result.output
    assert "not as it was signed" in result.output


def test_a_bundle_that_was_signed_anew_is_of_an_unknown_key(site: Path) -> None:
    other = forged(site / "forged.zip", unzipped(exported(site)), SigningKey(bytes(32)))
    assert "an UNKNOWN key" in run("verify", other, code=4).output


def test_names_of_a_foreign_bundle_cannot_steer_the_terminal(site: Path) -> None:
    files = unzipped(exported(site))
    made = [(n, d.replace(INCIDENT.encode(), rb"\u001b[2J")) for n, d in files]
    assert "\x1b" not in run("verify", zipped(site / "x.zip", [*made]), code=1).output


def test_other_files_are_refused_in_one_line(site: Path) -> None:
    (site / "x.zip").write_bytes(b"no zip")
    result = RUNNER.invoke(app, ["evidence", "verify", str(site / "x.zip")])
    assert result.exit_code == 1
    assert "no zip file" in result.stderr


def test_an_incident_without_video_has_a_bundle_as_well(site: Path) -> None:
    file = exported(site, "i-2")
    assert "clip.mp4" not in dict(unzipped(file))
    run("verify", file)


def test_a_video_that_is_gone_is_told(site: Path) -> None:
    (site / "data" / "styleflow" / "evidence" / INCIDENT / "clip.mp4").unlink()
    run("export", INCIDENT, site / "x.zip", code=1)
    assert not (site / "x.zip").exists()
    run("export", "nobody", site / "x.zip", code=1)


def test_the_key_is_printed_and_made_once(site: Path) -> None:
    first = run("key").output
    path = site / "data" / "styleflow" / KEY_FILE
    assert SigningKey.at(path).fingerprint in first
    assert run("key").output == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_report_is_one_page(site: Path) -> None:
    file = site / "report.html"
    result = run("report", INCIDENT, file)
    assert "2 scores, clip.mp4" in result.output
    page = file.read_text()
    for words in ("a mask", "incident.labelled", "rtsp://192.0.2.7/stream1", "not proof"):
        assert words in page
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
