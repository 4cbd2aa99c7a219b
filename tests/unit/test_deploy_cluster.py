"""The files that run a cluster: who may reach Ray, who shares what, and that the parts agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.settings import Settings, load
from web.security.auth import Role, Scope

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.cluster.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = ("head", "worker", "gateway")
KUBERNETES: list[dict[str, Any]] = list(
    yaml.safe_load_all((ROOT / "deploy/kuberay.yaml").read_text())
)
PORT = 6379


def of_kind(kind: str) -> dict[str, Any]:
    return next(one for one in KUBERNETES if one["kind"] == kind)


CLUSTER = of_kind("RayCluster")["spec"]
GATEWAY = of_kind("Deployment")["spec"]["template"]
PODS = [
    CLUSTER["headGroupSpec"]["template"],
    *(group["template"] for group in CLUSTER["workerGroupSpecs"]),
    GATEWAY,
]


def command(service: str) -> str:
    (text,) = SERVICES[service]["command"]
    return str(text)


def option(text: str, name: str) -> str:
    found = re.search(rf"--{name}[= ]\"?(\S+?)\"?(?:\s|$)", text)
    assert found is not None, f"{text!r} says no {name}"
    return found[1]


def settings(environment: dict[str, str], folder: Path, secrets: str) -> Settings:
    """Return what the analyzer makes of an environment whose secrets lie in a folder."""
    told = {
        key: value.replace("$${", "${").replace(secrets, str(folder))
        for key, value in environment.items()
        if key.startswith("STYLEFLOW__")
    }
    return load(None, told)


# --- compose ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_there_are_two_workers_a_gateway_and_a_postgresql() -> None:
    assert set(SERVICES) == {*NODES, "store"}
    workers = SERVICES["worker"]["deploy"]["replicas"]
    assert workers == "${WORKERS:-2}" == SERVICES["gateway"]["environment"]["WORKERS"]
    assert option(command("gateway"), "workers") == "$$WORKERS"
    assert SERVICES["store"]["image"].startswith("postgres:")


def test_all_nodes_are_of_one_image_that_is_built_here() -> None:
    """Compose would look for an image without `build` in a registry."""
    for name in NODES:
        assert SERVICES[name]["image"] == SERVICES["head"]["image"]
        assert SERVICES[name]["build"] == SERVICES["head"]["build"]
        assert SERVICES[name]["build"]["context"] == ".."


def test_no_port_but_the_gateways_is_published_and_that_on_loopback() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert published == {"gateway": ["127.0.0.1:8000:8000"]}
    assert not any("network_mode" in one or "networks" in one for one in SERVICES.values())


@pytest.mark.parametrize("name", NODES)
def test_every_node_of_ray_asks_for_the_token(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray"
    assert "ray" in SERVICES[name]["secrets"]


RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""What Ray reads before its daemons start, so the program cannot set it in a cluster it joins."""


@pytest.mark.parametrize("name", NODES)
def test_ray_neither_holds_workers_back_nor_calls_home(name: str) -> None:
    assert RAY_SETTINGS.items() <= SERVICES[name]["environment"].items()


def test_each_part_has_the_secrets_that_it_needs_from_files_alone() -> None:
    assert SERVICES["head"]["secrets"] == SERVICES["worker"]["secrets"] == ["ray"]
    assert SERVICES["store"]["secrets"] == ["store"]
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    used = {name for one in SERVICES.values() for name in one["secrets"]}
    assert used == set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", ["worker", "gateway"])
def test_nodes_join_the_head_where_it_listens(name: str) -> None:
    assert option(command("head"), "port") == str(PORT)
    assert option(command(name), "address") == f"head:{PORT}"
    assert SERVICES[name]["depends_on"]["head"] == {"condition": "service_healthy"}


def test_workers_are_placed_in_worker_containers_alone() -> None:
    assert [option(command(name), "num-cpus") for name in NODES] == ["0", "1", "0"]
    assert option(command("gateway"), "cluster") == f"head:{PORT}"


def test_all_nodes_share_one_folder_of_data() -> None:
    image = (ROOT / "Dockerfile").read_text()
    for name in NODES:
        folder = SERVICES[name]["environment"]["XDG_DATA_HOME"]
        assert f"data:{folder}" in SERVICES[name]["volumes"]
        assert re.search(rf"^VOLUME {folder}$", image, re.M)
    assert {"data", "store"} == set(COMPOSE["volumes"])


def test_every_part_is_asked_how_it_is() -> None:
    assert all("test" in SERVICES[name]["healthcheck"] for name in ("store", "head", "worker"))
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()  # asks a gateway at /livez
    assert "healthcheck" not in SERVICES["gateway"]
    # While the head is away workers go on, so nothing may end them for that.
    assert "6379" not in str(SERVICES["worker"]["healthcheck"])


