"""The packet log is bounded in seconds and bytes and always begins on a keyframe."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.ingest.packets import PacketLog
from stream.ingest.source import Packet, StreamFormat

FORMAT = StreamFormat("h264", 64, 48, None)


def packet(arrived: float, *, keyframe: bool = False, size: int = 10) -> Packet:
    return Packet(bytes(size), None, None, Fraction(1, 90_000), keyframe, arrived, FORMAT)


def test_nothing_is_kept_before_the_first_keyframe() -> None:
    log = PacketLog()
    log.append(packet(0.0))
    log.append(packet(0.1, keyframe=True))
    log.append(packet(0.2))
    assert [p.arrived for p in log.snapshot()] == [0.1, 0.2]
    assert (log.counters.let_go_packets, log.counters.let_go_bytes) == (1, 10)


def test_old_groups_of_pictures_go_whole() -> None:
    log = PacketLog(max_seconds=3.0)
    for second in range(5):
        log.append(packet(float(second), keyframe=second % 2 == 0))
    assert [p.arrived for p in log.snapshot()] == [2.0, 3.0, 4.0]
    assert log.counters.let_go_packets == 2


def test_a_group_larger_than_the_log_is_let_go_entirely() -> None:
    log = PacketLog(max_bytes=25)
    for second in range(4):
        log.append(packet(float(second), keyframe=second == 0))
    assert log.snapshot() == ()
    assert log.counters.let_go_bytes == 40
    log.append(packet(5.0, keyframe=True))
    assert len(log.snapshot()) == 1


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(ValueError, match="empty packet log"):
        PacketLog(max_seconds=0)


@given(
    st.lists(st.tuples(st.floats(0, 2), st.booleans(), st.integers(0, 60)), min_size=1, max_size=80)
)
def test_its_bounds_hold_for_any_packets(steps: list[tuple[float, bool, int]]) -> None:
    log = PacketLog(max_seconds=5.0, max_bytes=100)
    now, sent = 0.0, 0
    for pause, keyframe, size in steps:
        now += pause
        sent += size
        log.append(packet(now, keyframe=keyframe, size=size))
        held, counters = log.snapshot(), log.counters
        assert not held or (held[0].keyframe and now - held[0].arrived <= 5.0)
        assert sum(len(p.data) for p in held) == counters.bytes <= 100
        assert counters.bytes + counters.let_go_bytes == sent
