"""Bundles, reports and the signing key over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.evidence import verify
from stream.evidence.signing import SigningKey
from tests.support.evidence import EvidenceRig
from tests.support.packets import recorded
from tests.support.web import WebRig, problem
from web.routes.evidence_bundle import BundleSource
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

TOKEN, SCRAPER = "viewer-0123456789ab", "metrics-0123456789a"
TOKENS = (
    Token(TokenDigest(TOKEN), Role.VIEWER, "anna"),
    Token(TokenDigest(SCRAPER), Role.METRICS, "prometheus"),
)
KEPT = "20260301-023000-1"
PATHS = (f"incidents/{KEPT}/evidence.zip", f"incidents/{KEPT}/report", "evidence/key")


async def site(folder: Path) -> WebRig:
    """Return an application with one incident whose video is kept."""
    rig = EvidenceRig(folder)
    rig.held["lobby"] = recorded(folder, count=100)
    rig.wait(2)
    await rig.whole(KEPT)
    place = (await rig.recorder.file(KEPT, "clip")).parent.parent
    versions = {"styleflow-live": "1.0"}
    source = BundleSource(place, folder / "evidence.key", {"store": {}}, versions, 0.7)
    return WebRig(WebSettings(tokens=TOKENS), store=rig.store, bundles=source)


async def test_a_bundle_can_be_checked(tmp_path: Path) -> None:
    web = await site(tmp_path)
    async with web.client(TOKEN) as http:
        got = await http.get(f"/api/v1/incidents/{KEPT}/evidence.zip")
        key = (await http.get("/api/v1/evidence/key")).json()
    assert (got.status_code, got.headers["content-type"]) == (200, "application/zip")
    assert got.headers["content-length"] == str(len(got.content))
    assert got.headers["content-disposition"] == f'attachment; filename="incident-{KEPT}.zip"'
    file = tmp_path / "got.zip"
    file.write_bytes(got.content)
    checked = verify.check(file, {key["fingerprint"]})
    assert checked.whole
    assert checked.known
    assert {"clip.mp4", "packets.json", "picture.jpg"} <= set(checked.intact)
    own = SigningKey.at(tmp_path / "evidence.key")
    assert key == {"public_key": own.public.hex(), "fingerprint": own.fingerprint}


async def test_a_report_runs_and_loads_nothing(tmp_path: Path) -> None:
    web = await site(tmp_path)
    async with web.client(TOKEN) as http:
        got = await http.get(f"/api/v1/incidents/{KEPT}/report")
    assert got.status_code == 200
    assert got.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert "clip.mp4" in got.text


@pytest.mark.parametrize("path", PATHS)
async def test_whoever_may_not_read_gets_nothing(tmp_path: Path, path: str) -> None:
    web = await site(tmp_path)
    async with web.client() as http:
        assert (await http.get(f"/api/v1/{path}")).status_code == 401
    async with web.client(SCRAPER) as http:
        assert (await http.get(f"/api/v1/{path}")).status_code == 403


@pytest.mark.parametrize("part", ["evidence.zip", "report"])
async def test_an_incident_that_is_none_is_a_problem(tmp_path: Path, part: str) -> None:
    web = await site(tmp_path)
    async with web.client(TOKEN) as http:
        got = await http.get(f"/api/v1/incidents/nobody/{part}")
    assert problem(got, 404)["type"].endswith("incident_unknown")
