"""What a datagram can be, by its first bytes and its length."""

from __future__ import annotations

import pytest

from stream.webrtc.datagrams import MAX_BYTES, DatagramKind, kind_of

STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
DTLS = b"\x16\xfe\xfd" + bytes(10)
RTP = b"\x80\x60" + bytes(10)
RTCP = b"\x80\xc8\x00\x01" + bytes(4)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (STUN, DatagramKind.STUN),
        (DTLS, DatagramKind.MEDIA),
        (RTP, DatagramKind.MEDIA),
        (RTCP, DatagramKind.MEDIA),
        (RTP + bytes(MAX_BYTES - len(RTP)), DatagramKind.MEDIA),
    ],
)
def test_what_calls_consist_of_is_known(data: bytes, kind: DatagramKind) -> None:
    assert kind_of(data) is kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        STUN[:-1],
        STUN[:4] + bytes(16),
        STUN + b"\x00",
        DTLS[:-1],
        RTP[:-1],
        RTCP[:-1],
        RTP + bytes(MAX_BYTES),
        *(bytes([first]) + bytes(60) for first in (4, 16, 19, 64, 79, 127, 192, 255)),
    ],
)
def test_an_empty_datagram_is_none_of_them_nor_is_any_stump(data: bytes) -> None:
    assert kind_of(data) is DatagramKind.UNKNOWN


def test_one_byte_is_never_enough() -> None:
    assert {kind_of(bytes([first])) for first in range(256)} == {DatagramKind.UNKNOWN}
