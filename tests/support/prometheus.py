"""A real Prometheus on a loopback port, with the shipped configuration and rules."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.ports import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]
"""Values by their labels, which are in the order of the alphabet; without the metric's name."""


def program(name: str) -> str:
    """Return a program of Debian's package, or skip the test."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip(f"there is no {name} here (apt install prometheus)")
    return found


class Prometheus:
    """`deploy/prometheus.yml` at work; a context manager.

    Args:
        folder: empty folder for its files.
        target: port of the analyzer.
        token: what lets it read metrics.
        every_ms: milliseconds between scrapes.
    """

    def __init__(self, folder: Path, target: int, token: str, every_ms: int = 250) -> None:
        folder.mkdir()
        shutil.copy(DEPLOY / "alerts.yml", folder)
        (folder / "metrics").write_text(f"{token}\n")
        config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": f"{every_ms}ms", "evaluation_interval": "1s"}
        scraped = config["scrape_configs"][0]
        scraped["authorization"]["credentials_file"] = str(folder / "metrics")
        scraped["static_configs"][0]["targets"] = [f"127.0.0.1:{target}"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._folder, self._port = folder, free_port()
        self._pause = threading.Event()

    def __enter__(self) -> Prometheus:
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={self._folder}/prometheus.yml",
                    f"--storage.tsdb.path={self._folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stderr=log,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()

    def ask(self, path: str, **query: str) -> Any:
        """Return the `data` of an answer of its API."""
        answer = httpx.get(f"http://127.0.0.1:{self._port}/api/v1/{path}", params=query, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str, at: float | None = None) -> Vector:
        """Return what an expression is, now or at a time of its own clock."""
        when = {} if at is None else {"time": repr(at)}
        found = self.ask("query", query=expression, **when)
        assert found["resultType"] == "vector"
        return {_labels(each): float(each["value"][1]) for each in found["result"]}

    def samples(self, selector: str, window: str, at: float) -> dict[Labels, list[float]]:
        """Return the samples of some series within a window that ends at a time."""
        found = self.ask("query", query=f"{selector}[{window}]", time=repr(at))
        return {_labels(each): [float(v) for _, v in each["values"]] for each in found["result"]}

    def until(self, expression: str, within_s: float = 60.0) -> float:
        """Wait until an expression has a value; return the time of Prometheus' clock."""
        last: Any = None
        for _ in range(int(within_s / 0.1)):
            try:
                last = self.ask("query", query=expression)["result"]
            except httpx.TransportError as error:  # it is starting
                assert self._process.poll() is None, (self._folder / "log").read_text()
                last = error
            else:
                if last:
                    return float(last[0]["value"][0])
            self._pause.wait(0.1)
        raise AssertionError(f"{expression} is {last} after {within_s} s")


def _labels(series: dict[str, Any]) -> Labels:
    drop = ("__name__", "job", "instance")
    return tuple(sorted((k, v) for k, v in series["metric"].items() if k not in drop))
