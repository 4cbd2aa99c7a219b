"""The pages for people: a live table at `/` and the list of operations at `/docs`.

They are files of this package and load nothing from anywhere else.
"""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response

_PAGES = {"/": "index.html", "/docs": "docs.html"}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_ASSETS = ("app.js", "docs.js", "style.css", "icon.svg")


def routes() -> APIRouter:
    """Return a route per file; there is no folder to wander about in."""
    router = APIRouter(include_in_schema=False)
    for path, name in _PAGES.items():
        _add(router, path, name)
    for name in _ASSETS:
        _add(router, f"/static/{name}", name)
    return router


def _add(router: APIRouter, path: str, name: str) -> None:
    content = files("web").joinpath("static", name).read_bytes()
    media_type = _TYPES[name.rpartition(".")[2]]

    async def page() -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    router.add_api_route(path, page, methods=["GET", "HEAD"], response_model=None)
