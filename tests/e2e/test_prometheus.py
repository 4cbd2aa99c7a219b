"""What operators see and are woken by: every shipped expression in a real Prometheus.

An analyzer analyses a video to its end; then its figures rest, and what Prometheus makes of each
expression of the dashboard and of the rules is compared with what the analyzer itself says.
"""

from __future__ import annotations

import json
import operator
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from tests.support.media import encode, face_pictures
from tests.support.prometheus import DEPLOY, Labels, Prometheus, Vector, program
from tests.support.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

OPERATOR, METRICS = "operator-0123456789abcdef0123456789", "metrics-0123456789abcdef0123456789"
EXTRAPOLATED = 1.25
"""Most that Prometheus adds to a rise for the ends of a window that lie between scrapes."""


RULES: dict[str, str] = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
PANELS: dict[str, list[str]] = {
    panel["title"]: [target["expr"] for target in panel.get("targets", ())]
    for panel in json.loads((DEPLOY / "dashboard.json").read_text())["panels"]
}
SHIPPED = [
    *((name, expression) for name, expression in RULES.items()),
    *((title, expression) for title, found in PANELS.items() for expression in found),
]
"""Every expression of the rules and of the dashboard, with where it stands."""


@dataclass(frozen=True)
class Watched:
    """An analyzer at rest and the Prometheus that has watched it.

    Attributes:
        prometheus: with the whole story.
        at: a time of its clock after the last change.
        begun: what the analyzer said when the stream was just added.
        said: what it said just before that time.
        later: what it said just after; a few counters go on.
    """

    prometheus: Prometheus
    at: float
    begun: dict[str, Vector]
    said: dict[str, Vector]
    later: dict[str, Vector]

    def now(self, name: str, *by: str, **labels: str) -> Vector:
        """Return a metric as the analyzer tells it, summed over all labels but these."""
        return summed(self.said[f"styleflow_{name}"], by, labels)

    def rise(self, name: str, window: str, *by: str, **labels: str) -> Vector:
        """Return how far counters rose within a window, by the samples alone.

        The last sample of each is what the analyzer says; that is checked here.
        """
        series = self.prometheus.samples(f"styleflow_{name}", window, self.at)
        said, later = self.said[f"styleflow_{name}"], self.later[f"styleflow_{name}"]
        assert series.keys() == said.keys() == later.keys(), name
        assert all(said[k] <= v[-1] <= later[k] for k, v in series.items()), name
        return summed({k: v[-1] - v[0] for k, v in series.items()}, by, labels)


def summed(vector: Vector, by: tuple[str, ...], labels: dict[str, str]) -> Vector:
    total: Vector = {}
    for key, value in vector.items():
        if labels.items() <= dict(key).items():
            kept = tuple((k, v) for k, v in key if k in by)
            total[kept] = total.get(kept, 0.0) + value
    return total


def figures(server: Server) -> dict[str, Vector]:
    """Return everything that an analyzer says at `/metrics`, by name and labels."""
    headers = {"Authorization": f"Bearer {METRICS}"}
    text = httpx.get(f"{server.url}/metrics", headers=headers, timeout=20).text
    found: dict[str, Vector] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            told = {k: v for k, v in sample.labels.items() if v}  # Prometheus keeps no empty ones
            key: Labels = tuple(sorted(told.items()))
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def configuration(folder: Path) -> Path:
    """Write the configuration of an analyzer that finds every face suspect, and tells nobody."""
    hook = {"name": "desk", "url": "http://127.0.0.1:9/", "secret": "a secret of the test"}
    settings: dict[str, Any] = {
        "web": {
            "source_roots": [str(folder)],
            "tokens": [
                {"token": OPERATOR, "role": "operator"},
                {"token": METRICS, "role": "metrics"},
            ],
        },
        "incidents": {"experimental_alarms": True, "quiet_s": 300},
        "detectors": [
            {"name": "styleflow-live", "calibration": {"scale": 0.01, "bias": 8, "spread": 0.1}}
        ],
        "alerts": {
            "channels": {"webhook": [hook | {"allow_networks": ["127.0.0.0/8"]}]},
            "rules": [{"name": "all", "channels": ["desk"]}],
            "outbox": {"first_s": 60},
        },
    }
    path = folder / "styleflow.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An analyzer that was watched from before its stream to after its end, and then stopped."""
    folder = tmp_path_factory.mktemp("watched")
    program("prometheus")
    video = encode(folder / "face.mp4", face_pictures(200), "h264")
    with ExitStack() as stack:
        with Server(configuration(folder)) as server:
            prometheus = stack.enter_context(
                Prometheus(folder / "prometheus", server.port, METRICS)
            )
            begun = story(server, prometheus, video)
            said = figures(server)
            asked = prometheus.until("vector(1)")
            at = prometheus.until(f"timestamp(styleflow_streams) > {asked}")
            later = figures(server)
        yield Watched(prometheus, at, begun, said, later)


