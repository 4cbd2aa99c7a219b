"""Shelf: the files of evidence in their folder. Everything here waits for the disk.

One folder per incident: the clip, its packets' sidecar and the picture of the peak. It is made
under another name, written through to the disk and renamed, so that there is all of it or nothing.
Only the analyzer's user may read it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from stream.evidence import clip
from stream.evidence.gathering import Gathering
from stream.evidence.records import EvidenceRow
from stream.evidence.sidecar import Sidecar
from stream.incident import Evidence, EvidenceState

SIDECAR = "packets.json"
PICTURE = "picture.jpg"

_NAME = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_PART = ".part"


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on two clocks, which turns arrivals into wall clock and back.

    Attributes:
        monotonic: seconds.
        utc: wall clock.
    """

    monotonic: float
    utc: datetime

    def wall(self, monotonic: float) -> datetime:
        """Return the wall clock at a monotonic second."""
        return self.utc + timedelta(seconds=monotonic - self.monotonic)

    def seconds(self, utc: datetime) -> float:
        """Return the monotonic second of a wall clock."""
        return self.monotonic + (utc - self.utc).total_seconds()


class Shelf:
    """Files of evidence below one folder.

    Args:
        folder: where they are; made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, gathering: Gathering, now: Moment) -> EvidenceRow | None:
        """Write what was gathered; return None when there is nothing that can be shown.

        Raises:
            ClipUnmade: no container takes the packets.
            OSError: the disk does not.
        """
        incident = gathering.incident
        peak = now.seconds(incident.peak.at)
        chosen = clip.choose(gathering.cut(), peak)
        if not chosen.packets:
            return None
        self._make_folder()
        part = self.folder / (incident.id + _PART)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        try:
            row = self._write(gathering, chosen, now, part)
            _sync(part)
            final = self.folder / incident.id
            shutil.rmtree(final, ignore_errors=True)
            part.rename(final)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        _sync(self.folder)
        return row

    def _write(
        self, gathering: Gathering, chosen: clip.Chosen, now: Moment, part: Path
    ) -> EvidenceRow:
        packets, incident = chosen.packets, gathering.incident
        media = part / f"clip.{clip.container_of(packets[0].format.codec)}"
        records = clip.write(packets, media)
        left_out = {
            "before_keyframe": chosen.before_keyframe,
            "other_codec": chosen.other_codec,
            **gathering.left_out,
        }
        sidecar = Sidecar(
            media.name,
            clip.format_indices(packets),
            records,
            gathering.kind,
            now.monotonic,
            now.utc.isoformat(),
            left_out,
            gathering.cut_notes(packets[0].arrived, packets[-1].arrived),
            gathering.engine,
        )
        (part / SIDECAR).write_bytes(sidecar.to_json())
        jpeg = clip.picture(packets, now.seconds(incident.peak.at))
        if jpeg is not None:
            (part / PICTURE).write_bytes(jpeg)
        sizes = 0
        for path in part.iterdir():
            path.chmod(0o600)
            _sync(path)
            sizes += path.stat().st_size
        evidence = Evidence(
            EvidenceState.KEPT,
            now.wall(packets[0].arrived),
            now.wall(packets[-1].arrived),
            media.stat().st_size,
            _digest(media),
        )
        details = {
            "sidecar": SIDECAR,
            "picture": "" if jpeg is None else PICTURE,
            "packets": len(packets),
            "codec": packets[0].format.codec,
            "source": gathering.kind,
            "left_out": left_out,
            "bytes_all": sizes,
        }
        return EvidenceRow(incident.id, evidence, f"{incident.id}/{media.name}", details)

    def path(self, row: EvidenceRow, name: str = "") -> Path | None:
        """Return the clip of a row, or a file beside it; None if it is not there."""
        file = self.folder / row.file
        path = file.with_name(name) if name else file
        if not row.file or not path.resolve().is_relative_to(self.folder.resolve()):
            return None
        return path if path.is_file() else None

    def delete(self, incident: str) -> None:
        """Delete what is kept of an incident; nothing is fine. Raises OSError."""
        if _NAME.fullmatch(incident) is None:
            return
        try:
            shutil.rmtree(self.folder / incident)
        except FileNotFoundError:
            return

    def names(self) -> Iterator[str]:
        """Yield the incidents of which there are files."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.is_dir() and _NAME.fullmatch(path.name):
                    yield path.name

    def sweep(self, states: Mapping[str, str]) -> None:
        """Delete what was half written, and what the store has as given way or never kept.

        Args:
            states: of the evidence of incidents; what is not among them is left alone, for it may
                be another store's.
        """
        if not self.folder.is_dir():
            return
        for part in self.folder.glob("*" + _PART):
            shutil.rmtree(part, ignore_errors=True)
        for name in list(self.names()):
            if states.get(name, EvidenceState.KEPT.value) != EvidenceState.KEPT.value:
                self.delete(name)

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
