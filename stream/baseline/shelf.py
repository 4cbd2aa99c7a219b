"""Baselines on disk: a small JSON file per stream in one folder. Everything here waits for it.

Files and not the store, so that baselines are there without one, and commands and a running
analyzer share them: whoever writes puts a whole file in place of another, and the analyzer looks
at the folder again and again.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from stream.baseline.baseline import Baseline, read_document
from stream.baseline.errors import BaselinesFull, BaselineUnknown, BaselineUnusable

log = structlog.get_logger(__name__)

MAX_BASELINES = 1024
"""Streams that may have a baseline."""
MAX_BYTES = 100_000
"""Size of a file that is read; one has 3 kB."""
SUFFIX = ".baseline.json"


class BaselineShelf:
    """The folder of baselines.

    Args:
        folder: made when something is first put there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[tuple[int, int, int], Baseline | None]] = {}

    def all(self) -> Mapping[str, Baseline]:
        """Return every baseline by its stream; files that have not changed are not read again.

        A file that cannot be read is left out, and told of in the log once.
        """
        known = {}
        for path in self._files()[:MAX_BASELINES]:
            try:
                found = path.stat()
            except OSError:
                continue  # removed meanwhile
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
            before = self._known.get(path)
            if before is None or before[0] != stamp:
                before = stamp, self._read(path)
            known[path] = before
        self._known = known
        return {one.stream: one for _, one in known.values() if one is not None}

    def get(self, stream: str) -> Baseline:
        """Return a stream's baseline.

        Raises:
            BaselineUnknown: it has none.
        """
        found = self.all().get(stream)
        if found is None:
            raise BaselineUnknown(stream)
        return found

    def put(self, baseline: Baseline) -> None:
        """Keep a baseline in place of the stream's earlier one.

        Raises:
            BaselinesFull: as many as may be are kept.
            OSError: the folder cannot be written.
        """
        path = self._path(baseline.stream)
        files = self._files()
        if path not in files and len(files) >= MAX_BASELINES:
            raise BaselinesFull(MAX_BASELINES)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(baseline.document(), indent=1, ensure_ascii=False) + "\n"
        number, name = tempfile.mkstemp(dir=self.folder, prefix=".baseline-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise

    def remove(self, stream: str) -> None:
        """Forget a stream's baseline.

        Raises:
            BaselineUnknown: it has none.
            OSError: it cannot be removed.
        """
        try:
            self._path(stream).unlink()
        except FileNotFoundError:
            raise BaselineUnknown(stream) from None

    def _files(self) -> list[Path]:
        try:
            return sorted(self.folder.glob(f"*{SUFFIX}"))
        except OSError as error:
            if error.errno != errno.ENOENT:
                log.warning("baselines cannot be read", folder=str(self.folder), error=str(error))
            return []

    def _path(self, stream: str) -> Path:
        """Return a stream's file. Ids hold no slash; the prefix keeps them from being hidden."""
        return self.folder / f"stream-{stream}{SUFFIX}"

    def _read(self, path: Path) -> Baseline | None:
        try:
            with path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
            if len(text) > MAX_BYTES:
                raise BaselineUnusable(path.name, f"it is larger than {MAX_BYTES} bytes")
            document = json.loads(text)
            if not isinstance(document, dict):
                raise BaselineUnusable(path.name, "it is no JSON object")
            found = read_document(document, path.name)
            if self._path(found.stream) != path:
                raise BaselineUnusable(path.name, f"it is of the stream {found.stream!r}")
        except (OSError, ValueError, BaselineUnusable) as error:
            log.error("a baseline cannot be read", file=str(path), reason=str(error))
            return None
        return found
