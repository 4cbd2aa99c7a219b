"""Clips of packets: what players show, and what can be rebuilt bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import ClipUnmade
from stream.evidence import clip
from stream.evidence.sidecar import PacketRecord, Sidecar, record_fault
from stream.ingest.source import Packet, StreamFormat
from tests.support.packets import as_called, recorded

CODECS = [("h264", "mp4"), ("hevc", "mp4"), ("vp8", "webm")]


def written(packets: Sequence[Packet], folder: Path) -> tuple[Path, tuple[PacketRecord, ...]]:
    path = folder / f"clip.{clip.container_of(packets[0].format.codec)}"
    return path, clip.write(packets, path)


def sidecar(packets: Sequence[Packet], records: tuple[PacketRecord, ...]) -> Sidecar:
    formats = clip.format_indices(packets)
    return Sidecar("clip.mp4", formats, records, "rtsp", 100.0, "2026-03-01T02:30:00Z", {})


def played(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [
            (float(frame.time or 0), frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize(("codec", "ending"), CODECS)
def test_every_packet_is_a_picture_of_a_clip(tmp_path: Path, codec: str, ending: str) -> None:
    packets = recorded(tmp_path, codec)
    path, records = written(packets, tmp_path)
    assert path.suffix == f".{ending}"
    shown = played(path)
    assert len(shown) == len(records) == len(packets)
    assert shown[0][1].shape == (120, 160, 3)
    times = [at for at, _ in shown]
    assert times[0] == 0
    assert np.diff(times) == pytest.approx([0.04] * (len(times) - 1), abs=0.002)


@pytest.mark.parametrize(("codec", "ending"), CODECS)
def test_packets_are_rebuilt_byte_by_byte(tmp_path: Path, codec: str, ending: str) -> None:
    packets = recorded(tmp_path, codec)
    path, records = written(packets, tmp_path)
    read = Sidecar.of_json(sidecar(packets, records).to_json())
    assert list(read.rebuilt(path.read_bytes())) == packets
    assert all(record.whole is None for record in records)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_packets_of_files_are_rebuilt_as_well(tmp_path: Path, codec: str) -> None:
    packets = recorded(tmp_path, codec, lengths=True)
    path, records = written(packets, tmp_path)
    assert list(sidecar(packets, records).rebuilt(path.read_bytes())) == packets
    assert len(played(path)) == len(packets)


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8"])
def test_calls_tell_neither_size_nor_decoding_times(tmp_path: Path, codec: str) -> None:
    packets = as_called(recorded(tmp_path, codec))
    path, records = written(packets, tmp_path)
    assert list(sidecar(packets, records).rebuilt(path.read_bytes())) == packets
    assert played(path)[0][1].shape == (120, 160, 3)


def test_pictures_that_refer_to_later_ones_are_shown_in_order(tmp_path: Path) -> None:
    packets = recorded(tmp_path, "h264", b_frames=2)
    path, records = written(packets, tmp_path)
    assert list(sidecar(packets, records).rebuilt(path.read_bytes())) == packets
    times = [at for at, _ in played(path)]
    assert times == sorted(times)
    assert len(times) == len(packets)


def test_a_clip_goes_on_across_a_reconnection(tmp_path: Path) -> None:
    first = recorded(tmp_path, count=25)
    second = [
        replace(packet, pts=packet.pts + 10**9, dts=None, arrived=packet.arrived + 8)
        for packet in first
        if packet.pts is not None
    ]
    path, records = written([*first, *second], tmp_path)
    assert list(sidecar(first + second, records).rebuilt(path.read_bytes())) == first + second
    times = [at for at, _ in played(path)]
    assert len(times) == 50
    assert times[25] - times[24] == pytest.approx(7.04, abs=0.01)


def test_packets_without_any_times_are_told_apart_by_arrival(tmp_path: Path) -> None:
    packets = [replace(packet, pts=None, dts=None) for packet in recorded(tmp_path, count=10)]
    path, _ = written(packets, tmp_path)
    assert [at for at, _ in played(path)] == pytest.approx([n * 0.04 for n in range(10)], abs=1e-3)


def test_the_file_is_fragmented_so_its_beginning_plays_without_its_end(tmp_path: Path) -> None:
    path, records = written(recorded(tmp_path), tmp_path)
    (tmp_path / "part.mp4").write_bytes(path.read_bytes()[: records[25].offset])
    assert len(played(tmp_path / "part.mp4")) >= 24


def test_a_byte_that_changed_is_told(tmp_path: Path) -> None:
    packets = recorded(tmp_path, count=10)
    path, records = written(packets, tmp_path)
    media = bytearray(path.read_bytes())
    media[records[7].offset + records[7].size - 1] ^= 1
    assert [n for n in range(10) if record_fault(records[n], bytes(media))] == [7]
    last = records[9].offset + records[9].size
    assert record_fault(records[9], bytes(media[: last - 1])) == "is cut off"


def test_a_clip_begins_with_a_keyframe_and_has_one_codec(tmp_path: Path) -> None:
    packets = recorded(tmp_path, count=50)
    other = recorded(tmp_path, "vp8", count=5, began=200)
    chosen = clip.choose([*packets[10:], *other], packets[30].arrived)
    assert chosen.packets == tuple(packets[25:])
    assert (chosen.before_keyframe, chosen.other_codec) == (15, 5)
    assert clip.choose([], 1.0).packets == ()
    assert clip.choose(packets[1:20], 1.0).packets == ()


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8"])
def test_a_picture_is_the_one_of_a_moment(tmp_path: Path, codec: str) -> None:
    packets = recorded(tmp_path, codec)
    path, _ = written(packets, tmp_path)
    jpeg = clip.picture(packets, packets[30].arrived)
    assert jpeg is not None
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1)
    assert bgr is not None
    image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    off = [float(np.abs(image.astype(int) - shown).mean()) for _, shown in played(path)]
    assert abs(int(np.argmin(off)) - 30) <= 1
    assert clip.picture([], 0.0) is None


def test_rubbish_is_no_clip_and_no_picture(tmp_path: Path) -> None:
    known = StreamFormat("h264", 160, 120, None)
    rubbish = [Packet(bytes(40), n, None, Fraction(1, 25), True, float(n), known) for n in range(3)]
    assert clip.picture(rubbish, 1.0) is None
    with pytest.raises(ClipUnmade):
        clip.write(rubbish, tmp_path / "clip.mp4")


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8"])
@pytest.mark.parametrize(
    "data",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[:3],
        lambda data: data[: len(data) // 2],
        lambda data: data[4:],
        lambda data: data + bytes(3),
        lambda data: bytes(100),
        lambda data: bytes(range(7, 200)),
        lambda data: b"\x00\x00\x00\x01\x09\xf0" + data,
    ],
)
def test_rubbish_in_the_middle_does_not_cost_the_clip(
    tmp_path: Path, codec: str, data: Callable[[bytes], bytes]
) -> None:
    """A sender who wants no evidence would only have to send one such packet."""
    packets = recorded(tmp_path, codec)
    for number in (11, 12, 13):
        packets[number] = replace(packets[number], data=data(packets[number].data), lossy=True)
    path, records = written(packets, tmp_path)
    read = Sidecar.of_json(sidecar(packets, records).to_json())
    assert list(read.rebuilt(path.read_bytes())) == packets
    with av.open(str(path)) as container:
        samples = [unit for unit in container.demux(video=0) if unit.size]
    assert len(samples) >= 47
    assert clip.picture(packets, packets[40].arrived) is not None


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_first_keyframe_that_is_damaged_does_not_cost_the_clip(
    tmp_path: Path, codec: str
) -> None:
    packets = recorded(tmp_path, codec)
    packets[0] = replace(packets[0], data=packets[0].data[:40], lossy=True)
    path, records = written(packets, tmp_path)
    assert list(sidecar(packets, records).rebuilt(path.read_bytes())) == packets


@pytest.mark.parametrize(("codec", "ending"), CODECS)
def test_pictures_may_change_their_size(tmp_path: Path, codec: str, ending: str) -> None:
    packets = recorded(tmp_path, codec, count=30)
    packets += recorded(tmp_path, codec, count=30, size=(320, 240), began=102)
    path, records = written(packets, tmp_path)
    assert path.suffix == f".{ending}"
    assert list(sidecar(packets, records).rebuilt(path.read_bytes())) == packets
    assert [shown.shape[1] for _, shown in played(path)] == [160] * 30 + [320] * 30


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"[]",
        lambda text: text[:-20],
        lambda text: text.replace(b'"version":1', b'"version":2'),
        lambda text: text.replace(b'"format":0', b'"format":9'),
        lambda text: text.replace(b'"offset":', b'"offset":-'),
        lambda text: text.replace(b'"time_base":[1,', b'"time_base":[1,0,'),
        lambda text: b"[" * 100_000,
    ],
)
def test_a_sidecar_of_somebody_else_is_refused_in_words(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    packets = recorded(tmp_path, count=5)
    _, records = written(packets, tmp_path)
    text = sidecar(packets, records).to_json()
    with pytest.raises(ValueError, match="sidecar cannot be read"):
        Sidecar.of_json(change(text))
