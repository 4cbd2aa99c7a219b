"""Traces: what was received is kept exactly, and damage is an error with a code."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.open import is_demo
from stream.ingest.source import Packet, SourceSettings, SourceUrl, StreamFormat
from stream.ingest.trace import TraceSource, TraceWriter

FORMATS = st.builds(
    StreamFormat,
    codec=st.sampled_from(["h264", "hevc"]),
    width=st.integers(16, 4096),
    height=st.integers(16, 4096),
    extradata=st.none() | st.binary(max_size=40),
)
PACKETS = st.builds(
    Packet,
    data=st.binary(max_size=200),
    pts=st.none() | st.integers(-(2**40), 2**40),
    dts=st.none() | st.integers(-(2**40), 2**40),
    time_base=st.fractions(min_value=Fraction(1, 90_000), max_value=1),
    keyframe=st.booleans(),
    arrived=st.floats(0, 1e9),
    format=FORMATS,
)


def write(path: Path, packets: list[Packet]) -> Path:
    with TraceWriter(path, SourceUrl.parse("demo://authentic")) as writer:
        for packet in packets:
            writer.write(packet)
    return path


def read(path: Path) -> tuple[list[Packet], SourceError]:
    source = TraceSource(SourceSettings(SourceUrl.parse(str(path))))
    packets: list[Packet] = []
    with pytest.raises(SourceError) as caught:
        packets.extend(source.packets())
    return packets, caught.value


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packets=st.lists(PACKETS, max_size=8))
def test_what_is_written_is_read(tmp_path: Path, packets: list[Packet]) -> None:
    got, end = read(write(tmp_path / "t.sftrace", packets))
    assert got == packets
    assert end.code is ReasonCode.ENDED


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packets=st.lists(PACKETS, min_size=1, max_size=3), data=st.data())
def test_damage_is_an_error_with_a_code(
    tmp_path: Path, packets: list[Packet], data: st.DataObject
) -> None:
    """Truncated and mutated traces end with CORRUPT or read as other packets; nothing else."""
    path = write(tmp_path / "t.sftrace", packets)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    _, end = read(path)
    assert end.code in (ReasonCode.CORRUPT, ReasonCode.ENDED)


def test_a_missing_trace_is_not_found(tmp_path: Path) -> None:
    assert read(tmp_path / "none.sftrace")[1].code is ReasonCode.NOT_FOUND


def test_a_trace_remembers_that_it_came_from_a_demo(tmp_path: Path) -> None:
    """What is recorded from a demo source is still a demo when it is replayed."""
    demo = write(tmp_path / "demo.sftrace", [])
    assert is_demo(SourceUrl.parse(str(demo)))
    with TraceWriter(tmp_path / "cam.sftrace", SourceUrl.parse("rtsp://u:hunter2@cam/1")):
        pass
    assert not is_demo(SourceUrl.parse(str(tmp_path / "cam.sftrace")))
    assert b"hunter2" not in (tmp_path / "cam.sftrace").read_bytes()
    assert not is_demo(SourceUrl.parse(str(tmp_path / "none.sftrace")))
