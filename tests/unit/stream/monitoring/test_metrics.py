"""Metrics: conforming names, few labels, and no series left of a removed stream."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from stream.monitoring.metrics import SCRAPED, Figure, Metrics

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def test_names_and_labels_follow_the_conventions(metrics: Metrics) -> None:
    """Prefix, base units, `_total` for counters, and labels from the short closed list."""
    allowed = {
        "stream", "stage", "reason", "state", "verdict", "cause", "code", "segment",
        "version", "model", "status", "le", "detector", "severity",
        "channel", "outcome", "canary", "result", "worker",
    }  # fmt: skip
    for family in metrics.registry.collect():
        assert re.fullmatch(r"styleflow_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert set(sample.labels) <= allowed
    for scraped in SCRAPED:
        assert set(scraped.labels) <= allowed
        assert scraped.name.endswith("_total") == (scraped.kind == "counter")


def test_a_removed_stream_leaves_no_series(metrics: Metrics) -> None:
    metrics.stream_up.labels("lobby").set(1)
    metrics.tracks_ended.labels("lobby", "lost").inc()
    metrics.stream_up.labels("door").set(1)
    metrics.forget("lobby")
    text = generate_latest(metrics.registry).decode()
    assert "lobby" not in text
    assert 'stream="door"' in text


def test_scraped_figures_are_those_of_the_moment(metrics: Metrics) -> None:
    """Read anew at every scrape, from every source; a source may stop naming a stream."""
    totals = {"lobby": 3, "door": 2}
    metrics.scraped.attach(
        lambda: [Figure("packets_received_total", n, (s,)) for s, n in totals.items()]
    )
    metrics.scraped.attach(lambda: [Figure("calls", 1)])

    def packets(stream: str) -> float | None:
        labels = {"stream": stream}
        return metrics.registry.get_sample_value("styleflow_packets_received_total", labels)

    assert (packets("lobby"), packets("door")) == (3, 2)
    totals["lobby"] = 5
    del totals["door"]
    assert (packets("lobby"), packets("door")) == (5, None)
    assert metrics.registry.get_sample_value("styleflow_calls") == 1
    assert (
        "# TYPE styleflow_packets_received_total counter"
        in generate_latest(metrics.registry).decode()
    )


def test_a_scraped_figure_has_a_family(metrics: Metrics) -> None:
    metrics.scraped.attach(lambda: [Figure("packets_recieved_total", 1)])
    with pytest.raises(KeyError):
        generate_latest(metrics.registry)


def test_every_metric_is_documented(metrics: Metrics) -> None:
    """The page says of each what it says of itself."""
    rows = set()
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        rows.add(f"| `{name}` | {family.documentation} |")
    page = set((ROOT / "docs" / "operations.md").read_text(encoding="utf-8").splitlines())
    assert sorted(rows - page) == []


@pytest.mark.parametrize(
    "name", ["deploy/dashboard.json", "deploy/alerts.yml", "docs/operations.md"]
)
def test_what_is_shown_alerted_on_and_documented_exists(metrics: Metrics, name: str) -> None:
    """Every metric that the shipped dashboard, alerts and pages name is one that we export."""
    text = (ROOT / name).read_text(encoding="utf-8")
    ours = {
        sample
        for family in metrics.registry.collect()
        for ending in ("", "_total", "_bucket", "_sum", "_count")
        for sample in [family.name + ending]
    }
    named = set(re.findall(r"\bstyleflow_[a-z_]+", text))
    assert named
    assert named <= ours
