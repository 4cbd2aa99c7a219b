"""What a worker's process is made of, and that one process has nothing of it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.cluster import ControlPlan, RunningWorker, WorkerPlan, cores, digest, labels_of, shared
from cli.log_sink import LineRing
from cli.settings import load
from stream.cluster import ray_cluster
from stream.cluster.errors import RayMissing
from stream.cluster.ray_cluster import DIRECTOR, RayDirectorHandle, RayWorkerHandle, Whereabouts

ROOT = Path(__file__).resolve().parents[3]

SECRET = "rtsp://ann:hunter2@10.0.0.1/1"
STREAMS = {"streams": [{"id": "gate", "source": {"url": SECRET}}]}


def test_one_process_imports_no_ray() -> None:
    program = """
import json, sys
from cli import serve
from cli.front import alone
from cli.settings import load
with serve.front_of(load(None, {})) as front:
    assert front is alone
print(json.dumps([name for name in sys.modules if name.split(".")[0] == "ray"]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_the_director_s_process_loads_no_networks() -> None:
    program = """
import json, sys
import cli.cluster
print(json.dumps([name for name in ("torch", "openvino", "av", "ray") if name in sys.modules]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayMissing) as caught:
        ray_cluster.RayCluster()
    assert "styleflow-live[cluster]" in caught.value.hint


@pytest.mark.parametrize("plan", [WorkerPlan, ControlPlan])
def test_plans_cross_and_their_secrets_are_not_shown(
    plan: type[WorkerPlan] | type[ControlPlan],
) -> None:
    made = plan(load(None, {}, STREAMS))
    assert pickle.loads(pickle.dumps(made)) == made
    assert "hunter2" not in repr(made)


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"model": {"device": "cuda"}}, True),
        ({"store": {"url": "postgresql://ann:hunter3@db/styleflow"}}, True),
        ({"cluster": {"labels": {"site": "north"}}}, True),
        ({"cluster": {"address": "head:6379", "workers": 7}}, False),
        ({"web": {"port": 9000}}, False),
        (STREAMS, False),
    ],
)
def test_the_digest_is_of_what_workers_know(other: dict[str, Any], *, differs: bool) -> None:
    of = {"store": {"url": "postgresql://ann:hunter2@db/styleflow"}}
    plain, changed = load(None, {}, of), load(None, {}, {**of, **other})
    assert (digest(plain) != digest(changed)) is differs
    assert WorkerPlan(plain).made_of == digest(plain)
    assert digest(plain, untrained=True) != digest(plain)


def test_the_digest_is_the_same_in_every_process() -> None:
    program = """
from cli.cluster import digest
from cli.settings import load
print(digest(load(None, {})))
"""
    command = [sys.executable, "-c", program]
    found = {
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert found == {digest(load(None, {})) + "\n"}


def test_handles_cross_by_name() -> None:
    assert pickle.loads(pickle.dumps(RayWorkerHandle("worker-1"))).name == "worker-1"
    assert pickle.loads(pickle.dumps(RayDirectorHandle())).name == DIRECTOR


def test_workers_of_one_machine_share_its_cores() -> None:
    every = load(None, {})
    every = every.model_copy(
        update={"model": every.model.model_copy(update={"workers": None, "threads": None})}
    )
    model = shared(every, cores()).model
    assert (model.workers, model.threads) == (1, 1)
    model = shared(every, 1).model
    assert (model.workers, model.threads) == (min(cores(), 64), cores())
    fixed = load(None, {}, {"model": {"workers": 3, "device": "cuda:1"}})
    model = shared(fixed, 8).model
    assert (model.workers, model.device) == (3, "cuda")


@pytest.mark.parametrize(("gpus", "own"), [((), {}), (("1",), {"gpu": "true"})])
def test_a_worker_that_was_given_a_gpu_says_so_by_itself(
    gpus: tuple[str, ...], own: dict[str, str]
) -> None:
    """Symptom: the label said what was configured, whatever the worker had been given."""
    settings = load(None, {}, {"model": {"device": "cuda"}, "cluster": {"labels": {"row": 2}}})
    at = Whereabouts("worker-1", "here", {"site": "north"}, "secret", gpus)
    assert labels_of(settings, at) == {**own, "site": "north", "row": "2"}


async def test_log_lines_are_waited_for() -> None:
    ring = LineRing()
    running = RunningWorker(None, ring)  # type: ignore[arg-type]
    assert await running.lines(0, 0.0) == (0, ())
    ring.write("a\n")
    assert await running.lines(0, 60.0) == (1, ("a\n",))
