"""Severity high takes two detectors, where faces are looked at a second time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.events import SecondLook
from stream.incident import Incident, SecondOpinion, Severity
from stream.incidents.settings import IncidentSettings
from styleflow.cards import TrainingStatus
from tests.support.incidents import MachineRig, watched
from tests.support.wire import CARD

HEAVY = replace(CARD, name="gend-pe-l")
FAKE = SecondLook("gend-pe-l", 0.9, 4.0, agrees=True, status=TrainingStatus.TRAINED)


def after_half_a_minute(
    look: SecondLook | None, settings: IncidentSettings | None = None, *, second: bool = True
) -> Incident:
    """Return the incident of a face that was suspect for half a minute, by everything it takes."""
    house = MachineRig(settings)
    house.tell(watched(second=HEAVY if second else None))
    house.suspect(30.0, second_look=look)
    (only,) = house.machine.open()
    return only


def test_without_a_second_look_configured_nothing_changes() -> None:
    assert after_half_a_minute(None, second=False).severity is Severity.HIGH


def test_a_face_not_looked_at_a_second_time_yet_is_at_most_medium() -> None:
    told = after_half_a_minute(None)
    assert told.severity is Severity.MEDIUM
    assert told.second_look is None


def test_both_make_it_high_and_the_incident_says_what_the_second_said() -> None:
    told = after_half_a_minute(FAKE)
    assert told.severity is Severity.HIGH
    assert told.second_look == SecondOpinion("gend-pe-l", "trained", 0.9, 4.0, agrees=True)


@pytest.mark.parametrize(
    "look",
    [
        replace(FAKE, score=0.1, agrees=False),
        replace(FAKE, score=0.6, agrees=None),
        replace(FAKE, score=0.1, agrees=True),  # both lean to real, however high the rule is set
        replace(FAKE, agrees=True, status=TrainingStatus.UNTRAINED),
        replace(FAKE, agrees=True, status=TrainingStatus.UNCALIBRATED),
        replace(FAKE, agrees=True, status=TrainingStatus.EXPERIMENTAL),
    ],
)
def test_one_that_does_not_agree_or_may_not_count_keeps_it_medium(look: SecondLook) -> None:
    assert after_half_a_minute(look).severity is Severity.MEDIUM


def test_an_experimental_one_counts_where_those_may_raise_alarms_and_an_untrained_never() -> None:
    settings = IncidentSettings(experimental_alarms=True)
    for status, severity in (
        (TrainingStatus.EXPERIMENTAL, Severity.HIGH),
        (TrainingStatus.UNTRAINED, Severity.MEDIUM),
    ):
        assert after_half_a_minute(replace(FAKE, status=status), settings).severity is severity


def test_a_second_look_that_comes_later_raises_the_severity_at_once() -> None:
    house = MachineRig()
    house.tell(watched(second=HEAVY))
    house.suspect(30.0)
    (told,) = house.tell(house.score(second_look=FAKE))
    assert told.incident.severity is Severity.HIGH
    assert house.machine.reached[Severity.HIGH] == 1
    house.suspect(5.0, second_look=replace(FAKE, score=0.1, agrees=False))
    (only,) = house.machine.open()
    assert only.severity is Severity.HIGH, "it never falls"
    assert only.second_look is not None
    assert only.second_look.agrees is False
