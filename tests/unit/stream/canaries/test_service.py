"""The service: rounds one at a time, skipped for others' sake, and never lost in silence."""

from __future__ import annotations

from stream.canaries.records import RoundResult, State
from stream.clock import ManualClock
from tests.support.canaries import FAKE, REAL, PlayedHost, played_canaries


async def test_a_call_that_is_refused_is_found_and_leaves_no_stream() -> None:
    host = PlayedHost()
    canaries = played_canaries(ManualClock(), host)
    await canaries.check()
    assert canaries.state is State.DOUBTFUL
    await canaries.check()
    assert canaries.state is State.FAILING
    assert host.asked[:3] == [f"open {REAL.id}", f"call {REAL.id}", f"remove {REAL.id}"]
    assert "played" in canaries.report().findings[0].text
    assert canaries.rounds[RoundResult.FINDINGS] == 2
    assert "failing" in canaries.health()["canaries"]


async def test_a_fault_inside_is_found_and_does_not_end_the_rounds() -> None:
    host = PlayedHost()
    host.fault = ZeroDivisionError()
    canaries = played_canaries(ManualClock(), host)
    await canaries.check()
    assert "it failed inside (ZeroDivisionError)" in canaries.report().findings[0].text


async def test_a_round_is_skipped_and_counted_where_others_need_the_room() -> None:
    host = PlayedHost()
    host.full = "every slot is taken"
    canaries = played_canaries(ManualClock(), host)
    await canaries.check()
    report = canaries.report()
    assert host.asked == []
    assert (report.state, report.skipped) == (State.WAITING, "every slot is taken")
    assert report.rounds[RoundResult.SKIPPED] == 1
    assert report.checked_at is None


async def test_its_age_counts_from_the_last_round_that_was_judged() -> None:
    clock = ManualClock()
    canaries = played_canaries(clock)
    clock.advance(40.0)
    assert canaries.age_s == 40.0
    await canaries.check()
    clock.advance(7.0)
    assert canaries.age_s == 7.0
    assert canaries.report().checked_at is not None


async def test_what_was_learned_can_be_forgotten() -> None:
    canaries = played_canaries(ManualClock())
    await canaries.check()
    canaries.learn_anew()
    report = canaries.report()
    assert (report.state, report.learned, report.anew) == (
        State.WAITING,
        0,
        "somebody asked for it",
    )
    assert [c.id for c in report.canaries] == [REAL.id, FAKE.id]
