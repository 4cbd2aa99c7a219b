"""Metrics: conforming names, few labels, and no series left of a removed stream."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from stream.monitoring.metrics import CounterCopy, Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def test_names_and_labels_follow_the_conventions(metrics: Metrics) -> None:
    """Prefix, base units, `_total` for counters, and labels from the short closed list."""
    allowed = {
        "stream", "stage", "reason", "state", "verdict", "cause", "code", "segment",
        "version", "model", "status", "le", "detector",
    }  # fmt: skip
    for family in metrics.registry.collect():
        assert re.fullmatch(r"styleflow_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
    for metric in vars(metrics).values():
        if hasattr(metric, "_labelnames"):
            assert set(metric._labelnames) <= allowed


def test_a_removed_stream_leaves_no_series(metrics: Metrics) -> None:
    metrics.stream_up.labels("lobby").set(1)
    metrics.frames_dropped.labels("lobby", "overrun").inc()
    metrics.stream_up.labels("door").set(1)
    metrics.forget("lobby")
    text = generate_latest(metrics.registry).decode()
    assert "lobby" not in text
    assert 'stream="door"' in text


def test_copied_totals_are_added_once(metrics: Metrics) -> None:
    """Copying the same total twice adds nothing; labels are kept apart."""
    copy = CounterCopy()
    for total in (3, 3, 5):
        copy.advance(metrics.packets, total, "lobby")
    copy.advance(metrics.packets, 2, "door")
    text = generate_latest(metrics.registry).decode()
    assert 'styleflow_packets_received_total{stream="lobby"} 5.0' in text
    assert 'styleflow_packets_received_total{stream="door"} 2.0' in text


@pytest.mark.parametrize("name", ["dashboard.json", "alerts.yml"])
def test_what_is_shown_and_alerted_on_exists(metrics: Metrics, name: str) -> None:
    """Every metric that the shipped dashboard and alerts name is one that we export."""
    text = (Path(__file__).resolve().parents[4] / "deploy" / name).read_text(encoding="utf-8")
    ours = {
        sample
        for family in metrics.registry.collect()
        for ending in ("", "_total", "_bucket", "_sum", "_count")
        for sample in [family.name + ending]
    }
    named = set(re.findall(r"\bstyleflow_[a-z_]+", text))
    assert named
    assert named <= ours
