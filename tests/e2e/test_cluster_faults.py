"""Faults of a real cluster in network namespaces, each once, with workers that make up events."""

from __future__ import annotations

import importlib.util

import pytest

from tests.support.namespaces import missing

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)
if reason := missing():
    pytest.skip(reason, allow_module_level=True)

from benchmarks.cluster_faults import run

pytestmark = pytest.mark.e2e

STREAMS = 4


@pytest.mark.timeout(400)
def test_no_fault_loses_an_event_or_lets_two_owners_speak() -> None:
    """A worker, a gateway and a cable: all streams are scored again, and all events are there."""
    trials, ended = run(("worker", "gateway", "partition"), 1, STREAMS, 300, scripted=True)
    assert ended == ""
    assert [trial.verdict.fault for trial in trials] == ["worker", "gateway", "partition"]
    for trial in trials:
        found = trial.verdict
        assert trial.streams > 0
        assert found.noticed_s is not None
        assert None not in found.again_s.values()
        assert found.split_brain == found.stored_late == 0
        assert found.unshown == ()
        assert found.repeated == 0
