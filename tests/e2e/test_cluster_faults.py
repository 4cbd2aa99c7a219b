"""Faults of a real cluster in network namespaces, each once, with workers that make up events."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.namespaces import missing

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)
if reason := missing():
    pytest.skip(reason, allow_module_level=True)

from benchmarks.cluster_faults import run
from benchmarks.cluster_rig import Rig, rig
from benchmarks.fault_judge import Verdict
from benchmarks.outages import outage
from stream.clock import SystemClock
from tests.support.redis import missing as missing_redis

pytestmark = pytest.mark.e2e

STREAMS = 4


WITHOUT_HEAD_S = 30
"""How long Ray lets nodes look for a head, in seconds; 60 unless it is told otherwise."""

NO_REDIS = missing_redis()


@pytest.mark.timeout(400)
def test_after_a_fault_all_streams_are_scored_again_and_no_two_owners_speak() -> None:
    """A worker is killed, a cable pulled for ten seconds, and the way to PostgreSQL lost."""
    trials, ended = run(("worker", "partition", "store"), 1, STREAMS, 300, scripted=True)
    assert ended == ""
    for found in (trial.verdict for trial in trials):
        is_well(found)
    killed, cut, apart = (trial.verdict for trial in trials)
    assert None not in (killed.noticed_s, cut.noticed_s)
    # What an owner stores behind a cut, until another one begins, is in the stream's past alone.
    assert killed.unshown == cut.unstored == apart.unstored == apart.unshown == ()


@pytest.mark.skipif(bool(NO_REDIS), reason=NO_REDIS)
@pytest.mark.timeout(400)
def test_workers_go_on_without_the_head_of_ray_and_all_ends_when_it_does_not_come_back() -> None:
    """Its control service is killed and comes back, its machine is and does; then it never does."""
    env = {"RAY_gcs_rpc_server_reconnect_timeout_s": str(WITHOUT_HEAD_S)}
    built = rig(
        STREAMS,
        SystemClock(),
        lambda what: None,
        scripted=True,
        gateways=("left", "right"),
        redis=True,
        env=env,
    )
    with built as made:
        for fault in ("control", "head"):
            found = outage(made, fault, 0)
            is_well(found.verdict)
            assert found.verdict.unstored == found.verdict.unshown == ()
            assert found.refused == 0
            assert found.moved_s is not None
        assert found.verdict.noticed_s is not None
        made.nodes.kill("head")
        assert made.wait(lambda: all(g.has_ended for g in made.gateways), 3 * WITHOUT_HEAD_S)
        assert made.wait(lambda: not workers_of(made), 3 * WITHOUT_HEAD_S)
        assert all("does not answer" in gateway.tail() for gateway in made.gateways)


def workers_of(made: Rig) -> list[bytes]:
    """Return the workers that are left beside the head's machine."""
    left = [pid for name in ("left", "right") for pid in made.machines.processes(name)]
    return [name for name in map(command, left) if b"Worker" in name]


def is_well(found: Verdict) -> None:
    """Check that every stream is scored, and by one owner at a time."""
    assert found.again_s
    assert None not in found.again_s.values()
    assert found.split_brain == found.stored_late == found.repeated == 0


def command(pid: int) -> bytes:
    """Return what a process was started as; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