def test_the_gateway_and_its_store_know_the_same_password(tmp_path: Path) -> None:
    for name in ("operator", "metrics", "store"):
        (tmp_path / name).write_text(f"{name}-0123456789abcdef\n")
    found = settings(SERVICES["gateway"]["environment"], tmp_path, "/run/secrets")
    assert (
        found.store.url.get_secret_value()
        == "postgresql://styleflow:store-0123456789abcdef@store/styleflow"
    )
    assert SERVICES["store"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/store"
    operator, prometheus = found.web.tokens
    assert operator.role is Role.OPERATOR
    assert prometheus.role.scopes == {Scope.METRICS}


# --- KubeRay ------------------------------------------------------------------------------------


def test_the_manifest_is_of_the_operators_present_api_and_of_the_pinned_ray() -> None:
    assert of_kind("RayCluster")["apiVersion"] == "ray.io/v1"
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None
    assert CLUSTER["rayVersion"] == pinned[1]


def test_the_number_of_workers_is_fixed_and_the_gateway_asks_for_as_many() -> None:
    assert CLUSTER["enableInTreeAutoscaling"] is False
    (group,) = CLUSTER["workerGroupSpecs"]
    (start,) = GATEWAY["spec"]["containers"][0]["args"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == 2
    assert option(start, "workers") == "2"
    nodes = (CLUSTER["headGroupSpec"], group)
    assert [one["rayStartParams"]["num-cpus"] for one in nodes] == ["0", "1"]
    assert option(start, "num-cpus") == "0"


def test_every_pod_is_confined_and_has_what_it_mounts() -> None:
    for pod in PODS:
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {one["name"] for one in container["volumeMounts"]} == {
            one["name"] for one in spec["volumes"]
        }
        shared = next(one for one in spec["volumes"] if one["name"] == "data")
        claim = shared["persistentVolumeClaim"]["claimName"]
        assert claim == of_kind("PersistentVolumeClaim")["metadata"]["name"]
    assert of_kind("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]


def test_probes_are_our_own_and_no_worker_dies_with_the_head() -> None:
    """KubeRay's want wget, which the image has not."""
    for pod in PODS:
        (container,) = pod["spec"]["containers"]
        assert {"livenessProbe", "readinessProbe"} <= set(container)
        assert "wget" not in str(container)
    (worker,) = CLUSTER["workerGroupSpecs"][0]["template"]["spec"]["containers"]
    assert str(PORT) not in str(worker["livenessProbe"])
    paths = {GATEWAY["spec"]["containers"][0][f"{one}Probe"]["httpGet"]["path"]
             for one in ("liveness", "readiness")}  # fmt: skip
    assert paths == {"/livez", "/readyz"}


def test_rays_ports_are_for_the_parts_alone_and_want_the_token() -> None:
    parts, gateway = (one["spec"] for one in KUBERNETES if one["kind"] == "NetworkPolicy")
    for pod in PODS:
        assert parts["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert parts["ingress"] == [{"from": [{"podSelector": parts["podSelector"]}]}]
    assert gateway["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8000}]}]
    assert gateway["podSelector"]["matchLabels"].items() <= GATEWAY["metadata"]["labels"].items()
    assert CLUSTER["authOptions"] == {"mode": "token", "secretName": "styleflow-ray"}
    environment = {one["name"]: one["value"] for one in GATEWAY["spec"]["containers"][0]["env"]}
    assert environment["RAY_AUTH_MODE"] == "token"
    ray = next(one for one in GATEWAY["spec"]["volumes"] if one["name"] == "ray")
    assert ray["secret"]["secretName"] == CLUSTER["authOptions"]["secretName"]


def test_ray_holds_nobody_back_in_pods_either() -> None:
    for pod in PODS:
        given = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
        assert RAY_SETTINGS.items() <= given.items()


def test_the_service_leads_to_the_gateway() -> None:
    service = of_kind("Service")["spec"]
    assert service["selector"].items() <= GATEWAY["metadata"]["labels"].items()
    named = {one["name"] for one in GATEWAY["spec"]["containers"][0]["ports"]}
    assert {one["targetPort"] for one in service["ports"]} <= named


def test_the_gateways_settings_are_settings(tmp_path: Path) -> None:
    for name, text in {
        "tokens/operator": "operator-0123456789abcdef",
        "tokens/metrics": "metrics-0123456789abcdef",
        "store/url": "postgresql://styleflow:hunter2@store.example/styleflow",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {one["name"]: one["value"] for one in GATEWAY["spec"]["containers"][0]["env"]}
    found = settings(environment, tmp_path, "/run/secrets")
    assert found.store.url.get_secret_value().endswith("@store.example/styleflow")
    assert [token.role for token in found.web.tokens] == [Role.OPERATOR, Role.METRICS]


# --- both ---------------------------------------------------------------------------------------


def starts() -> Iterator[str]:
    """Yield every `ray start` of the two files."""
    yield from (command(name) for name in NODES)
    yield from GATEWAY["spec"]["containers"][0]["args"]
    for node in (CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]):
        yield "ray start " + " ".join(f"--{key}={it}" for key, it in node["rayStartParams"].items())


@cache
def known_options() -> frozenset[str]:
    ray = Path(sys.executable).with_name("ray")
    done = subprocess.run(
        [ray, "start", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )
    return frozenset(re.findall(r"--[a-z][a-z-]+", done.stdout))


@pytest.mark.parametrize("start", list(starts()))
def test_ray_knows_every_option_that_its_nodes_are_started_with(start: str) -> None:
    """Of the pinned Ray, which is the one that is installed here."""
    said = re.search(r"ray start (.*?)(?:&&|$)", start, re.S)
    assert said is not None
    assert set(re.findall(r"--[a-z][a-z-]+", said[1])) <= known_options()


def test_the_image_has_ray_where_a_login_shell_finds_it() -> None:
    image = (ROOT / "Dockerfile").read_text()
    installed = re.search(r"pip install -c \S+ '\.\[([a-z,]+)\]'", image)
    assert installed is not None
    assert {"cluster", "postgres"} <= set(installed[1].split(","))
    assert "ln -s /opt/styleflow/bin/ray /usr/local/bin/ray" in image