def story(server: Server, prometheus: Prometheus, video: Path) -> dict[str, Vector]:
    """Have a video analysed and alarmed on, and a client refused; return the first figures."""
    prometheus.until("styleflow_streams == 0")
    body = {"id": "door", "source": {"url": str(video), "loop": False}}
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    added = httpx.post(f"{server.url}/api/v1/streams", json=body, headers=headers, timeout=20)
    assert added.status_code == 201
    begun = figures(server)
    with connect(f"ws://127.0.0.1:{server.port}/api/v1/scores") as stranger:
        stranger.send(json.dumps({"type": "hello"}))  # without a token: closed with 1008
        prometheus.until('styleflow_ws_disconnects_total{code="1008"} > 0')
    prometheus.until("styleflow_alarms_total > 0")
    prometheus.until('styleflow_alerts_total{outcome="failed"} > 0')
    prometheus.until('styleflow_stream_state{state="ended"} == 1')
    prometheus.until("sum(changes(styleflow_scores_total[2s])) == 0")
    return begun


# --- what the analyzer's own figures make of each expression -----------------------------------

Bounds = tuple[Vector, Vector]
"""The least and the most that each value may be."""


def exactly(vector: Vector) -> Bounds:
    return vector, vector


def risen(rise: Vector, over_s: float = 1.0) -> Bounds:
    return (
        {k: v / over_s for k, v in rise.items()},
        {k: v / over_s * EXTRAPOLATED for k, v in rise.items()},
    )


def ratio(part: Vector, whole: Vector) -> Bounds:
    """The ends of the window are much the same for both; not a number where nothing happened."""
    found = {k: part.get(k, 0.0) / v if v else nan for k, v in whole.items()}
    return (
        {k: v / EXTRAPOLATED for k, v in found.items()},
        {k: v * EXTRAPOLATED for k, v in found.items()},
    )


def quantile(q: float, buckets: Vector) -> Bounds:
    """The bucket that holds a quantile, or the next one if it lies near an end."""
    least, most = {}, {}
    for detector in {dict(key)["detector"] for key in buckets}:
        mine = {
            float(dict(key)["le"]): count
            for key, count in buckets.items()
            if dict(key)["detector"] == detector
        }
        ends = [0.0, *sorted(mine)]
        label = (("detector", detector),)
        low, high = (max(q - 0.05, 0.0) * mine[inf], min(q + 0.05, 1.0) * mine[inf])
        least[label] = next(a for a, b in pairwise(ends) if mine[b] >= low)
        most[label] = next(b for b in ends[1:] if mine[b] >= high)
    return least, most


def latency(q: float, window: str) -> Wanted:
    def bounds(w: Watched) -> Bounds:
        name = "score_latency_seconds_bucket"
        return quantile(q, w.rise(name, window, "le", "detector", segment="packet_to_score"))

    return bounds


def undelivered(w: Watched) -> Bounds:
    failed = w.rise("alerts_total", "15m", "channel", outcome="failed")
    waiting = w.now("alerts_waiting", "channel")
    return exactly({k: v for k, v in waiting.items() if v > 0 and failed[k] > 0})


