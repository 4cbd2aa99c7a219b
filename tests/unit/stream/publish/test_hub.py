"""The laws of fan-out: order, completeness, bounded memory, and nobody hurts anybody else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.clock import ManualClock
from stream.event_log.ids import BlocksInFile, EventIds
from stream.events import (
    ConnectionState,
    EpochCause,
    EpochStarted,
    ScoringModel,
    StreamChanged,
    StreamDescribed,
)
from stream.publish.client_messages import ResumePoint
from stream.publish.hub import Filter, HubFull, HubSettings
from stream.publish.schema import CloseCode
from styleflow.cards import TrainingStatus
from tests.support.wire import (
    CARD,
    INFO,
    HubRig,
    added,
    removed,
    report,
    score,
    track_ended,
    track_started,
    verdict_changed,
)


def nothing() -> None:
    """Stand in for a waker when the test reads by itself."""


FAST = Filter(max_hz=60.0)


def test_a_subscription_begins_with_a_snapshot_of_every_matching_stream() -> None:
    rig = HubRig(streams=("lobby", "lift", "gate"))
    rig.publish(score("lobby", 1), score("lobby", 2), score("gate", 1))
    messages = rig.read(rig.hub.subscribe(Filter(streams=("l*",)), nothing))
    assert [(m["type"], m["stream"]) for m in messages] == [
        ("snapshot", "lobby"),
        ("snapshot", "lift"),
    ]
    assert [s["track"] for s in messages[0]["data"]["scores"]] == [1, 2]


def test_numbers_rise_within_a_stream_and_are_never_used_again() -> None:
    """Not even by a stream of the same name that comes later; a snapshot has the newest one."""
    rig = HubRig()
    reader = rig.hub.subscribe(FAST, nothing)
    rig.publish(score(), verdict_changed(), score(), track_ended())
    rig.publish(removed("lobby"))
    rig.publish(added("lobby", INFO))
    messages = rig.read(reader)
    seqs = [m["seq"] for m in messages if m["type"] != "snapshot"]
    assert len(seqs) == 4
    assert seqs == sorted(set(seqs))
    everything = [m["seq"] for m in messages]
    assert everything == sorted(everything)


def test_a_score_that_was_not_sent_is_replaced_by_a_newer_one() -> None:
    rig = HubRig()
    reader = rig.hub.subscribe(Filter(types=frozenset({"score"})), nothing)
    rig.read(reader)
    rig.publish(score(value=0.1), score(value=0.2), score(value=0.3))
    assert [m["data"]["p"] for m in rig.read(reader)] == [0.3]
    assert rig.hub.coalesced == 2


def test_each_face_is_sent_at_most_max_hz_times_a_second_and_the_newest_arrives_at_last() -> None:
    rig = HubRig()
    reader = rig.hub.subscribe(Filter(types=frozenset({"score"}), max_hz=2.0), nothing)
    rig.read(reader)
    got = []
    for step in range(19):
        rig.publish(score(value=step / 100))
        got += [m["data"]["p"] for m in rig.read(reader)]
        rig.clock.advance(0.0625)
    due = reader.due()
    assert due is not None
    rig.clock.advance(max(due - rig.clock.monotonic(), 0.0))
    got += [m["data"]["p"] for m in rig.read(reader)]
    assert got == [0.0, 0.08, 0.16, 0.18]


def test_min_state_keeps_harmless_scores_away_but_not_events() -> None:
    rig = HubRig()
    reader = rig.hub.subscribe(Filter(min_state="suspect"), nothing)
    rig.read(reader)
    rig.publish(score(), verdict_changed())
    assert [m["type"] for m in rig.read(reader)] == ["event"]


def test_the_last_score_of_a_face_goes_out_before_its_end() -> None:
    rig = HubRig()
    reader = rig.hub.subscribe(FAST, nothing)
    rig.read(reader)
    rig.publish(score(), track_ended())
    assert [m["type"] for m in rig.read(reader)] == ["score", "event"]
    assert rig.read(rig.hub.subscribe(FAST, nothing))[0]["data"]["scores"] == []


def test_a_status_names_the_newest_state_of_the_connection() -> None:
    rig = HubRig()
    reader = rig.hub.subscribe(FAST, nothing)
    rig.read(reader)
    rig.publish(StreamChanged("lobby", 1, ConnectionState.STALLED), report())
    event, status = rig.read(reader)
    assert (event["data"]["kind"], event["data"]["state"]) == ("stream_changed", "stalled")
    assert (status["type"], status["data"]["state"]) == ("status", "stalled")


def test_scores_of_an_epoch_that_has_ended_are_not_published() -> None:
    """No silent stitching across reconnections."""
    rig = HubRig()
    reader = rig.hub.subscribe(Filter(types=frozenset({"score"}), max_hz=60), nothing)
    rig.publish(score(), EpochStarted("lobby", 2, EpochCause.CONNECTED), score(value=0.9))
    late = [m for m in rig.read(reader) if m["type"] == "score" and m["data"]["p"] == 0.9]
    assert late == []
    assert rig.hub.stale == 1


def test_streams_that_come_later_join_and_those_that_go_say_so() -> None:
    rig = HubRig(streams=())
    reader = rig.hub.subscribe(FAST, nothing)
    rig.publish(added("lobby", INFO))
    rig.publish(score())
    rig.publish(removed("lobby"))
    kinds = [m["data"].get("kind") for m in rig.read(reader)]
    assert kinds == ["stream_added", "stream_removed"]


def test_text_is_made_once_and_shared() -> None:
    rig = HubRig()
    one, two = (rig.hub.subscribe(FAST, nothing) for _ in range(2))
    rig.publish(score())
    texts = [[r.take(100.0) for _ in range(2)] for r in (one, two)]
    assert all(a is b for a, b in zip(*texts, strict=True))


# --- slow readers ---------------------------------------------------------------------------


def test_a_reader_that_never_reads_costs_bounded_memory_and_others_lose_nothing() -> None:
    rig = HubRig(HubSettings(log_events=32))
    stuck = rig.hub.subscribe(FAST, nothing)
    healthy = rig.hub.subscribe(FAST, nothing)
    rig.read(healthy)
    events = 0
    most = 0
    for track in range(3000):
        rig.publish(track_started(track=track), score(track=track), track_ended(track=track))
        events += sum(m["type"] == "event" for m in rig.read(healthy))
        most = max(most, stuck.waiting)
    assert events == 6000
    assert most <= 64 + 2
    assert healthy.cut is None


def test_a_reader_too_slow_for_a_verdict_is_cut_and_told_why() -> None:
    rig = HubRig(HubSettings(log_events=4))
    reader = rig.hub.subscribe(FAST, nothing)
    rig.read(reader)
    rig.publish(verdict_changed(), *(track_started(track=t) for t in range(5)))
    assert rig.read(reader) == []
    assert reader.cut is not None
    assert reader.cut.code is CloseCode.TOO_SLOW
    assert "lobby" in reader.cut.reason


def test_a_reader_too_slow_for_lesser_events_is_told_how_many_it_missed() -> None:
    rig = HubRig(HubSettings(log_events=4))
    reader = rig.hub.subscribe(Filter(types=frozenset({"event"})), nothing, name="mine")
    rig.read(reader)
    rig.publish(*(track_started(track=t) for t in range(7)))
    lagged, *rest = rig.read(reader)
    assert lagged["type"] == "lagged"
    assert lagged["data"]["dropped"] == 3
    assert lagged["data"]["subscription"] == "mine"
    assert [m["data"]["track"] for m in rest] == [3, 4, 5, 6]
    span = lagged["data"]["to_seq"] - lagged["data"]["from_seq"] + 1
    assert span == 3
    assert rest[0]["seq"] == lagged["data"]["to_seq"] + 1


def test_too_many_removed_streams_unread_cut_the_reader() -> None:
    rig = HubRig(HubSettings(closed_logs=2), streams=())
    reader = rig.hub.subscribe(FAST, nothing)
    for n in range(4):
        rig.publish(added(f"s{n}", INFO))
        rig.publish(removed(f"s{n}"))
    assert reader.cut is not None


def test_places_are_limited_and_given_back() -> None:
    rig = HubRig(HubSettings(max_clients=1))
    rig.hub.enter(nothing)
    with pytest.raises(HubFull):
        rig.hub.enter(nothing)
    rig.hub.leave(nothing, 1001)
    rig.hub.enter(nothing)
    assert rig.hub.disconnects == {1001: 1}


def test_stopping_wakes_every_client() -> None:
    rig = HubRig()
    woken: list[str] = []
    rig.hub.enter(lambda: woken.append("a"))
    rig.hub.stop(CloseCode.GOING_AWAY, "shutting down")
    assert woken == ["a"]
    assert rig.hub.stopped is not None


def test_after_unsubscribing_nothing_more_is_queued() -> None:
    rig = HubRig()
    reader = rig.hub.subscribe(FAST, nothing)
    rig.read(reader)
    reader.close()
    reader.close()
    rig.publish(score(), verdict_changed())
    assert rig.read(reader) == []


# --- resuming -------------------------------------------------------------------------------


def test_a_resume_point_that_is_too_old_begins_with_a_snapshot() -> None:
    rig = HubRig(HubSettings(log_events=2))
    first = rig.read(rig.hub.subscribe(FAST, nothing))[0]["seq"]
    rig.publish(*(track_started(track=t) for t in range(4)))
    reader = rig.hub.subscribe(FAST, nothing, resume={"lobby": ResumePoint(epoch=0, seq=first)})
    assert reader.gaps == ("lobby",)
    assert [m["type"] for m in rig.read(reader)] == ["snapshot"]


@pytest.mark.parametrize("seq", [0, 3, 2**53])
def test_a_resume_point_from_somewhere_else_is_a_gap(seq: int) -> None:
    """Numbers of an earlier run, or invented ones, never look valid."""
    rig = HubRig()
    reader = rig.hub.subscribe(FAST, nothing, resume={"lobby": ResumePoint(epoch=0, seq=seq)})
    assert reader.gaps == ("lobby",)


def test_a_resume_point_of_an_earlier_run_is_a_gap_whatever_the_wall_clock_says(
    tmp_path: Path,
) -> None:
    """Its numbers lie below those of the new run, so they can never be taken for valid ones."""
    newest = 0
    for year in (2030, 2026):  # the clock is set back while the server restarts
        clock = ManualClock(start=100.0, epoch=datetime(year, 1, 1, tzinfo=UTC))
        rig = HubRig(ids=EventIds(BlocksInFile(tmp_path / "epoch", clock)))
        rig.publish(score(), verdict_changed())
        point = {"lobby": ResumePoint(epoch=1, seq=newest)}
        reader = rig.hub.subscribe(FAST, nothing, resume=point)
        assert reader.gaps == ("lobby",)
        snapshot = rig.read(reader)[0]
        assert snapshot["type"] == "snapshot"
        assert snapshot["seq"] > newest
        newest = snapshot["seq"]


EVENTS = st.lists(
    st.sampled_from(["score", "started", "verdict", "ended", "other"]), min_size=1, max_size=60
)


@given(EVENTS, st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=150)
def test_a_reader_that_comes_back_gets_exactly_the_events_it_missed(
    kinds: list[str], leave: int, come_back: int
) -> None:
    """Cut off anywhere, even in the middle of a batch: seen plus resumed = everything, once."""
    rig = HubRig(streams=("lobby", "other"))
    witness = rig.hub.subscribe(FAST, nothing)
    reader = rig.hub.subscribe(FAST, nothing)
    everything, seen = rig.read(witness), [_load(reader.take(100.0))]
    make = {"score": score, "started": track_started, "verdict": verdict_changed}
    for step, kind in enumerate(kinds):
        if kind == "other":
            rig.publish(verdict_changed("other"))
        elif kind == "ended":
            rig.publish(track_ended(track=1))
        else:
            rig.publish(make[kind]())  # type: ignore[operator]
        everything += rig.read(witness)
        if step < leave:
            seen += [_load(reader.take(rig.clock.monotonic()))]
        if step == come_back:
            points = _points([m for m in seen if m is not None])
            reader.close()
            reader = rig.hub.subscribe(FAST, nothing, resume=points)
            assert reader.gaps == ()
        rig.clock.advance(0.3)
    rest = rig.read(reader)
    want = [m["seq"] for m in everything if m["type"] == "event" and m["stream"] == "lobby"]
    got = [
        m["seq"]
        for m in [*seen, *rest]
        if m is not None and m["type"] == "event" and m["stream"] == "lobby"
    ]
    assert got == want


def _load(text: str | None) -> dict[str, object] | None:
    return json.loads(text) if text is not None else None


def _points(seen: list[dict[str, object]]) -> dict[str, ResumePoint]:
    points: dict[str, ResumePoint] = {}
    for message in seen:
        best = points.get(message["stream"], ResumePoint(epoch=0, seq=0)).seq  # type: ignore[call-overload]
        seq = max(message["seq"], best)  # type: ignore[call-overload]
        points[message["stream"]] = ResumePoint(epoch=message["epoch"], seq=seq)  # type: ignore[index, arg-type]
    return points


def test_each_detector_of_a_face_has_a_newest_score_of_its_own() -> None:
    rig = HubRig()
    subscription = rig.hub.subscribe(Filter(max_hz=60.0), nothing)
    rig.read(subscription)
    for value in (0.1, 0.2):
        rig.publish(score(value=value), score(value=value + 0.5, detector="caddm-resnet34"))
    sent = [(m["data"]["detector"], m["data"]["p"]) for m in rig.read(subscription)]
    assert sent == [("styleflow-live", 0.2), ("caddm-resnet34", 0.7)]
    late = rig.hub.subscribe(Filter(), nothing)
    (snapshot,) = rig.read(late)
    assert {s["detector"] for s in snapshot["data"]["scores"]} == {
        "styleflow-live",
        "caddm-resnet34",
    }


def test_the_last_scores_of_all_detectors_go_out_before_a_face_ends() -> None:
    rig = HubRig()
    subscription = rig.hub.subscribe(Filter(max_hz=0.1), nothing)
    rig.read(subscription)
    for value in (0.1, 0.2):
        rig.publish(score(value=value), score(value=value, detector="caddm-resnet34"))
        rig.read(subscription)
    rig.publish(track_ended())
    sent = rig.read(subscription)
    assert [m["type"] for m in sent] == ["score", "score", "event"]
    assert [m["data"].get("detector") for m in sent[:2]] == ["styleflow-live", "caddm-resnet34"]
    (snapshot,) = rig.read(rig.hub.subscribe(Filter(), nothing))
    assert snapshot["data"]["scores"] == []


def test_a_score_carries_the_card_of_its_own_model() -> None:
    rig = HubRig()
    other = replace(CARD, name="caddm-resnet34", status=TrainingStatus.UNCALIBRATED)
    rig.publish(added("lobby", replace(INFO, others=(ScoringModel(other, False),))))
    subscription = rig.hub.subscribe(Filter(types=frozenset({"score"})), nothing)
    rig.read(subscription)
    rig.publish(score(), score(detector="caddm-resnet34"))
    first, second = (m["data"] for m in rig.read(subscription))
    assert (first["model"]["name"], first["notice"]) == ("styleflow-live", "")
    assert second["model"]["status"] == "uncalibrated"
    assert "uncalibrated" in second["notice"]
    assert second["calibration"] == {"fitted": False}


def test_a_new_name_is_told_at_once_and_goes_with_everything_after_it() -> None:
    rig = HubRig()
    reader = rig.hub.subscribe(FAST, nothing)
    rig.read(reader)
    rig.publish(StreamDescribed("lobby", 1, "North door", ("Berlin",)), report())
    described, status = rig.read(reader)
    assert described["data"]["kind"] == "stream_described"
    assert (described["data"]["name"], described["data"]["tags"]) == ("North door", ["Berlin"])
    assert (status["data"]["name"], status["data"]["tags"]) == ("North door", ["Berlin"])
    (late,) = rig.read(rig.hub.subscribe(FAST, nothing))
    assert (late["data"]["name"], late["data"]["status"]["tags"]) == ("North door", ["Berlin"])


def test_canaries_are_followed_only_by_those_who_name_them() -> None:
    wanted = [("*",), ("?canary*",), (".canary.*",), (".canary.demo.real",), (".canary.x.*",)]
    found = [Filter(streams=names).matches(".canary.demo.real") for names in wanted]
    assert found == [False, False, True, True, False]
    assert not Filter(streams=(".canary.*",)).matches("lobby")
