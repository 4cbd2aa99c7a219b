"""Pictures that were lost are told from pictures that were never encoded."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.clock import ManualClock
from stream.errors import SourceError
from stream.ingest.file import FileSource
from stream.ingest.frame_numbers import Count, FrameNumbers
from stream.ingest.source import Pace, Packet, SourceSettings, SourceUrl, StreamFormat


def packets(path: Path, numbers: range | list[int] = range(60), **options: str) -> list[Packet]:
    """Encode the pictures with these numbers and return their packets as a file gives them."""
    rng = np.random.default_rng(1)
    base = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for n in numbers:
            frame = av.VideoFrame.from_ndarray(np.roll(base, n, axis=1), format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    settings = SourceSettings(SourceUrl.parse(str(path)), pace=Pace.FAST)
    found = []
    try:
        for packet in FileSource(settings, ManualClock(), lambda _: False).packets():
            found.append(packet)
    except SourceError:
        return found
    raise AssertionError("a file ends")


def counts(given_packets: list[Packet]) -> list[Count]:
    numbers = FrameNumbers()
    return [numbers.take(packet) for packet in given_packets]


KINDS = [
    {"bf": "0", "g": "25"},
    {"bf": "3", "g": "25"},
    {"profile": "baseline", "g": "250"},
    {"bf": "2", "b-pyramid": "strict"},
]


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("options", KINDS)
def test_a_whole_stream_has_no_break(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    """Length-prefixed units as well as marked ones, with and without reordering."""
    found = counts(packets(tmp_path / f"a.{suffix}", **options))
    assert len(found) == 60
    assert not any(count.broken for count in found)
    assert all(count.up_to >= 15 for count in found)


def test_pictures_that_were_never_encoded_are_no_break(tmp_path: Path) -> None:
    numbers = [n for n in range(60) if n % 10 not in (3, 4)]
    assert not any(c.broken for c in counts(packets(tmp_path / "a.mp4", numbers, bf="0")))


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("lost", [1, 2, 7])
def test_pictures_that_vanished_are_a_break(tmp_path: Path, suffix: str, lost: int) -> None:
    whole = packets(tmp_path / f"a.{suffix}", bf="0", g="50")
    found = counts(whole[:20] + whole[20 + lost :])
    assert [n for n, count in enumerate(found) if count.broken] == [20]


def test_a_keyframe_begins_the_count_anew(tmp_path: Path) -> None:
    """Whatever was lost before it, it needs none of that."""
    whole = packets(tmp_path / "a.mp4", bf="0", g="25", sc_threshold="0")
    assert not any(count.broken for count in counts(whole[:20] + whole[25:]))


def test_without_parameter_sets_nothing_is_known(tmp_path: Path) -> None:
    whole = packets(tmp_path / "a.mp4", bf="0")
    bare = StreamFormat("h264", 96, 64, b"\x01\x64\x00\x0a\xff\xe0\x00")
    assert set(counts([replace(packet, format=bare) for packet in whole[1:]])) == {Count()}


@given(data=st.binary(max_size=200), extradata=st.none() | st.binary(max_size=80))
def test_any_bytes_are_borne(data: bytes, extradata: bytes | None) -> None:
    form = StreamFormat("h264", 96, 64, extradata)
    packet = Packet(data, 0, 0, Fraction(1, 25), False, 0.0, form)
    numbers = FrameNumbers()
    for _ in range(2):
        assert numbers.take(packet).up_to >= 0
