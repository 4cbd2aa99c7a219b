"""The digest of a file is that of its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from styleflow.digest import file_digest


def test_it_is_the_contents_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "nowhere")
