"""Reading other people's files of weights without running anything that is in them.

Authors publish weights as Python pickles, and a pickle is a program: whoever unpickles one does
what it says. Here a restricted reader (torch's `weights_only`) builds tensors, numbers, text and
plain containers and refuses everything else before it is called. Around it, sizes are checked
first, so that a small file cannot ask for a lot of memory.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from styleflow.errors import CheckpointInvalid

MAX_FILE_BYTES = 16 << 30
"""Larger than any published file with its optimiser state (CADDM-b4: 3.5 GB)."""

MAX_PROGRAM_BYTES = 64 << 20
"""How long the pickle program itself, without tensor contents, may be; usual are below 1 MB."""

_MISTAKEN = (
    (re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE), "a web page"),
    (re.compile(rb"version https://git-lfs"), "a pointer into Git LFS"),
)
"""What downloads bring instead of the file, by its first bytes."""

_ASKED_FOR = re.compile(r"\bGLOBAL ([\w.]{1,80})")  # as torch names what it refused


def read(path: Path) -> Any:
    """Return what a file of `torch.save` holds, tensors on the CPU and read on demand.

    Raises:
        CheckpointInvalid: no such file, not such a file, damaged, or it asks for anything that is
            neither a tensor nor plain data.
    """
    if not path.is_file():
        raise CheckpointInvalid(path, "there is no such file")
    _check_size(path)
    _check_beginning(path)
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch asks to be told of unusual files
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise CheckpointInvalid(path, _refusal(error)) from error
    except Exception as error:  # whatever a damaged file makes the reader stumble over
        reason = f"is cut short, damaged, or no file of weights ({type(error).__name__})"
        raise CheckpointInvalid(path, reason) from error


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise CheckpointInvalid(path, f"{size} bytes; at most {MAX_FILE_BYTES} are read")


def _check_beginning(path: Path) -> None:
    with path.open("rb") as file:
        beginning = file.read(64)
    for pattern, what in _MISTAKEN:
        if pattern.match(beginning):
            raise CheckpointInvalid(path, f"is {what} and not the file itself: download that")


def _check_archive(path: Path) -> None:
    """Refuse an archive that unfolds to more than it weighs."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointInvalid(path, f"is a damaged archive ({error})") from error
    if not any(entry.filename.endswith("data.pkl") for entry in entries):
        inside = ", ".join(entry.filename for entry in entries[:3])
        raise CheckpointInvalid(path, f"is an archive of other files ({inside}): unpack it first")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise CheckpointInvalid(path, f"its part {entry.filename!r} is compressed")
        if entry.filename.endswith(".pkl") and entry.file_size > MAX_PROGRAM_BYTES:
            raise CheckpointInvalid(path, f"its part {entry.filename!r} is too long")


def _refusal(error: pickle.UnpicklingError) -> str:
    """Say in one line what was refused; torch's own text is a page of advice to trust the file."""
    text = str(error)
    asked = _ASKED_FOR.search(text)
    if asked:
        return f"asks to run {asked[1]}, which no file of weights needs; nothing was run"
    if "weights_only" in text:
        return "holds something other than tensors and plain data; nothing was run"
    return "is not a file of weights"
