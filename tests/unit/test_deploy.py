"""The compose file: the least rights that each part needs, and secrets of its own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.settings import load
from web.security.auth import Role, Scope

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_on_loopback(name: str) -> None:
    assert SERVICES[name]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_the_token_that_prometheus_is_told_opens_metrics_alone(tmp_path: Path) -> None:
    """What it shows reads no scores and no pictures, and changes nothing."""
    assert SERVICES["prometheus"]["secrets"] == ["metrics"]
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    assert scraped[0]["authorization"]["credentials_file"] == "/run/secrets/metrics"
    for name in ("operator", "metrics"):
        (tmp_path / name).write_text(f"{name}-0123456789abcdef\n")
    told = SERVICES["styleflow"]["environment"]["STYLEFLOW__WEB__TOKENS"]
    told = told.replace("$${", "${").replace("/run/secrets", str(tmp_path))
    operator, prometheus = load(None, {"STYLEFLOW__WEB__TOKENS": told}).web.tokens
    assert operator.role is Role.OPERATOR
    assert prometheus.role.scopes == {Scope.METRICS}


def test_grafana_lets_nobody_in_unasked() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana"
    assert SERVICES["grafana"]["secrets"] == ["grafana"]


def test_no_secret_comes_from_a_variable() -> None:
    """Compose copies those into the container, which a read-only one does not allow."""
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().split()


def test_event_numbers_lie_on_a_volume_that_is_kept() -> None:
    service = SERVICES["styleflow"]
    folder = service["environment"]["XDG_DATA_HOME"]
    assert f"data:{folder}" in service["volumes"]
    assert "data" in COMPOSE["volumes"]
    image = (ROOT / "Dockerfile").read_text()
    assert re.search(rf"^VOLUME {folder}$", image, re.M)
    assert f"install -d -o styleflow {folder}" in image


def test_dashboards_are_where_grafana_looks_for_them() -> None:
    provided = yaml.safe_load((ROOT / "deploy/grafana-dashboards.yml").read_text())
    folder = provided["providers"][0]["options"]["path"]
    assert any(f":{folder}/styleflow.json:ro" in v for v in SERVICES["grafana"]["volumes"])


def test_the_image_has_what_the_store_and_the_past_may_need() -> None:
    """`store.url` may name PostgreSQL, history may be asked for as Parquet, evidence has a card."""
    image = (ROOT / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = re.search(r"pip install -c \S+ '\.\[([a-z,]+)\]'", image)
    assert installed is not None
    extras = installed[1].split(",")
    assert {"postgres", "parquet"} <= set(extras) <= set(project["optional-dependencies"])
    assert "COPY docs/model-card.md docs/model-card.md" in image
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert "docs" not in ignored
    assert "!docs/model-card.md" in ignored
    assert load(None, {"STYLEFLOW__STORE__URL": ""}).store.url.get_secret_value() == ""
    assert "STYLEFLOW__STORE__URL" in SERVICES["styleflow"]["environment"]


def test_the_image_asks_for_the_driver_s_video_part() -> None:
    """Containers get a GPU without its decoder unless they ask for it."""
    (wanted,) = re.findall(
        r"NVIDIA_DRIVER_CAPABILITIES=(\S+)", (ROOT / "Dockerfile").read_text("utf-8")
    )
    assert {"compute", "video"} <= set(wanted.split(","))
