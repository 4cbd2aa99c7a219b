"""Incidents: when they open, what joins them, how severe they are, and when they are over."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from stream.errors import SettingInvalid
from stream.events import EpochCause, EpochStarted, StreamDescribed, StreamRemoved, Verdict
from stream.incident import IncidentStatus, IncidentStep, Mark, Severity, Snooze
from stream.incidents.machine import Refused
from stream.incidents.settings import IncidentSettings
from styleflow.cards import TrainingStatus
from tests.support.incidents import EXPERIMENTAL, NIGHT, MachineRig, watched
from tests.support.wire import CARD, UNTRAINED


def steps(changes) -> list[IncidentStep]:
    """Return what changed."""
    return [change.step for change in changes]


def rig(*models, demo: bool = False, **settings) -> MachineRig:
    """Return a machine that watches the lobby."""
    made = MachineRig(IncidentSettings(**settings))
    made.tell(watched(models=models or (CARD,), demo=demo))
    return made


def test_a_suspect_verdict_opens_an_incident_with_the_score_behind_it() -> None:
    house = rig()
    assert house.tell(house.score()) == [], "a score alone is no verdict"
    (opened,) = house.tell(house.turn())
    told = opened.incident
    assert opened.step is IncidentStep.OPENED
    assert (told.stream, told.name, told.tracks) == ("lobby", "Lobby", (1,))
    assert (told.peak.p, told.peak.lo, told.peak.hi) == (0.95, 0.9, 0.99)
    assert told.opened == told.last_at == house.clock.utc()
    assert told.severity is Severity.LOW
    assert (told.scored_by.name, told.status) == (CARD.name, IncidentStatus.OPEN)


def test_it_closes_after_quiet_and_counts_only_suspicion_that_was_seen() -> None:
    house = rig()
    house.suspect(4.0)
    house.tell(house.turn(Verdict.CLEAR))
    assert house.wait(30.0) == []
    (closed,) = house.wait(0.1)
    told = closed.incident
    assert (closed.step, told.status) == (IncidentStep.CLOSED, IncidentStatus.CLOSED)
    assert told.suspect_s == 4.0
    assert told.last_at - told.opened == timedelta(seconds=4)
    assert told.closed == house.clock.utc()
    assert len(house.machine) == 0


def test_the_same_face_joins_within_merge_s_and_its_pause_does_not_count() -> None:
    house = rig()
    house.suspect(2.0)
    house.tell(house.turn(Verdict.CLEAR))
    house.wait(20.0)
    assert IncidentStep.OPENED not in steps(house.suspect(3.0))
    (only,) = house.machine.open()
    assert only.suspect_s == 5.0
    assert only.last_at - only.opened == timedelta(seconds=25)


def test_the_same_face_after_merge_s_is_a_new_incident_though_the_old_one_is_open() -> None:
    house = rig(merge_s=5.0, quiet_s=60.0)
    house.suspect(1.0)
    house.tell(house.turn(Verdict.CLEAR))
    house.wait(6.0)
    told = house.tell(house.score(), house.turn())
    assert steps(told) == [IncidentStep.CLOSED, IncidentStep.OPENED]
    assert len(house.machine) == 1


def test_a_new_face_joins_while_none_of_its_faces_is_in_view() -> None:
    house = rig()
    house.suspect(2.0)
    house.tell(house.end(1), house.begin(2))
    house.wait(10.0)
    house.suspect(1.0, track=2)
    (only,) = house.machine.open()
    assert only.tracks == (1, 2)


def test_a_second_face_beside_the_first_is_an_incident_of_its_own() -> None:
    house = rig()
    house.tell(house.begin(1), house.begin(2))
    house.suspect(1.0)
    house.suspect(1.0, track=2)
    assert [each.tracks for each in house.machine.open()] == [(1,), (2,)]


def test_a_reconnection_goes_on_with_the_incident() -> None:
    house = rig()
    house.suspect(1.0)
    house.tell(EpochStarted("lobby", 2, EpochCause.CONNECTED))
    house.tell(house.score(track=5, epoch=2), replace(house.turn(track=5), epoch=2))
    (only,) = house.machine.open()
    assert only.tracks == (1, 5)


def test_removing_or_restarting_a_stream_closes_its_incidents() -> None:
    house = rig()
    house.suspect(1.0)
    assert steps(house.tell(StreamRemoved("lobby", 1))) == [IncidentStep.CLOSED]
    house.tell(watched())
    house.suspect(1.0)
    assert steps(house.tell(watched())) == [IncidentStep.CLOSED]


@pytest.mark.parametrize(
    ("seconds", "p", "lo", "severity"),
    [
        (1.0, 0.99, 0.95, Severity.LOW),
        (6.0, 0.99, 0.3, Severity.LOW),
        (6.0, 0.8, 0.6, Severity.MEDIUM),
        (30.0, 0.8, 0.75, Severity.MEDIUM),
        (30.0, 0.95, 0.6, Severity.MEDIUM),
        (30.0, 0.95, 0.8, Severity.HIGH),
    ],
)
def test_severity_comes_from_score_interval_and_duration(
    seconds: float, p: float, lo: float, severity: Severity
) -> None:
    house = rig()
    house.suspect(seconds, p=p, lo=lo)
    assert house.machine.open()[0].severity is severity


def test_severity_never_falls_and_a_rise_is_told_at_once() -> None:
    house = rig(extend_s=3600.0)
    told = house.suspect(30.0)
    assert [c.incident.severity for c in told] == [Severity.LOW, Severity.MEDIUM, Severity.HIGH]
    house.tell(house.score(p=0.7, lo=0.1))
    assert house.machine.open()[0].severity is Severity.HIGH
    assert house.machine.open()[0].peak.p == 0.95
    assert house.machine.reached == {
        Severity.HINT: 0,
        Severity.LOW: 1,
        Severity.MEDIUM: 1,
        Severity.HIGH: 1,
    }


def test_going_on_is_told_at_most_every_extend_s() -> None:
    house = rig(extend_s=5.0, medium_s=3600.0)
    told = house.suspect(60.0, step_s=0.25)
    assert steps(told).count(IncidentStep.EXTENDED) == 12


@pytest.mark.parametrize("status", [TrainingStatus.EXPERIMENTAL, TrainingStatus.UNCALIBRATED])
def test_a_model_that_is_not_trusted_gives_hints_whatever_it_scores(status: TrainingStatus) -> None:
    model = replace(CARD, status=status)
    house = rig(model)
    house.suspect(120.0, p=1.0, lo=1.0)
    (only,) = house.machine.open()
    assert only.severity is Severity.HINT
    assert only.notice != ""
    asked_for = rig(model, experimental_alarms=True)
    asked_for.suspect(120.0, p=1.0, lo=1.0)
    assert asked_for.machine.open()[0].severity is Severity.HIGH


def test_demos_and_untrained_models_open_none() -> None:
    for house in (rig(demo=True), rig(UNTRAINED), rig(enabled=False)):
        assert house.suspect(60.0) == []


def test_a_trusted_model_takes_the_lead_from_an_experimental_one() -> None:
    house = rig(EXPERIMENTAL, CARD)
    house.suspect(60.0, p=0.99, detector=EXPERIMENTAL.name)
    assert house.machine.open()[0].severity is Severity.HINT
    house.tell(house.score(p=0.75), house.turn())
    (only,) = house.machine.open()
    assert (only.scored_by.name, only.peak.p) == (CARD.name, 0.75)
    assert only.severity is Severity.LOW, "the time of the experimental one raises no alarm"
    house.tell(house.score(p=1.0, detector=EXPERIMENTAL.name))
    assert house.machine.open()[0].peak.p == 0.75


def test_only_chosen_detectors_open_incidents() -> None:
    house = rig(CARD, replace(CARD, name="ensemble"), detectors=("ensemble",))
    assert house.suspect(5.0) == []
    assert IncidentStep.OPENED in steps(house.suspect(1.0, detector="ensemble"))


def test_a_verdict_event_that_was_lost_is_made_up_for_by_the_next_scores() -> None:
    house = rig()
    told = house.tell(house.score(), house.score())
    assert steps(told) == [IncidentStep.OPENED]


def test_a_snoozed_stream_opens_none_and_wakes_by_itself() -> None:
    house = rig()
    until = NIGHT + timedelta(seconds=60)
    house.machine.snoozes["lobby"] = Snooze("lobby", "cleaning", Mark("ann", NIGHT), until)
    assert house.suspect(30.0) == []
    assert house.machine.refused[Refused.SNOOZED] == 1
    house.wait(31.0)
    assert [s.stream for s in house.machine.wake(house.clock.utc())] == ["lobby"]
    assert steps(house.tell(house.score())) == [IncidentStep.OPENED], "it is suspect still"


def test_open_incidents_are_bounded_and_a_place_that_becomes_free_is_taken() -> None:
    house = rig(max_open_per_stream=2)
    for track in (1, 2, 3):
        house.tell(house.begin(track))
    for track in (1, 2, 3):
        house.suspect(1.0, track=track)
    assert len(house.machine) == 2
    assert house.machine.refused[Refused.STREAM_FULL] == 1
    house.wait(31.0)
    assert steps(house.tell(house.score(track=3))) == [IncidentStep.OPENED]


def test_open_incidents_of_all_streams_are_bounded() -> None:
    house = rig(max_open=1)
    house.tell(watched("yard"))
    house.suspect(1.0)
    turned = replace(house.turn(), stream="yard")
    house.tell(replace(house.score(), stream="yard"), turned)
    assert house.machine.refused[Refused.FULL] == 1


def test_a_score_that_is_no_number_changes_nothing_that_is_told() -> None:
    house = rig()
    house.tell(house.score(p=math.nan, lo=math.nan), house.turn())
    assert house.machine.open()[0].peak.p == 0.9


def test_a_wall_clock_that_is_set_changes_no_duration() -> None:
    house = rig()
    house.suspect(2.0)
    opened = house.machine.open()[0].opened
    stamped = house.log.append(house.score())
    house.machine.take(replace(stamped, utc=stamped.utc - timedelta(days=3)))
    told = house.machine.open()[0]
    assert told.opened == opened
    assert told.last_at >= opened


def test_quiet_is_not_shorter_than_merging() -> None:
    with pytest.raises(SettingInvalid, match="quiet_s"):
        IncidentSettings(merge_s=30.0, quiet_s=10.0)


def test_a_new_name_ends_no_incident_and_is_that_of_the_next_one() -> None:
    house = rig()
    house.suspect(1.0)
    assert steps(house.tell(StreamDescribed("lobby", 1, "North door"))) == []
    house.tell(house.begin(2))
    house.suspect(1.0, track=2)
    assert [each.name for each in house.machine.open()] == ["Lobby", "North door"]
