"""Link statistics: differences of counters, and patience with a peer that sends too much."""

from __future__ import annotations

import pytest

from stream.events import LinkQuality
from stream.webrtc.statistics import LinkMeter, LinkSample


def kbps(meter: LinkMeter, at: float, rates: list[float]) -> list[bool]:
    """Let a second pass at each rate; say after each whether the peer is greedy."""
    greedy, sent = [], 0
    meter.update(LinkSample(at, sent, 0, 0, 0.0), None)
    for rate in rates:
        at, sent = at + 1.0, sent + round(rate * 125)
        meter.update(LinkSample(at, sent, 0, 0, 0.0), None)
        greedy.append(meter.is_greedy(at))
    return greedy


def test_quality_is_the_difference_of_two_samples() -> None:
    meter = LinkMeter(max_kbps=4000)
    meter.update(LinkSample(10.0, 1_000, 100, 100, 0.0), None)
    assert meter.quality is None
    meter.update(LinkSample(12.0, 251_000, 300, 250, 0.004), 0.03)
    assert meter.quality == LinkQuality(loss=0.25, jitter_s=0.004, rtt_s=0.03, kbps=1000.0)


@pytest.mark.parametrize(
    ("expected", "received", "loss"), [(0, 0, 0.0), (0, 5, 0.0), (10, 12, 0.0), (10, -3, 1.0)]
)
def test_loss_is_a_share_whatever_the_counters_say(
    expected: int, received: int, loss: float
) -> None:
    meter = LinkMeter(max_kbps=4000)
    meter.update(LinkSample(0.0, 0, 100, 100, 0.0), None)
    meter.update(LinkSample(1.0, 0, 100 + expected, 100 + received, 0.0), None)
    assert meter.quality is not None
    assert meter.quality.loss == loss


def test_far_too_much_for_more_than_ten_seconds_is_greedy() -> None:
    greedy = kbps(LinkMeter(max_kbps=1000), 50.0, [1600.0] * 12)
    assert greedy == [False] * 11 + [True]


def test_a_short_burst_is_forgiven() -> None:
    rates = [500.0 if second % 10 == 9 else 2000.0 for second in range(40)]
    assert not any(kbps(LinkMeter(max_kbps=1000), 50.0, rates))


def test_half_as_much_again_is_not_greedy() -> None:
    assert not any(kbps(LinkMeter(max_kbps=1000), 50.0, [1500.0] * 30))
