"""Download through the package `huggingface_hub`, where it is installed and asked for.

It fetches the pieces of a large file in parallel, which is faster where the network is, and keeps
nothing of a download that ends early; `styleflow.weights.hub` goes on where it stopped.
"""

from __future__ import annotations

import errno
import importlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from styleflow.errors import DownloadFailed

_TELLING = ("huggingface_hub", "httpx2", "httpcore2", "httpx", "httpcore")
"""Loggers that tell whole addresses, signatures included."""

_NETWORK_BAR = "downloading bytes"  # of two bars: one counts what came, one what was put together


def download(
    repo: str,
    name: str,
    commit: str,
    size: int,
    target: Path,
    tell: Callable[[int], None],
    *,
    endpoint: str,
    token: str | None,
) -> None:
    """Download a file to a path.

    Args:
        repo: page, `owner/name`.
        name: of the file.
        commit: revision of the page.
        size: bytes that the hub announced.
        target: where it is put once it is whole.
        tell: told how many bytes are here.
        endpoint: address of the hub.
        token: of an account, or None: none is then sent, not even one that the package knows.

    Raises:
        DownloadFailed: the package is not installed, gave up, or more came than was announced.
        OSError: the disk is full.
    """
    package = _package(name)
    bar = _bar(package.utils.tqdm, name, size, tell)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".library-") as folder, _quiet():
        try:
            path = package.hf_hub_download(
                repo,
                name,
                revision=commit,
                local_dir=folder,
                endpoint=endpoint,
                token=token or False,
                tqdm_class=bar,
            )
        except DownloadFailed:
            raise
        except Exception as error:  # of the package, of its clients, of the system
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = f"huggingface_hub gave up ({type(error).__name__})"
            raise DownloadFailed(name, reason) from None  # the cause may name signed addresses
        Path(path).replace(target)


def _package(name: str) -> Any:
    try:
        package = importlib.import_module("huggingface_hub")
        importlib.import_module("huggingface_hub.utils")
    except ImportError:
        remedy = "Install it, or leave out --library: nothing else needs it"
        raise DownloadFailed(name, "huggingface_hub is not installed", remedy) from None
    return package


def _bar(base: Any, name: str, size: int, tell: Callable[[int], None]) -> type:
    """Return a bar that draws nothing: it tells what is here, and stops what is too much."""

    class Bar(base):  # type: ignore[misc]  # whatever the package's bar is
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            self.have = int(options.get("initial") or 0)
            self.counts = _NETWORK_BAR not in str(options.get("desc"))

        def update(self, n: float | None = 1) -> bool | None:
            self.have += int(n or 0)
            if self.counts and self.have > size:
                reason = f"more came than the {size} bytes that the hub announced"
                raise DownloadFailed(name, reason)
            if self.counts:
                tell(self.have)
            return None

    return Bar


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep addresses out of logs meanwhile."""
    loggers = [logging.getLogger(name) for name in _TELLING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
