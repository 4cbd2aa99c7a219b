"""A site measures on its own cameras: labelled incidents, their manifest, a whole evaluation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from stream.evidence import clip
from stream.evidence import records as evidence_records
from stream.evidence.records import EvidenceRow
from stream.incident import Evidence, EvidenceState, Label
from stream.incidents import records
from stream.store.database import open_database
from styleflow.data.index import FAKE, REAL
from styleflow.weights.checkpoint import shipped
from tests.support.incidents import NIGHT, incident
from tests.support.media import face_pictures
from tests.support.packets import recorded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FOUND = {
    "i-1": ("door", Label.TRUE, "h264"),
    "i-2": ("door", Label.TRUE, "hevc"),
    "i-3": ("yard", Label.FALSE, "h264"),
    "i-4": ("call", Label.FALSE, "vp8"),
    "i-5": ("yard", Label.UNCLEAR, "h264"),
}
"""Incidents by id: stream, what somebody found, codec of the clip."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with labelled incidents, and clips of a face as the analyzer keeps them."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("STYLEFLOW__STORE__URL", url)
    monkeypatch.setenv("STYLEFLOW__EVIDENCE__FOLDER", str(tmp_path / "evidence"))
    kept = Evidence(EvidenceState.KEPT, NIGHT, NIGHT, 9, "ab" * 32)
    pictures = face_pictures(100)
    packets = {
        codec: recorded(tmp_path, codec, len(pictures), pictures=pictures)
        for codec in ("h264", "hevc", "vp8")
    }
    database = open_database(url, tmp_path)
    with database.writing() as connection:
        for name, (stream, label, codec) in FOUND.items():
            file = f"{name}/clip.{clip.container_of(codec)}"
            (tmp_path / "evidence" / name).mkdir(parents=True)
            clip.write(packets[codec], tmp_path / "evidence" / file)
            records.save(connection, incident(name, stream=stream, label=label, evidence=kept))
            evidence_records.save(connection, EvidenceRow(name, kept, file))
    database.close()
    return tmp_path


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exit_code == 0, result.output
    return result.output


def test_labelled_incidents_are_evaluated_through_the_live_engine(site: Path) -> None:
    manifest, out = site / "labels" / "manifest.csv", site / "out"
    manifest.parent.mkdir()
    said = run("incidents", "export", manifest, "--split", "dev")
    assert "2 real, 2 fake; left out: 1 unclear, 0 without a clip" in said
    run("evaluate", manifest, "--out", out, "--rounds", "20", "--data", "our cameras")
    with (out / "clips.csv").open(newline="") as file:
        rows = {Path(row["clip"]).parent.name: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["i-1", "i-2", "i-3", "i-4"]
    assert {name: row["label"] for name, row in rows.items()} == {
        name: str(FAKE if FOUND[name][1] is Label.TRUE else REAL) for name in rows
    }
    assert all(row["problem"] == "" and 0 < float(row["score"]) < 1 for row in rows.values())
    metrics = json.loads((out / "metrics.json").read_text())
    counted = metrics["video"]["clips"]
    assert (counted["real"], counted["fake"], counted["unscored"]) == (2, 2, [])
    assert metrics["provenance"]["clips"] == 4
    assert shipped().sha256 in json.dumps(metrics["provenance"])
    assert (out / "report.html").stat().st_size > 1000
