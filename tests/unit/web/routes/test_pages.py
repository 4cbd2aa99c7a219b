"""The dashboard's files: served when they are there, explained when they are not."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from web.routes.pages import NOT_BUILT, is_built, routes


def client(build: Path, root_path: str = "") -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(routes(build, root_path))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build of one page and one script, beside a file that is nobody's business."""
    (tmp_path / "index.html").write_text("<!doctype html><title>wall</title>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-abc.js").write_text("export {}")
    (tmp_path / "assets" / "notes.map").write_text("{}")
    (tmp_path / "secret.js").write_text("let secret")
    return tmp_path


@pytest.mark.parametrize("path", ["/", "/streams/lobby", "/incidents", "/incidents/night-1"])
async def test_every_view_is_the_same_page(build: Path, path: str) -> None:
    async with client(build) as http:
        page = await http.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert "wall" in page.text


@pytest.mark.parametrize("path", ["/", "/streams/lobby", "/incidents", "/incidents/night-1"])
@pytest.mark.parametrize("prefix", ["", "/styleflow"])
async def test_every_view_finds_the_files_of_the_page(build: Path, path: str, prefix: str) -> None:
    """Also after the page has gone on to another view, at another depth."""
    page = '<link href="./static/icon.svg"><script src="./assets/index-abc.js"></script>'
    (build / "index.html").write_text(page)
    async with client(build, prefix) as http:
        text = (await http.get(path)).text
    named = re.findall(r'="([^"]+)"', text)
    assert named == [f"{prefix}/static/icon.svg", f"{prefix}/assets/index-abc.js"]


async def test_built_files_are_kept_by_browsers_for_good(build: Path) -> None:
    async with client(build) as http:
        script = await http.get("/assets/index-abc.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/assets/notes.map", "/secret.js", "/assets/secret.js", "/assets/../secret.js"]
)
async def test_nothing_else_is_served(build: Path, path: str) -> None:
    async with client(build) as http:
        assert (await http.get(path)).status_code == 404


async def test_a_missing_build_is_explained_in_one_line(tmp_path: Path) -> None:
    assert not is_built(tmp_path)
    async with client(tmp_path) as http:
        page = await http.get("/")
        docs = await http.get("/docs")
    assert page.status_code == 503
    assert page.text == NOT_BUILT + "\n"
    assert docs.status_code == 200
