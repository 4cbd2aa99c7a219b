"""What canaries taught outlives a restart; a file that is none costs only the learning."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.canaries.judge import Learned
from stream.canaries.learned_file import LearnedFile

KNOWN = Learned({"net": "abc"}, {".canary.demo.real": "1"}, {".canary.demo.real": {"fps": [25.0]}})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = LearnedFile(tmp_path / "new" / "canaries.json")
    assert file.read() == Learned()
    file.write(KNOWN)
    assert file.read() == KNOWN
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["canaries.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": 1}', '{"figures": {"a": {"b": "c"}}}'])
def test_a_file_that_is_none_teaches_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "canaries.json"
    path.write_text(text, encoding="utf-8")
    assert LearnedFile(path).read() == Learned()


def test_a_folder_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    LearnedFile(tmp_path / "file" / "canaries.json").write(KNOWN)


def test_without_a_path_nothing_is_kept() -> None:
    LearnedFile(None).write(KNOWN)
    assert LearnedFile(None).read() == Learned()
