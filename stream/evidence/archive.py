"""Reading of a zip file that may come from anybody: its parts into memory, never onto the disk.

Refused before anything is unpacked: too many parts or bytes, parts that would grow too much,
folders, paths, links, names that stand twice, and anything beside the parts. The zip's own
checksums are not looked at, because they would hide which packet of a video was changed.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stream.evidence.bundle import MAX_BYTES, MAX_PARTS
from stream.evidence.errors import BundleRefused

MAX_RATIO = 100
"""How many bytes may become of one; what this program writes becomes at most about twenty."""

_SMALL = 1 << 16  # a part of which this becomes at most may shrink as it likes
_MAX_DIRECTORY = 1 << 16
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCATOR = b"PK\x06\x07"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class Found:
    """One part of a file.

    Attributes:
        name: as the file has it.
        data: what is in it; None when it cannot be unpacked.
    """

    name: str
    data: bytes | None


def read(path: Path) -> tuple[Found, ...]:
    """Return the parts of a file in their order.

    Raises:
        BundleRefused: it is no zip file, or may do harm.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        _check_end(file)
        try:
            with zipfile.ZipFile(file) as archive:
                infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise BundleRefused(f"this is no zip file: {error}") from error
        _check(infos)
        return tuple(Found(info.filename, _unpacked(file, info)) for info in infos)


def _check_end(file: BinaryIO) -> None:
    """Look at the directory's size before it is read."""
    size = file.seek(0, 2)
    if size < _END.size:
        raise BundleRefused("this is no zip file")
    if size > MAX_BYTES + _MAX_DIRECTORY + MAX_PARTS * 1024:
        raise BundleRefused(f"the file is larger than {MAX_BYTES} bytes")
    file.seek(max(size - _END.size - 20, 0))
    tail = file.read()
    mark, *_, count, length, offset, comment = _END.unpack(tail[-_END.size :])
    if mark != b"PK\x05\x06" or comment:
        raise BundleRefused("this is no zip file, or something follows it")
    if tail.startswith(_LOCATOR):
        raise BundleRefused("the file is in a form for larger ones (Zip64)")
    if count > MAX_PARTS or length > _MAX_DIRECTORY:
        raise BundleRefused(f"the file has more than {MAX_PARTS} parts")
    if offset + length + _END.size != size:
        raise BundleRefused("something stands before or behind the zip file's parts")


def _check(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_PARTS:
        raise BundleRefused(f"the file has more than {MAX_PARTS} parts")
    names: set[str] = set()
    end = 0
    for info in infos:
        _check_one(info)
        if info.filename in names:
            raise BundleRefused(f"{info.filename!r} stands in it twice")
        if info.header_offset < end:
            raise BundleRefused("parts of the file overlap")
        end = info.header_offset + _LOCAL.size + info.compress_size
        names.add(info.filename)
    if sum(info.file_size for info in infos) > MAX_BYTES:
        raise BundleRefused(f"more than {MAX_BYTES} bytes would become of it")


def _check_one(info: zipfile.ZipInfo) -> None:
    # The name as it was written: the library cuts it at a zero and turns separators.
    name = info.orig_filename
    if _NAME.fullmatch(name) is None or ".." in name:
        raise BundleRefused(f"{name!r} is no name of a part: no folders, paths or other letters")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        raise BundleRefused(f"{name!r} is a link, a folder or a device, and no file")
    if info.flag_bits & 0x1 or info.compress_type not in _METHODS:
        raise BundleRefused(f"{name!r} is encrypted, or packed in a way that is not known")
    if info.file_size > max(_SMALL, MAX_RATIO * info.compress_size):
        raise BundleRefused(f"{name!r} would grow more than {MAX_RATIO} times")
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        raise BundleRefused(f"{name!r} has two sizes")


def _unpacked(file: BinaryIO, info: zipfile.ZipInfo) -> bytes | None:
    file.seek(info.header_offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
        raise BundleRefused(f"{info.filename!r} is not where the directory says")
    _, _, _, method, *_, name_length, extra_length = _LOCAL.unpack(head)
    name = file.read(name_length)
    if name != info.filename.encode() or method != info.compress_type:
        raise BundleRefused(f"{info.filename!r} has another name or form at its place")
    file.seek(extra_length, 1)
    packed = file.read(info.compress_size)
    if len(packed) < info.compress_size:
        raise BundleRefused(f"{info.filename!r} is cut off")
    if method == zipfile.ZIP_STORED:
        return packed
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpacker.decompress(packed, info.file_size + 1)
    except zlib.error:
        return None
    return data if len(data) <= info.file_size else None
