"""H.264's own count of pictures: tells a picture that was lost from one that was never encoded.

Every slice carries `frame_num`, which grows by one, modulo a power of two, after each picture that
others are predicted from. An encoder that skips pictures leaves a hole in time and none in this
count; packets that vanish, wherever on the way, leave a hole in both. Pictures that nothing is
predicted from do not count, and losing one harms no other.

Only what leads to that number is read: a few fields of the sequence parameter set and the start of
the first slice. Whatever is not understood gives no answer, and no answer is no proof.

Source: ITU-T H.264, 7.3.2.1.1 (sequence parameter set), 7.3.3 (slice header), 7.4.3 (frame_num).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stream.ingest.source import Packet

_START = re.compile(b"\x00\x00\x01")
_HEAD = 96
"""Bytes of a unit that are read; a parameter set's fields of interest lie far before its end."""

_SLICE, _IDR, _SPS = 1, 5, 7
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class Count:
    """What the numbers say about what came right before a packet.

    Attributes:
        broken: a picture that others build on is missing.
        up_to: a hole of fewer pictures than this would have been noticed; 0 when nothing is known.
    """

    broken: bool = False
    up_to: int = 0


@dataclass(frozen=True, slots=True)
class _Sequence:
    modulus: int
    planes_apart: bool
    gaps_allowed: bool


class FrameNumbers:
    """Follows the numbers of one connection's packets, in the order in which they are decoded."""

    def __init__(self) -> None:
        self._sequence: _Sequence | None = None
        self._last: tuple[int, bool] | None = None  # the number, and whether others build on it
        self._extradata: bytes | None = None

    def take(self, packet: Packet) -> Count:
        """Return what the numbers say about a packet of H.264; any bytes are borne."""
        extradata = packet.format.extradata
        if extradata is not None and extradata != self._extradata:
            self._extradata = extradata
            self._learn(_parameter_sets(extradata))
        units = list(_units(packet.data, extradata))
        self._learn(units)
        try:
            return self._follow(units)
        except (EOFError, IndexError):
            self._last = None
            return Count()

    def _learn(self, units: list[bytes]) -> None:
        for unit in units:
            if unit and unit[0] & 31 == _SPS:
                try:
                    self._sequence = _read_sequence(unit)
                except (EOFError, IndexError):
                    self._sequence = None

    def _follow(self, units: list[bytes]) -> Count:
        first = next((u for u in units if u and u[0] & 31 in (_SLICE, _IDR)), None)
        sequence = self._sequence
        if first is None or sequence is None or sequence.gaps_allowed:
            self._last = None
            return Count()
        number = _read_number(first, sequence)
        before, self._last = self._last, (number, first[0] & 0x60 != 0)
        if first[0] & 31 == _IDR:
            return Count(up_to=sequence.modulus - 1)
        if before is None:
            return Count()
        last, counts = before
        # The second field of a picture repeats its number, so both answers are in order after one
        # that counts.
        sound = {last, (last + 1) % sequence.modulus} if counts else {last}
        return Count(broken=number not in sound, up_to=sequence.modulus - 1)


class _Bits:
    """Reads bits of a unit, whose emulation prevention is taken out."""

    def __init__(self, unit: bytes) -> None:
        plain = unit[:_HEAD].replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def take(self, count: int) -> int:
        """Return the next bits. Raises EOFError when there are too few."""
        if count > self._left:
            raise EOFError
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        """Return the next number in Exp-Golomb code, unsigned."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def _read_sequence(unit: bytes) -> _Sequence | None:
    """Return what a sequence parameter set says; None when it scales coefficients by lists."""
    bits = _Bits(unit[1:])
    profile = bits.take(8)
    bits.take(16)  # constraints and level
    bits.golomb()  # its id
    planes_apart = False
    if profile in _HIGH_PROFILES:
        if bits.golomb() == 3:  # 4:4:4
            planes_apart = bool(bits.take(1))
        bits.golomb()  # depth of luma
        bits.golomb()  # depth of chroma
        bits.take(1)
        if bits.take(1):
            return None
    modulus = 1 << min(bits.golomb() + 4, 16)
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        bits.golomb()
        bits.golomb()
        for _ in range(min(bits.golomb(), 255)):
            bits.golomb()
    bits.golomb()  # reference pictures
    return _Sequence(modulus, planes_apart, bool(bits.take(1)))


def _read_number(unit: bytes, sequence: _Sequence) -> int:
    bits = _Bits(unit[1:])
    for _ in ("first macroblock", "type", "picture parameter set"):
        bits.golomb()
    if sequence.planes_apart:
        bits.take(2)
    return bits.take(sequence.modulus.bit_length() - 1)


def _units(data: bytes, extradata: bytes | None) -> Iterator[bytes]:
    """Yield the heads of a packet's units; MP4 puts their lengths before them, others a mark."""
    if extradata is None or extradata[:1] != b"\x01":
        for mark in _START.finditer(data):
            yield data[mark.end() : mark.end() + _HEAD]
        return
    width = (extradata[4] & 3) + 1 if len(extradata) > 4 else 4
    place = 0
    while place + width < len(data):
        length = int.from_bytes(data[place : place + width], "big")
        yield data[place + width : place + width + min(length, _HEAD)]
        place += width + length


def _parameter_sets(extradata: bytes) -> list[bytes]:
    """Return the sequence parameter sets that came apart from the packets."""
    if extradata[:1] != b"\x01":
        return list(_units(extradata, None))
    sets, place = [], 6
    for _ in range(extradata[5] & 31 if len(extradata) > 5 else 0):
        length = int.from_bytes(extradata[place : place + 2], "big")
        sets.append(extradata[place + 2 : place + 2 + min(length, _HEAD)])
        place += 2 + length
    return sets
