"""Sealed credentials: opened with the key alone, and only where they belong."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stream.errors import SecretLost
from stream.store.secret_box import SecretBox

URL = "rtsp://admin:hunter2@camera/stream1"


def test_what_is_sealed_is_opened_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "made" / "store.key"
    sealed = SecretBox(path).seal(URL, "lobby")
    assert b"hunter2" not in sealed
    assert SecretBox(path).open(sealed, "lobby") == URL


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    SecretBox(path).seal(URL, "lobby")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_sealed_twice_alike(tmp_path: Path) -> None:
    box = SecretBox(tmp_path / "store.key")
    assert box.seal(URL, "lobby") != box.seal(URL, "lobby")


def test_sealed_text_of_another_stream_is_not_opened(tmp_path: Path) -> None:
    box = SecretBox(tmp_path / "store.key")
    with pytest.raises(SecretLost, match="do not fit"):
        box.open(box.seal(URL, "lobby"), "lift")


@pytest.mark.parametrize("damage", ["gone", "other", "short", "folder"])
def test_a_lost_key_is_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "store.key"
    sealed = SecretBox(path).seal(URL, "lobby")
    path.unlink()
    if damage == "other":
        SecretBox(path).seal(URL, "lobby")
    elif damage == "short":
        path.write_bytes(b"short")
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(SecretLost, match=r"store\.key"):
        SecretBox(path).open(sealed, "lobby")


def test_opening_makes_no_key(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    with pytest.raises(SecretLost):
        SecretBox(path).open(b"\x01" + b"0" * 40, "lobby")
    assert not path.exists()


@pytest.mark.parametrize("place", [0, 5, -1])
def test_damaged_text_is_not_opened(tmp_path: Path, place: int) -> None:
    box = SecretBox(tmp_path / "store.key")
    sealed = bytearray(box.seal(URL, "lobby"))
    sealed[place] ^= 1
    with pytest.raises(SecretLost):
        box.open(bytes(sealed), "lobby")