def without_canaries(w: Watched) -> Bounds:
    """Nothing: this analyzer sends no canaries."""
    return exactly({})


def without_workers(w: Watched) -> Bounds:
    """Nothing: this analyzer is one process."""
    return exactly({})


def dropped(w: Watched, window: str, *by: str, **labels: str) -> Vector:
    return w.rise("frames_dropped_total", window, *by, **labels)


Wanted = Callable[[Watched], Bounds]

LATENCY = (
    "sum by (le, detector) "
    '(rate(styleflow_score_latency_seconds_bucket{segment="packet_to_score"}[%s]))'
)
WANTED: dict[str, Wanted] = {
    # rules
    'up{job="styleflow"}': lambda w: exactly({(): 1.0}),
    "sum by (stream, detector) (increase(styleflow_alarms_total[5m]))": lambda w: risen(
        w.rise("alarms_total", "5m", "stream", "detector")
    ),
    "styleflow_stream_up": lambda w: exactly(w.now("stream_up", "stream")),
    "sum by (stream) (rate(styleflow_reconnects_total[5m]))": lambda w: risen(
        w.rise("reconnects_total", "5m", "stream"), 300
    ),
    'sum by (stream) (rate(styleflow_frames_dropped_total{reason="overrun"}[5m])) / '
    "sum by (stream) (rate(styleflow_frames_sampled_total[5m]))": lambda w: ratio(
        dropped(w, "5m", "stream", reason="overrun"),
        w.rise("frames_sampled_total", "5m", "stream"),
    ),
    f"histogram_quantile(0.95, {LATENCY % '5m'})": latency(0.95, "5m"),
    "sum by (stream) (rate(styleflow_frames_contaminated_total[5m])) / "
    "sum by (stream) (rate(styleflow_frames_decoded_total[5m]))": lambda w: ratio(
        w.rise("frames_contaminated_total", "5m", "stream"),
        w.rise("frames_decoded_total", "5m", "stream"),
    ),
    "increase(styleflow_slots_refused_total[5m])": lambda w: risen(
        w.rise("slots_refused_total", "5m", "detector")
    ),
    "styleflow_alerts_waiting > 0 and ignoring(outcome) "
    'increase(styleflow_alerts_total{outcome="failed"}[15m])': undelivered,
    'styleflow_canary_state{state=~"failing|late"}': without_canaries,
    "styleflow_canary_age_seconds": without_canaries,
    'styleflow_workers{state="gone"}': without_workers,
    "styleflow_streams_waiting": without_workers,
    # dashboard
    "sum(styleflow_stream_up)": lambda w: exactly(w.now("stream_up")),
    "styleflow_streams": lambda w: exactly(w.now("streams")),
    "sum(increase(styleflow_alarms_total[1h]))": lambda w: risen(w.rise("alarms_total", "1h")),
    "styleflow_slots_used / styleflow_slots": lambda w: ratio(
        w.now("slots_used", "detector"), w.now("slots", "detector")
    ),
    "styleflow_ws_clients": lambda w: exactly(w.now("ws_clients")),
    f"histogram_quantile(0.5, {LATENCY % '1m'})": latency(0.5, "1m"),
    f"histogram_quantile(0.95, {LATENCY % '1m'})": latency(0.95, "1m"),
    f"histogram_quantile(0.99, {LATENCY % '1m'})": latency(0.99, "1m"),
    "sum by (stage, detector) (rate(styleflow_stage_seconds_sum[1m])) / "
    "sum by (stage, detector) (rate(styleflow_stage_seconds_count[1m]))": lambda w: ratio(
        w.rise("stage_seconds_sum", "1m", "stage", "detector"),
        w.rise("stage_seconds_count", "1m", "stage", "detector"),
    ),
    "rate(styleflow_frames_decoded_total[1m])": lambda w: risen(
        w.rise("frames_decoded_total", "1m", "stream"), 60
    ),
    "sum by (stream, reason) (rate(styleflow_frames_dropped_total[1m]))": lambda w: risen(
        dropped(w, "1m", "stream", "reason"), 60
    ),
    "sum by (stream) (rate(styleflow_frames_contaminated_total[1m]))": lambda w: risen(
        w.rise("frames_contaminated_total", "1m", "stream"), 60
    ),
    "sum by (detector, reason) (rate(styleflow_abstain_total[5m]))": lambda w: risen(
        w.rise("abstain_total", "5m", "detector", "reason"), 300
    ),
    "sum by (stream, reason) (increase(styleflow_reconnects_total[5m]))": lambda w: risen(
        w.rise("reconnects_total", "5m", "stream", "reason")
    ),
    "sum by (detector, verdict) (rate(styleflow_scores_total[1m]))": lambda w: risen(
        w.rise("scores_total", "1m", "detector", "verdict"), 60
    ),
    "styleflow_tracks_active": lambda w: exactly(w.now("tracks_active", "stream")),
    "sum by (code) (increase(styleflow_ws_disconnects_total[5m]))": lambda w: risen(
        w.rise("ws_disconnects_total", "5m", "code")
    ),
}
"""Every shipped expression, without the threshold at its end."""

