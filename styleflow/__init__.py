"""Models and maths that turn frames of one face into evidence that it is synthesised.

No sockets, threads or clocks live here; only `weights`, `data` and `training` touch the disk.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Return `__version__`; it is looked up when it is first read."""
    if name == "__version__":
        from importlib.metadata import version

        return version("styleflow-live")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
