"""The pages for people: the dashboard's views, and the operations at `/docs`.

They are files of this package and load nothing from anywhere else. The dashboard is built from
`web/dashboard` into `web/static/dashboard`; without a build the server runs all the same, and the
page says in one line how to make it. The build names its files relative to the root, which is
filled in here, so the page works below a prefix.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter
from fastapi.responses import Response

NOT_BUILT = "The dashboard is not built. Run: make dashboard"
"""Said by the page and by `serve` when there is no build."""

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}
_DOCS = ("docs.js", "style.css", "icon.svg", "icon-alarm.svg", "icon-clear.svg")
_VIEWS = ("/", "/streams/{id}", "/incidents", "/incidents/{id}", "/alerts", "/machines", "/help")
_REVALIDATE = "no-cache"
_FOREVER = "public, max-age=31536000, immutable"  # built files carry a digest in their name


def routes(build: Traversable | None = None, root_path: str = "") -> APIRouter:
    """Return a route per file; there is no folder to wander about in.

    Args:
        build: where the built dashboard is; None means this package's own.
        root_path: prefix below which clients see it.
    """
    router = APIRouter(include_in_schema=False)
    _dashboard(router, build if build is not None else built(), root_path)
    _add(router, "/docs", _static("docs.html"), _REVALIDATE)
    for name in _DOCS:
        _add(router, f"/static/{name}", _static(name), _REVALIDATE)
    return router


def built() -> Traversable:
    """Return the folder that the dashboard is built into."""
    return files("web").joinpath("static", "dashboard")


def is_built(build: Traversable | None = None) -> bool:
    """Return whether there is a dashboard to serve."""
    return (build if build is not None else built()).joinpath("index.html").is_file()


def _dashboard(router: APIRouter, build: Traversable, root_path: str) -> None:
    if not is_built(build):
        for path in _VIEWS:
            _route(router, path, NOT_BUILT.encode() + b"\n", "txt", _REVALIDATE, status=503)
        return
    # Relative links would change their meaning when the page goes from one view to another.
    root = f'="{escape(root_path)}/'.encode()
    index = build.joinpath("index.html").read_bytes().replace(b'="./', root)
    for path in _VIEWS:
        _route(router, path, index, "html", _REVALIDATE)
    for asset in build.joinpath("assets").iterdir():
        if asset.name.rpartition(".")[2] in _TYPES:
            _add(router, f"/assets/{asset.name}", asset, _FOREVER)


def _static(name: str) -> Traversable:
    return files("web").joinpath("static", name)


def _add(router: APIRouter, path: str, file: Traversable, caching: str) -> None:
    _route(router, path, file.read_bytes(), file.name.rpartition(".")[2], caching)


def _route(
    router: APIRouter, path: str, content: bytes, kind: str, caching: str, status: int = 200
) -> None:
    async def page() -> Response:
        headers = {"cache-control": caching}
        return Response(content, status, media_type=_TYPES[kind], headers=headers)

    router.add_api_route(path, page, response_model=None)
