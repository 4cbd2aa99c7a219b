"""Access policy: the files and network addresses that a request may name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from stream.ingest.camera_hosts import REFUSAL, is_refused
from stream.outbound import Resolver
from web.errors import CameraRefused, NotAFile, PathMissing, PathRefused


def permitted_file(text: str, roots: Sequence[Path], setting: str) -> Path:
    """Return the real path of a file that lies in one of the roots.

    A relative path is looked for in each root. Whether a file outside exists is not told.

    Args:
        text: the path as given.
        roots: folders that may be read.
        setting: the setting that names them.

    Raises:
        Refusal: 403 outside the roots, 404 missing, 415 not a file.
    """
    outside = _outside(setting)
    if "\x00" in text or not text.strip():
        raise outside
    real = [root.resolve() for root in roots]
    inside = [
        path
        for root in real
        if any((path := _resolved(root / text)).is_relative_to(other) for other in real)
    ]
    if not inside:
        raise outside
    path = next((path for path in inside if _exists(path)), inside[0])
    if not _exists(path):
        raise PathMissing(path.name)
    if not path.is_file():
        raise NotAFile(path.name)
    return path


async def check_camera(url: str, resolve: Resolver) -> None:
    """Refuse an RTSP URL whose host has an address that no camera can have.

    Cameras live in private networks, so those are fine; link-local addresses are not, because
    that is where a cloud machine's own credentials are served. A host that has no address now is
    fine as well: the camera may come later.

    Raises:
        Refusal: 403.
    """
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    parts = urlsplit(f"rtsp://{authority}")
    try:
        found = await resolve(parts.hostname or "", parts.port or 554)
        refused = is_refused(found)
    except (OSError, ValueError, UnicodeError):
        return
    if refused:
        raise CameraRefused(REFUSAL)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links, or a name that is too long
        return Path("/")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the name is too long, or a folder may not be entered
        return False


def _outside(setting: str) -> PathRefused:
    return PathRefused("it lies outside the folders that are open to requests", setting)
