"""Incidents, whatever happens: one per face, durations that agree, ids used once, all bounded."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import EpochCause, EpochStarted, StreamRemoved, Verdict
from stream.incident import IncidentStatus, IncidentStep, Severity
from stream.incidents.settings import IncidentSettings
from stream.incidents.suspicion import MAX_TRACKS
from tests.support.incidents import EXPERIMENTAL, MachineRig, watched
from tests.support.wire import CARD

STREAMS = ("lobby", "yard")
MODELS = (CARD, EXPERIMENTAL)

track = st.integers(1, 5)
model = st.sampled_from([m.name for m in MODELS])
stream = st.sampled_from(STREAMS)
verdict = st.sampled_from(Verdict)
number = st.sampled_from([0.0, 0.5, 0.72, 0.95, 1.0, float("nan"), float("inf")])

happening = st.one_of(
    st.tuples(st.just("score"), stream, track, model, verdict, number, number),
    st.tuples(st.just("turn"), stream, track, model, verdict),
    st.tuples(st.just("begin"), stream, track),
    st.tuples(st.just("end"), stream, track),
    st.tuples(st.just("epoch"), stream),
    st.tuples(st.just("add"), stream),
    st.tuples(st.just("remove"), stream),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.1, 1.0, 4.0, 11.0, 60.0])),
)

TIGHT = IncidentSettings(
    merge_s=4.0, quiet_s=10.0, max_open_per_stream=2, max_open=3, medium_s=1.0, high_s=3.0
)


def carry_out(rig: MachineRig, epochs: dict[str, int], what: tuple) -> None:
    """Have one thing happen."""
    match what:
        case ("score", where, who, whose, said, p, lo):
            made = rig.score(p=p, lo=lo, track=who, detector=whose, verdict=said)
            rig.tell(replace(made, stream=where, epoch=epochs[where]))
        case ("turn", where, who, whose, said):
            rig.tell(replace(rig.turn(said, who, whose), stream=where, epoch=epochs[where]))
        case ("begin", where, who):
            rig.tell(replace(rig.begin(who), stream=where, epoch=epochs[where]))
        case ("end", where, who):
            rig.tell(replace(rig.end(who), stream=where, epoch=epochs[where]))
        case ("epoch", where):
            epochs[where] += 1
            rig.tell(EpochStarted(where, epochs[where], EpochCause.PTS_JUMP))
        case ("add", where):
            rig.tell(watched(where, MODELS))
        case ("remove", where):
            rig.tell(StreamRemoved(where, epochs[where]))
        case ("wait", seconds):
            rig.wait(seconds)


def check_open(rig: MachineRig) -> None:
    """One incident per face, and no more than are allowed."""
    open_now = rig.machine.open()
    assert len(open_now) <= TIGHT.max_open
    for where in STREAMS:
        faces = [t for each in open_now if each.stream == where for t in each.tracks]
        assert len(faces) == len(set(faces)), "a face has two open incidents"
        assert sum(each.stream == where for each in open_now) <= TIGHT.max_open_per_stream


def check_told(rig: MachineRig) -> None:
    """What was told of each incident is one story."""
    stories: dict[str, list] = {}
    for change in rig.changes:
        stories.setdefault(change.incident.id, []).append(change)
    for story in stories.values():
        steps = [change.step for change in story]
        assert steps[0] is IncidentStep.OPENED
        assert steps.count(IncidentStep.OPENED) == 1
        assert steps.count(IncidentStep.CLOSED) <= 1
        assert IncidentStep.CLOSED not in steps[:-1]
        for before, after in pairwise(story):
            one, two = before.incident, after.incident
            assert two.severity >= one.severity
            assert two.suspect_s >= one.suspect_s
            assert two.last_at >= one.last_at
            assert two.opened == one.opened
        for each in (change.incident for change in story):
            lasted = (each.last_at - each.opened).total_seconds()
            assert 0.0 <= each.suspect_s <= lasted + 2e-3
            assert (each.closed is not None) == (each.status is IncidentStatus.CLOSED)
            assert each.closed is None or each.closed >= each.last_at
            assert all(0.0 <= share <= 1.0 for share in (each.peak.p, each.peak.lo, each.peak.hi))
            assert 1 <= len(each.tracks) <= MAX_TRACKS
            trusted = each.scored_by.name == CARD.name
            assert trusted or each.severity is Severity.HINT


@settings(deadline=None)
@given(st.lists(happening, max_size=60))
def test_whatever_happens_incidents_agree_with_themselves(script: list[tuple]) -> None:
    rig = MachineRig(TIGHT)
    epochs = dict.fromkeys(STREAMS, 1)
    rig.tell(*(watched(where, MODELS) for where in STREAMS))
    for what in script:
        carry_out(rig, epochs, what)
        check_open(rig)
    rig.wait(TIGHT.quiet_s + 1.0)
    check_told(rig)
    rig.wait(1.0)
    assert len(rig.machine) == 0, "all are closed after quiet"


@settings(deadline=None)
@given(st.integers(1, 200), st.sampled_from([0.1, 0.5, 2.0]))
def test_going_on_is_bounded_by_time_and_not_by_scores(scores: int, step_s: float) -> None:
    rig = MachineRig(TIGHT)
    rig.tell(watched())
    told = rig.suspect(scores * step_s, step_s)
    assert len(told) <= 1 + scores * step_s / TIGHT.extend_s + len(Severity)
