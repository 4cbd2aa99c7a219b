"""Rules at work: what is told, what is held back, and what is told once only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stream.alerts.rules import Alert, AlertKind, HeldBack, RuleEngine, Told, is_quiet
from stream.alerts.settings import QuietHours
from stream.events import StreamRemoved, Verdict
from stream.incident import IncidentStep, Label, Severity
from tests.support.alerts import BEGAN, changed, rule, verdict

OPENED, CLOSED = AlertKind.OPENED, AlertKind.CLOSED
END = IncidentStep.CLOSED
NIGHT = QuietHours("22:00", "06:00")


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def kinds(alerts: list[Alert]) -> list[AlertKind]:
    return [alert.kind for alert in alerts]


def engine(**changes: Any) -> RuleEngine:
    return RuleEngine([rule(**changes)])


def test_an_incident_is_told_once_and_its_end_once() -> None:
    rules = engine()
    assert kinds(rules.accept(changed(), at(0))) == [OPENED]
    assert rules.accept(changed(IncidentStep.EXTENDED), at(1)) == []
    assert rules.tick(at(2)) == []
    assert kinds(rules.accept(changed(END), at(3))) == [CLOSED]
    assert rules.accept(changed(END), at(4)) == []


def test_without_updates_the_end_is_not_told() -> None:
    rules = engine(updates=False)
    assert kinds(rules.accept(changed(), at(0))) == [OPENED]
    assert rules.accept(changed(END), at(3)) == []


@pytest.mark.parametrize(
    ("streams", "told"), [(("lob*",), 1), (("cam-*", "lobby"), 1), (("x",), 0)]
)
def test_globs_choose_streams(streams: tuple[str, ...], told: int) -> None:
    assert len(engine(streams=streams).accept(changed(), at(0))) == told


def test_a_hint_is_told_when_it_has_grown() -> None:
    rules = engine(severity="medium")
    assert rules.accept(changed(severity=Severity.HINT), at(0)) == []
    grown = changed(IncidentStep.EXTENDED, severity=Severity.MEDIUM)
    assert kinds(rules.accept(grown, at(1))) == [OPENED]


def test_a_face_that_stays_suspect_is_told_after_the_least_duration() -> None:
    """Time alone brings it due: no event comes while a verdict stays what it is."""
    rules = engine(min_s=5.0)
    rules.accept(verdict(Verdict.SUSPECT), at(0))
    assert rules.accept(changed(), at(0)) == []
    assert rules.tick(at(4.9)) == []
    assert kinds(rules.tick(at(5))) == [OPENED]


def test_an_open_incident_whose_face_is_clear_again_does_not_last() -> None:
    rules = engine(min_s=5.0)
    rules.accept(verdict(Verdict.SUSPECT), at(0))
    rules.accept(changed(), at(0))
    rules.accept(verdict(Verdict.CLEAR), at(3))
    assert rules.tick(at(60)) == []
    rules.accept(verdict(Verdict.SUSPECT), at(61))
    assert rules.tick(at(62.9)) == []
    assert kinds(rules.tick(at(63))) == [OPENED]


def test_a_removed_stream_has_no_suspect_faces() -> None:
    rules = engine(min_s=5.0)
    rules.accept(verdict(Verdict.SUSPECT), at(0))
    rules.accept(changed(), at(0))
    rules.accept(StreamRemoved("lobby", 1), at(1))
    assert rules.tick(at(60)) == []


def test_an_incident_that_is_over_at_once_is_one_message() -> None:
    rules = engine()
    assert kinds(rules.accept(changed(END, suspect_s=9.0), at(9))) == [OPENED]
    assert rules.accept(changed(END, suspect_s=9.0), at(10)) == []


@pytest.mark.parametrize(
    "seen",
    [changed(IncidentStep.ACKNOWLEDGED), changed(IncidentStep.LABELLED, label=Label.FALSE)],
    ids=["acknowledged", "labelled"],
)
def test_nothing_more_is_sent_of_what_somebody_has_seen(seen: Any) -> None:
    mark = {"acknowledged": seen.incident.acknowledged, "label": seen.incident.label}
    for rules in (engine(), engine(min_s=60)):  # one has told it, the other has not
        rules.accept(changed(), at(0))
        assert rules.accept(seen, at(1)) == []
        assert rules.accept(changed(END, suspect_s=99.0, **mark), at(2)) == []


def test_an_old_incident_that_somebody_comments_on_is_not_told() -> None:
    closed = changed(END).incident
    old = changed(IncidentStep.COMMENTED, status=closed.status, closed=closed.closed)
    assert engine().accept(old, at(0)) == []


def test_quiet_hours_hold_back_until_they_are_over() -> None:
    rules = engine(quiet=(NIGHT,))
    night = datetime(2026, 1, 1, 23, tzinfo=UTC)
    assert rules.accept(changed(), night) == []
    assert rules.tick(night + timedelta(hours=6, minutes=59)) == []
    assert kinds(rules.tick(night + timedelta(hours=7))) == [OPENED]
    assert rules.held_back["all", HeldBack.QUIET] == 1


def test_what_is_over_before_quiet_hours_are_is_not_told() -> None:
    rules = engine(quiet=(NIGHT,))
    night = datetime(2026, 1, 1, 23, tzinfo=UTC)
    rules.accept(changed(), night)
    assert rules.accept(changed(END), night + timedelta(hours=1)) == []
    assert rules.tick(night + timedelta(hours=8)) == []


def test_the_end_of_what_was_told_waits_for_the_end_of_quiet_hours() -> None:
    rules = engine(quiet=(NIGHT,))
    evening = datetime(2026, 1, 1, 21, 59, tzinfo=UTC)
    assert kinds(rules.accept(changed(), evening)) == [OPENED]
    assert rules.accept(changed(END), evening + timedelta(hours=1)) == []
    assert kinds(rules.tick(evening + timedelta(hours=8, minutes=1))) == [CLOSED]


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2026-07-01T20:00:00+00:00", True),  # 22:00 in Berlin, in summer
        ("2026-07-01T19:59:00+00:00", False),
        ("2026-01-01T20:59:00+00:00", False),  # in winter
        ("2026-01-01T21:00:00+00:00", True),
        ("2026-01-01T04:59:00+00:00", True),
        ("2026-01-01T05:00:00+00:00", False),
    ],
)
def test_quiet_hours_follow_their_time_zone(moment: str, *, quiet: bool) -> None:
    hours = QuietHours("22:00", "06:00", "Europe/Berlin")
    assert is_quiet([hours], datetime.fromisoformat(moment)) is quiet


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday = [QuietHours("22:00", "06:00", days=("fri",))]
    assert is_quiet(friday, datetime(2026, 1, 2, 23, tzinfo=UTC))
    assert is_quiet(friday, datetime(2026, 1, 3, 5, tzinfo=UTC))
    assert not is_quiet(friday, datetime(2026, 1, 2, 5, tzinfo=UTC))
    assert not is_quiet(friday, datetime(2026, 1, 3, 23, tzinfo=UTC))


def test_the_rate_limit_is_per_stream_and_ends_are_free() -> None:
    rules = engine(most=1, per_s=60.0)
    assert kinds(rules.accept(changed(id="a"), at(0))) == [OPENED]
    assert rules.accept(changed(id="b"), at(1)) == []
    assert kinds(rules.accept(changed(id="c", stream="yard"), at(2))) == [OPENED]
    assert kinds(rules.accept(changed(END, id="a"), at(3))) == [CLOSED]
    assert rules.held_back["all", HeldBack.RATE] == 1
    assert kinds(rules.tick(at(60))) == [OPENED], "b is still open, and there is room again"


def test_what_was_told_before_a_restart_stays_told() -> None:
    rules = engine(most=1, per_s=60.0)
    rules.restore([Told("all", "a", "lobby", OPENED, at(0))])
    assert rules.accept(changed(id="a"), at(1)) == []
    assert rules.accept(changed(id="b"), at(1)) == [], "the rate limit remembers, too"
    assert kinds(rules.accept(changed(END, id="a"), at(2))) == [CLOSED]


def test_a_rule_that_is_disabled_tells_nothing() -> None:
    assert engine(enabled=False).accept(changed(), at(0)) == []


def test_incidents_are_bounded() -> None:
    """The oldest gives way, and is counted."""
    rules = engine(min_s=60)
    for number in range(1100):
        rules.accept(changed(id=f"i{number}"), at(0))
    assert rules.forgotten == 1100 - 1024
