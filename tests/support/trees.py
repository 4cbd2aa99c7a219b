"""Miniature data sets: the layout is real, the files hold a byte."""

from pathlib import Path


def tree(root: Path, *names: str) -> Path:
    """Make some files of one byte with all their folders, and return the root."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root
