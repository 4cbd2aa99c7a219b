"""Keyframes: recognised in what peers send, and asked for no more often than is useful."""

from __future__ import annotations

import pytest

from stream.webrtc.keyframes import KeyframeRequests, is_keyframe

VP8_KEY = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01"
VP8_DELTA = b"\x11\x02\x00" + bytes(20)


@pytest.mark.parametrize(
    ("codec", "data", "keyframe"),
    [
        ("VP8", VP8_KEY, True),
        ("VP8", VP8_DELTA, False),
        ("VP8", b"", False),
        ("VP8", VP8_KEY[:6], False),
        ("VP8", b"\x10\x02\x00" + bytes(20), False),  # a keyframe's bit without its start code
        ("H264", b"\0\0\0\1\x67abc\0\0\0\1\x68a\0\0\0\1\x65abc", True),
        ("H264", b"\0\0\1\x65abc", True),
        ("H264", b"\0\0\0\1\x41abc", False),
        ("H264", b"\0\0\0\1\x67abc\0\0\0\1\x68a", False),
        ("H264", b"\0\0\1", False),
        ("H264", b"", False),
    ],
)
def test_keyframes_are_recognised(codec: str, data: bytes, *, keyframe: bool) -> None:
    assert is_keyframe(codec, data) is keyframe


def test_while_one_is_wanted_it_is_asked_for_twice_a_second() -> None:
    requests = KeyframeRequests(every_s=20.0, now=100.0)
    asked = [requests.due(100.0 + n / 4, wanted=True) for n in range(8)]
    assert asked == [True, False] * 4


def test_one_that_is_due_anyway_counts_from_the_newest() -> None:
    requests = KeyframeRequests(every_s=20.0, now=100.0)
    assert not requests.due(119.9, wanted=False)
    assert requests.due(120.0, wanted=False)
    requests.arrived(121.0)
    assert not requests.due(140.9, wanted=False)
    assert requests.due(141.0, wanted=False)
