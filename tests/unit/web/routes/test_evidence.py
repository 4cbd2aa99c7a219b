"""`/api/v1/incidents/{id}/clip` and `/picture`: whole, in parts, and missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.evidence import EvidenceRig
from tests.support.packets import recorded
from tests.support.web import WebRig, problem
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

TOKEN, SCRAPER = "viewer-0123456789ab", "metrics-0123456789a"
TOKENS = (
    Token(TokenDigest(TOKEN), Role.VIEWER, "anna"),
    Token(TokenDigest(SCRAPER), Role.METRICS, "prometheus"),
)
KEPT, PENDING = "20260301-023000-1", "20260301-023000-2"


async def kept(folder: Path, codec: str = "h264") -> tuple[EvidenceRig, WebRig]:
    """Return an application with one clip and one that is still to come."""
    rig = EvidenceRig(folder)
    rig.held["lobby"] = recorded(folder, codec, count=100)
    rig.wait(2)
    await rig.whole(KEPT)
    rig.open(PENDING)
    return rig, WebRig(WebSettings(tokens=TOKENS), store=rig.store, evidence=rig.recorder)


@pytest.mark.parametrize(("codec", "kind"), [("h264", "video/mp4"), ("vp8", "video/webm")])
async def test_a_clip_is_played_by_its_parts(tmp_path: Path, codec: str, kind: str) -> None:
    rig, web = await kept(tmp_path, codec)
    file = (await rig.recorder.file(KEPT, "clip")).read_bytes()
    url = f"/api/v1/incidents/{KEPT}/clip"
    async with web.client(TOKEN) as http:
        whole = await http.get(url)
        part = await http.get(url, headers={"range": "bytes=100-199"})
        beyond = await http.get(url, headers={"range": f"bytes={len(file)}-"})
    assert (whole.status_code, whole.content) == (200, file)
    assert whole.headers["content-type"] == kind
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["cache-control"].startswith("private")
    assert whole.headers["content-disposition"].startswith("inline")
    assert (part.status_code, part.content) == (206, file[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(file)}"
    assert beyond.status_code == 416


async def test_the_picture_is_a_jpeg(tmp_path: Path) -> None:
    _, web = await kept(tmp_path)
    async with web.client(TOKEN) as http:
        got = await http.get(f"/api/v1/incidents/{KEPT}/picture")
    assert (got.status_code, got.headers["content-type"]) == (200, "image/jpeg")
    assert got.content[:2] == b"\xff\xd8"


@pytest.mark.parametrize("what", ["clip", "picture"])
async def test_what_is_missing_says_why(tmp_path: Path, what: str) -> None:
    rig, web = await kept(tmp_path)
    async with web.client(TOKEN) as http:
        pending = await http.get(f"/api/v1/incidents/{PENDING}/{what}")
        unknown = await http.get(f"/api/v1/incidents/nobody/{what}")
        rig.shelf.delete(KEPT)
        gone = await http.get(f"/api/v1/incidents/{KEPT}/{what}")
        odd = await http.get(f"/api/v1/incidents/..%2F{KEPT}/{what}")
    for answer, why in ((pending, "pending"), (unknown, "nothing is known"), (gone, "folder")):
        said = problem(answer, 404)
        assert said["code"] == "evidence_missing"
        assert why in said["detail"]
    assert odd.status_code in (404, 422)


async def test_nobody_without_the_right_sees_a_face(tmp_path: Path) -> None:
    _, web = await kept(tmp_path)
    for token, status in ((None, 401), (SCRAPER, 403)):
        async with web.client(token) as http:
            assert (await http.get(f"/api/v1/incidents/{KEPT}/clip")).status_code == status
            assert (await http.get(f"/api/v1/incidents/{KEPT}/picture")).status_code == status
