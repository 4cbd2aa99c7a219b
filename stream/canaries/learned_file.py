"""The file in which it is kept what canaries have taught, beside the store of the same user."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from stream.canaries.judge import Learned

log = structlog.get_logger(__name__)

FILE = "canaries.json"
"""Its name in the user's data directory."""

MAX_BYTES = 1 << 20

_FORM = TypeAdapter(Learned)


class LearnedFile:
    """What was learned, beyond a restart.

    Args:
        path: of the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def read(self) -> Learned:
        """Return what was learned; nothing where there is no file that can be read."""
        if self.path is None:
            return Learned()
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES} bytes")
            return _FORM.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return Learned()
        except (OSError, ValidationError, ValueError) as error:
            said = str(error).splitlines()[0]
            log.warning("what canaries had taught is lost; they learn anew", error=said)
            return Learned()

    def write(self, learned: Learned) -> None:
        """Keep what was learned; a file that cannot be written is logged, and costs a restart."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(asdict(learned), indent=1) + "\n", encoding="utf-8")
            new.replace(self.path)
        except OSError as error:
            log.warning("what canaries teach cannot be kept", error=str(error))
