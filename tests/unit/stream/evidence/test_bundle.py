"""Bundles: what was changed is told, by part and packet, and harmful files are refused."""

from __future__ import annotations

import io
import json
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.evidence import archive, bundle, verify
from stream.evidence.bundle import MANIFEST, SIDECAR, SIGNATURE, Contents, Part
from stream.evidence.errors import BundleRefused, BundleUnmade, SigningKeyLost
from stream.evidence.sidecar import Sidecar
from stream.evidence.signing import KEY_FILE, SigningKey, fingerprint, fits
from stream.evidence.verify import Checked
from tests.support.bundles import (
    INCIDENT,
    KEY,
    MADE,
    Files,
    bundled,
    contents,
    forged,
    unzipped,
    zipped,
)

PARTS = ("incident.json", "clip.mp4", SIDECAR, "scores.json")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A bundle as it was made."""
    return bundled(tmp_path / "whole.zip", contents(tmp_path))


def changed(whole: Path, change: Callable[[Files], Files]) -> Checked:
    """Check a bundle of which the files were changed."""
    files = change(unzipped(whole))
    return verify.check(
        zipped(whole.with_name("changed.zip"), [(n, d) for n, d in files]), {KEY.fingerprint}
    )


def flipped(data: bytes, place: int, bits: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


def with_part(files: Files, name: str, data: bytes) -> Files:
    return [(each, data if each == name else old) for each, old in files]


def told(checked: Checked) -> list[str]:
    return [str(fault) for fault in checked.faults]


def test_a_bundle_that_nobody_touched_is_whole(whole: Path) -> None:
    checked = verify.check(whole, {KEY.fingerprint})
    assert checked.whole
    assert checked.known
    assert checked.signer == KEY.fingerprint
    assert checked.intact == PARTS
    assert (checked.incident, checked.made) == (INCIDENT, MADE.isoformat())
    assert (checked.audit_number, checked.audit_hash) == (7, "ab" * 32)
    assert stat.S_IMODE(whole.stat().st_mode) == 0o600


def test_a_bundle_that_was_packed_anew_is_still_whole(whole: Path) -> None:
    assert changed(whole, lambda files: files).whole


def test_other_keys_are_unknown_and_no_fault(whole: Path) -> None:
    other = forged(whole.with_name("other.zip"), unzipped(whole), SigningKey(bytes(32)))
    checked = verify.check(other, {KEY.fingerprint})
    assert checked.whole
    assert not checked.known
    assert checked.signer == SigningKey(bytes(32)).fingerprint


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_byte_of_a_part_is_told(whole: Path, name: str) -> None:
    data = dict(unzipped(whole))[name]
    for place in (0, len(data) // 2, len(data) - 1):
        broken = flipped(data, place)
        checked = changed(whole, lambda files, made=broken: with_part(files, name, made))
        assert not checked.whole
        assert told(checked)[0] == f"{name}: was changed"
        assert checked.intact == tuple(each for each in PARTS if each != name)


@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_changed_byte_of_a_video_is_told_by_packet(whole: Path, number: int) -> None:
    files = dict(unzipped(whole))
    record = Sidecar.of_json(files[SIDECAR]).packets[number]
    broken = flipped(files["clip.mp4"], record.offset + record.size - 1)
    checked = changed(whole, lambda files: with_part(files, "clip.mp4", broken))
    begin, last = record.offset, record.offset + record.size - 1
    assert told(checked) == [
        "clip.mp4: was changed",
        f"clip.mp4: packet {number}, bytes {begin} to {last}: was changed",
    ]


def test_packets_that_changed_places_are_told(whole: Path) -> None:
    files = dict(unzipped(whole))
    said = json.loads(files[SIDECAR])
    said["packets"][1], said["packets"][2] = said["packets"][2], said["packets"][1]
    swapped = json.dumps(said).encode()
    checked = changed(whole, lambda files: with_part(files, SIDECAR, swapped))
    assert [fault.part for fault in checked.faults] == [SIDECAR]


def test_a_change_around_the_packets_is_told_as_one(whole: Path) -> None:
    broken = flipped(dict(unzipped(whole))["clip.mp4"], 5)
    checked = changed(whole, lambda files: with_part(files, "clip.mp4", broken))
    assert told(checked)[1:] == [
        "clip.mp4: every packet is as it was received; the change is around them"
    ]


def test_a_video_that_was_cut_is_told_by_packet(whole: Path) -> None:
    files = dict(unzipped(whole))
    record = Sidecar.of_json(files[SIDECAR]).packets[10]
    short = files["clip.mp4"][: record.offset + 1]
    checked = changed(whole, lambda files: with_part(files, "clip.mp4", short))
    assert [fault.packet for fault in checked.faults] == [None, 10, 11]
    assert checked.faults[1].what == "is cut off"


def test_packets_cannot_be_told_when_the_sidecar_was_changed_as_well(whole: Path) -> None:
    def change(files: Files) -> Files:
        by_name = dict(files)
        files = with_part(files, "clip.mp4", flipped(by_name["clip.mp4"], 900))
        return with_part(files, SIDECAR, by_name[SIDECAR].replace(b'"rtsp"', b'"file"'))

    assert "which packets cannot be said" in "\n".join(told(changed(whole, change)))


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
@pytest.mark.parametrize("bits", [1, 0x20, 0x80])
def test_every_byte_of_the_manifest_and_the_signature_counts(
    whole: Path, name: str, bits: int
) -> None:
    data = dict(unzipped(whole))[name]
    for place in range(0, len(data), 3):
        broken = flipped(data, place, bits)
        checked = changed(whole, lambda files, made=broken: with_part(files, name, made))
        assert not checked.whole, (place, data[place : place + 1])
        assert not checked.known
        assert not checked.intact


@pytest.mark.parametrize("name", PARTS)
def test_a_removed_part_is_told(whole: Path, name: str) -> None:
    checked = changed(whole, lambda files: [each for each in files if each[0] != name])
    assert told(checked) == [f"{name}: was removed"]


def test_an_added_part_is_told(whole: Path) -> None:
    checked = changed(whole, lambda files: [*files, ("more.json", b"{}")])
    assert told(checked) == ["more.json: was added"]


def test_another_order_is_told(whole: Path) -> None:
    checked = changed(whole, lambda files: [*files[:2], files[3], files[2], *files[4:]])
    assert told(checked) == ["clip.mp4: parts were put in another order: incident.json stood here"]


def test_without_a_signature_nothing_is_intact(whole: Path) -> None:
    checked = changed(whole, lambda files: [each for each in files if each[0] != SIGNATURE])
    assert not checked.whole
    assert checked.intact == ()
    assert "anybody may have made this file" in told(checked)[0]


def test_any_changed_byte_of_the_file_ends_in_a_verdict(whole: Path) -> None:
    """Never in an error of another kind; and nothing that is signed changes unseen."""
    data = whole.read_bytes()
    signed = dict(unzipped(whole))
    other = whole.with_name("flipped.zip")
    for place in [*range(0, len(data), 41), *range(len(data) - 500, len(data))]:
        other.write_bytes(flipped(data, place, 1 << place % 8))
        try:
            checked = verify.check(other, {KEY.fingerprint})
        except BundleRefused:
            continue
        if checked.whole:  # a time or a checksum of the zip itself
            assert {part.name: part.data for part in archive.read(other)} == signed


def test_a_bundle_without_a_manifest_is_refused(whole: Path) -> None:
    with pytest.raises(BundleRefused, match=r"no manifest\.json"):
        changed(whole, lambda files: [each for each in files if each[0] != MANIFEST])


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "a\\b", "C:x", "..", ".x", "x..y", "X", "é"]
)
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleRefused, match="is no name of a part"):
        verify.check(zipped(tmp_path / "x.zip", [(name, b"")]), ())


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
def test_links_and_folders_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("clip.mp4")
    info.external_attr = (kind | 0o777) << 16
    with pytest.raises(BundleRefused, match="is a link, a folder"):
        verify.check(zipped(tmp_path / "x.zip", [(info, b"/etc/passwd")]), ())


def test_names_that_stand_twice_are_refused(whole: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BundleRefused, match="twice"):
            changed(whole, lambda files: [*files, files[3]])


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipping:
        zipping.writestr("clip.mp4", bytes(1 << 24))
    path = tmp_path / "bomb.zip"
    path.write_bytes(made.getvalue())
    with pytest.raises(BundleRefused, match="would grow more than 100 times"):
        verify.check(path, ())


def test_too_many_bytes_and_parts_are_refused(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(f"p{n}", b"") for n in range(bundle.MAX_PARTS + 1)]
    with pytest.raises(BundleRefused, match="more than 64 parts"):
        verify.check(zipped(whole.with_name("many.zip"), [(n, d) for n, d in many]), ())
    monkeypatch.setattr(archive, "MAX_BYTES", 3000)
    with pytest.raises(BundleRefused, match=r"larger than|would become of it"):
        verify.check(whole, ())


def test_a_size_that_lies_unpacks_no_more_than_it_says(tmp_path: Path) -> None:
    """A directory that says little of what becomes much is no way round the limits."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipping:
        zipping.writestr("x", bytes(1 << 24))
    data = made.getvalue().replace((1 << 24).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path = tmp_path / "lies.zip"
    path.write_bytes(data)
    assert [part.data for part in archive.read(path)] == [None]


@pytest.mark.parametrize(
    "more", [{"size": 1 << 40}, {"bytes": 1 << 40}, {"units": [[65536, ""]] * 20_000, "tail": 0}]
)
def test_a_sidecar_that_would_fill_the_memory_is_not_followed(
    whole: Path, more: dict[str, object]
) -> None:
    files = unzipped(whole)
    said = json.loads(dict(files)[SIDECAR])
    said["packets"][0] |= more
    other = forged(whole.with_name("o.zip"), with_part(files, SIDECAR, json.dumps(said).encode()))
    files = unzipped(other)
    broken = flipped(dict(files)["clip.mp4"], 900)
    checked = changed(other, lambda files: with_part(files, "clip.mp4", broken))
    assert "more of the video than there can be" in told(checked)[-1]


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip" * 100])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(BundleRefused, match="no zip file"):
        verify.check(path, ())


def test_what_stands_around_the_zip_is_refused(whole: Path) -> None:
    data = whole.read_bytes()
    for other in (b"#!/bin/sh\n" + data, data + b"more"):
        whole.write_bytes(other)
        with pytest.raises(BundleRefused):
            verify.check(whole, ())


def test_what_would_be_refused_is_not_made(tmp_path: Path) -> None:
    parts = tuple(Part(f"p{n}", b"") for n in range(bundle.MAX_PARTS))
    with pytest.raises(BundleUnmade):
        bundled(tmp_path / "x.zip", Contents("i-1", parts, 0, ""))
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / KEY_FILE
    key = SigningKey.at(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.at(path).public == key.public
    assert key.fingerprint == fingerprint(key.public)
    assert fits(key.public, key.sign(b"x"), b"x")
    assert not fits(key.public, key.sign(b"x"), b"y")
    assert [each.name for each in path.parent.iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(b"short")
    with pytest.raises(SigningKeyLost):
        SigningKey.at(path)
    assert path.read_bytes() == b"short"
