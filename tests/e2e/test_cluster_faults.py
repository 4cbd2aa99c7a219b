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
def test_after_a_fault_all_streams_are_scored_again_and_no_two_owners_speak() -> None:
    """A worker is killed, and a cable pulled for ten seconds."""
    trials, ended = run(("worker", "partition"), 1, STREAMS, 300, scripted=True)
    assert ended == ""
    killed, cut = (trial.verdict for trial in trials)
    for found in (killed, cut):
        assert found.again_s
        assert found.noticed_s is not None
        assert None not in found.again_s.values()
        assert found.split_brain == found.stored_late == found.repeated == 0
    # What an owner stores behind a cut, until another one begins, is in the stream's past alone.
    assert killed.unshown == cut.unstored == ()