THRESHOLD = re.compile(r"(.*) (==|>) ([0-9.]+)")


def parts(expression: str) -> tuple[str, Callable[[float], bool]]:
    """Return an expression without the threshold at its end, and what passes that."""
    if (found := THRESHOLD.fullmatch(expression)) is None:
        return expression, lambda value: True
    left, sign, text = found.groups()
    compared = {"==": operator.eq, ">": operator.gt}[sign]
    return left, lambda value: bool(compared(value, float(text)))


@pytest.mark.parametrize(("place", "expression"), SHIPPED)
def test_what_operators_see_is_what_the_analyzer_says(
    watched: Watched, place: str, expression: str
) -> None:
    plain, passes = parts(expression)
    least, most = WANTED[plain](watched)
    values = watched.prometheus.query(plain, watched.at)
    assert values.keys() == least.keys()
    for key, value in values.items():
        both = isnan(value) and isnan(least[key])
        slack = 1e-9 * abs(value)
        assert both or least[key] - slack <= value <= most[key] + slack, (place, key, least, most)
    shown = watched.prometheus.query(expression, watched.at)
    assert shown.keys() == {key for key, value in values.items() if passes(value)}


def test_the_story_has_something_to_show(watched: Watched) -> None:
    """Expressions that are compared are not all of nothing."""
    assert watched.rise("alarms_total", "5m", "stream")[(("stream", "door"),)] > 0
    assert watched.now("alerts_waiting")[()] > 0
    assert watched.rise("frames_decoded_total", "5m")[()] > 50


def test_no_counter_begins_later_than_what_it_counts(watched: Watched) -> None:
    new = {
        (name, key)
        for name, series in watched.later.items()
        if name.endswith("_total")
        for key in series.keys() - watched.begun.get(name, {}).keys()
    }
    assert new == set()


def test_prometheus_evaluates_every_rule_and_says_who_is_suspect(watched: Watched) -> None:
    groups = watched.prometheus.ask("rules")["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert {name: rule["health"] for name, rule in rules.items()} == dict.fromkeys(rules, "ok")
    assert rules.keys() == RULES.keys()
    suspect = [alert["labels"] for alert in rules["FaceSuspect"]["alerts"]]
    assert [(a["stream"], a["detector"]) for a in suspect] == [("door", "styleflow-live")]


def test_prometheus_sees_that_an_analyzer_is_gone(watched: Watched) -> None:
    watched.prometheus.until('up{job="styleflow"} == 0')


def test_every_rule_fires_and_clears() -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", DEPLOY / "alerts.test.yml"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((DEPLOY / "alerts.test.yml").read_text())["tests"]
    expected = [rule for test in tests for rule in test["alert_rule_test"]]
    for fires in (True, False):
        tested = {rule["alertname"] for rule in expected if bool(rule["exp_alerts"]) is fires}
        assert tested == RULES.keys()
