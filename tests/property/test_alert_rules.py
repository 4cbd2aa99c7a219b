"""Laws of alert rules, whatever happens in whatever order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from stream.alerts.rules import Alert, AlertKind, RuleEngine, is_quiet
from stream.alerts.settings import QuietHours, Rule
from stream.events import Verdict
from stream.incident import IncidentStep, Label, Severity
from tests.support.alerts import BEGAN, changed, rule, verdict

STEPS = [
    IncidentStep.OPENED,
    IncidentStep.EXTENDED,
    IncidentStep.CLOSED,
    IncidentStep.ACKNOWLEDGED,
    IncidentStep.LABELLED,
]
hours = st.builds(
    QuietHours,
    start=st.sampled_from(["22:00", "08:30"]),
    end=st.sampled_from(["06:00", "17:15"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
)
rules = st.builds(
    rule,
    severity=st.sampled_from(["hint", "hint", "low", "medium", "high"]),
    min_s=st.sampled_from([0.0, 0.0, 5.0, 600.0]),
    quiet=st.lists(hours, max_size=1).map(tuple),
    most=st.integers(1, 3),
    per_s=st.sampled_from([10.0, 3600.0]),
    updates=st.booleans(),
)
happening = st.tuples(
    st.sampled_from([0.0, 1.0, 9.0, 60.0, 7200.0]),  # seconds since what happened before
    st.sampled_from([*STEPS, IncidentStep.OPENED, IncidentStep.CLOSED, "tick", "suspect", "clear"]),
    st.sampled_from(["a", "b", "c", "d", "e"]),
    st.sampled_from([Severity.HIGH, *Severity]),
    st.sampled_from([0.0, 5.0, 700.0]),
)
stories = st.lists(happening, max_size=40)


def tell(one: Rule, story: list, shift_s: float = 0.0) -> list[Alert]:
    """Return everything that a rule tells of a story."""
    engine, now, alerts = RuleEngine([one]), BEGAN + timedelta(seconds=shift_s), []
    for after, what, name, severity, lasted in story:
        now += timedelta(seconds=after)
        if what == "tick":
            alerts += engine.tick(now)
        elif what in ("suspect", "clear"):
            alerts += engine.accept(verdict(Verdict(what)), now)
        else:
            label = Label.TRUE if what is IncidentStep.LABELLED else None
            event = changed(what, name, severity=severity, suspect_s=lasted, label=label)
            alerts += engine.accept(event, now)
    return alerts


@given(rules, stories)
def test_of_an_incident_at_most_one_message_and_one_end_are_sent(one: Rule, story: list) -> None:
    alerts = tell(one, story)
    counts = Counter((alert.incident.id, alert.kind) for alert in alerts)
    assert all(count == 1 for count in counts.values())
    told: set[str] = set()
    for alert in alerts:
        if alert.kind is AlertKind.CLOSED:
            assert one.updates
            assert alert.incident.id in told, "an end without its beginning"
        told.add(alert.incident.id)


@given(rules, stories)
def test_nothing_is_sent_in_quiet_hours_or_of_what_was_seen(one: Rule, story: list) -> None:
    for alert in tell(one, story):
        assert not is_quiet(one.quiet, alert.at)
        assert alert.incident.acknowledged is None
        assert alert.incident.label is None


@given(rules, stories)
def test_the_rate_limit_holds_in_every_window(one: Rule, story: list) -> None:
    sent = [alert.at for alert in tell(one, story) if alert.kind is AlertKind.OPENED]
    window = timedelta(seconds=one.per_s)
    assert all(sum(at <= other < at + window for other in sent) <= one.most for at in sent)


@given(rules, stories)
def test_only_what_is_severe_enough_is_told(one: Rule, story: list) -> None:
    for alert in tell(one, story):
        if alert.kind is AlertKind.OPENED:
            assert alert.incident.severity >= one.least


@given(rules, stories, st.integers(1, 300))
def test_the_day_on_which_it_happens_changes_nothing(one: Rule, story: list, days: int) -> None:
    """Shifted by whole days, the same is told; zones without summer time only."""
    utc = rule(
        severity=one.severity,
        min_s=one.min_s,
        most=one.most,
        per_s=one.per_s,
        quiet=tuple(QuietHours(quiet.start, quiet.end) for quiet in one.quiet),
    )
    shift = days * 86400.0
    before = [(alert.at + timedelta(days=days), alert.kind) for alert in tell(utc, story)]
    assert [(alert.at, alert.kind) for alert in tell(utc, story, shift)] == before
