"""One stream from sampled frames to verdicts, with a device that has no model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import pytest

from stream.engine.engine import Engine, EngineSettings
from stream.engine.plan import Forget, Plan, Rate, Ratings, TrackKey
from stream.events import (
    AbstainReason,
    CapacityReached,
    CaptureConditions,
    EndedTrack,
    Event,
    Layer,
    Notice,
    Perceived,
    Score,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from styleflow.cards import TrainingStatus
from styleflow.faces.face import FaceQuality
from tests.support.engine import CLIP, GOOD, FakeDevice, engine, face, play, seen

E = TypeVar("E")
KEY = TrackKey("lobby", 1)


def of(kind: type[E], events: Iterable[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def talk(
    slots: Iterable[int], logit: float = 3.0, quality: FaceQuality = GOOD, **more: object
) -> list[Perceived]:
    """Track 1 in every slot; it starts in slot 0."""
    return [
        seen(slot, face(1, logit, quality), started=(1,) if slot == 0 else (), **more)  # type: ignore[arg-type]
        for slot in slots
    ]


def pushes(core: Engine, trace: Iterable[Perceived]) -> list[tuple[int, int, bool]]:
    """Return (slot, missing, fresh) of every push."""
    found = []
    for each in trace:
        plan, _ = core.step(each)
        found += [(each.slot, push.missing, push.fresh) for push in plan.pushes]
    return found


def test_a_track_is_told_of_when_it_starts_and_when_it_ends() -> None:
    core = engine()
    _, events = core.step(seen(0, face(1), started=(1,)))
    assert events == (TrackStarted("lobby", 0, 1, 0.0),)
    plan, events = core.step(seen(5, ended=[EndedTrack(1, TrackEnd.LOST)]))
    assert events == (TrackEnded("lobby", 0, 1, 0.4, TrackEnd.LOST),)
    assert plan.forgets == (Forget(KEY),)


def test_faces_that_wait_are_told_of_and_the_stream_says_how_many() -> None:
    core = engine()
    trace = [
        replace(each, waiting=n) for each, n in zip(talk(range(5)), [0, 1, 1, 3, 2], strict=True)
    ]
    told = [of(CapacityReached, core.step(each)[1]) for each in trace]
    assert [len(events) for events in told] == [0, 1, 0, 1, 0]
    (event,) = told[3]
    assert (event.track, event.slots, event.faces_waiting) == (0, 1, 3)
    report = core.report(now=1.0)
    assert report.faces_waiting == 2
    assert AbstainReason.FACES_WAITING in report.reasons
    core.step(seen(5, face(1)))
    report = core.report(now=1.0)
    assert (report.faces_waiting, AbstainReason.FACES_WAITING in report.reasons) == (0, False)


@pytest.mark.parametrize(
    ("layer", "face_px", "noticed"),
    [
        (None, 20.0, False),
        (Layer(160, 120, 2), 60.0, True),
        (Layer(180, 320, 2), 60.0, True),
        (Layer(1280, 720, 3), 160.0, False),
        (Layer(1280, 720, 3), 20.0, True),
    ],
)
def test_a_layer_that_is_small_or_whose_faces_are_is_noticed(
    layer: Layer | None, face_px: float, noticed: bool
) -> None:
    core, device = engine(settings=EngineSettings(hop_s=0.08)), FakeDevice()
    small = face(1, quality=replace(GOOD, face_px=face_px))
    frames = [seen(n, small, started=(1,) if not n else ()) for n in range(4)]
    shot = CaptureConditions(source_fps=25.0, simulcast_layer=layer)
    play(core, device, [replace(frame, capture=shot) for frame in frames])
    report = core.report(now=1.0)
    assert report.notices == ((Notice.SMALL_LAYER,) if noticed else ())
    assert report.layer == layer


def test_tracks_that_the_engine_or_the_device_turned_away_wait_too() -> None:
    core, device = engine(settings=EngineSettings(max_tracks=2)), FakeDevice(slots=1)
    faces = [face(1), face(2), face(3)]
    play(core, device, [seen(n, *faces, started=(1, 2, 3) if not n else ()) for n in range(3)])
    assert core.report(now=1.0).faces_waiting == 2


def test_every_usable_frame_is_pushed_and_every_hop_is_rated() -> None:
    core = engine(settings=EngineSettings(hop_s=0.24))
    plans = [core.step(each)[0] for each in talk(range(10))]
    assert [len(plan.pushes) for plan in plans] == [1] * 10
    assert [plan.rates for plan in plans if plan.rates] == [(Rate(KEY),)] * 3
    assert [bool(plan.rates) for plan in plans].index(True) == 3
    assert [plan.number for plan in plans] == list(range(1, 11))


def test_passed_slots_are_told_to_the_device() -> None:
    assert pushes(engine(), talk([0, 1, 4, 5])) == [
        (0, 0, True),
        (1, 0, False),
        (4, 2, False),
        (5, 0, False),
    ]


def test_a_long_gap_starts_the_evidence_anew() -> None:
    core, device = engine(), FakeDevice()
    events = play(core, device, talk([*range(40), *range(60, 64)]))
    last = of(Score, events)[-1]
    assert last.start == pytest.approx(60 * CLIP.step_s)
    assert last.frames == 4
    assert last.reasons == (AbstainReason.WARMING, AbstainReason.PACKET_LOSS)
    assert [change.verdict for change in of(VerdictChanged, events)] == [
        Verdict.SUSPECT,
        Verdict.PENDING,
    ]


def test_contaminated_frames_are_not_pushed_and_count_as_missing() -> None:
    core = engine()
    trace = [
        *talk([0, 1]),
        seen(2, face(1), contaminated=True),
        seen(3, face(1), contaminated=True),
        *talk([4]),
    ]
    assert pushes(core, trace) == [(0, 0, True), (1, 0, False), (4, 2, False)]
    assert core.counters.contaminated == 2


def test_contamination_withdraws_a_verdict_at_once_and_it_returns_afterwards() -> None:
    core, device = engine(), FakeDevice()
    events = play(core, device, talk(range(40)))
    assert of(Score, events)[-1].verdict is Verdict.SUSPECT
    (change,) = play(core, device, [seen(40, face(1, 7.0), contaminated=True)])
    assert isinstance(change, VerdictChanged)
    assert (change.previous, change.verdict) == (Verdict.SUSPECT, Verdict.PENDING)
    after = play(core, device, talk(range(41, 48)))
    scores = of(Score, after)
    assert scores[0].reasons == (AbstainReason.CONTAMINATED,)
    assert scores[0].verdict is Verdict.PENDING
    assert scores[-1].verdict is Verdict.SUSPECT
    assert 7.0 not in device.pushed[KEY]


def test_no_verdict_before_warm_up() -> None:
    core, device = engine(), FakeDevice()
    scores = of(Score, play(core, device, talk(range(60))))
    cold = [score for score in scores if score.frames < 16]
    assert cold
    assert all(AbstainReason.WARMING in score.reasons for score in cold)
    assert all(score.verdict is Verdict.PENDING for score in cold)
    assert all(score.reasons == () for score in scores if score.frames >= 16)
    assert scores[-1].verdict is Verdict.SUSPECT


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (FaceQuality(40.0, 200.0, 120.0, 0.0), AbstainReason.FACE_SMALL),
        (FaceQuality(160.0, 2.0, 120.0, 0.0), AbstainReason.BLURRED),
        (FaceQuality(160.0, 200.0, 12.0, 0.0), AbstainReason.DARK),
        (FaceQuality(160.0, 200.0, 120.0, -70.0), AbstainReason.PROFILE),
        (FaceQuality(math.nan, 200.0, 120.0, 0.0), AbstainReason.FACE_SMALL),
    ],
)
def test_a_poor_face_is_scored_but_not_judged(quality: FaceQuality, reason: AbstainReason) -> None:
    core, device = engine(), FakeDevice()
    play(core, device, talk(range(40), logit=-3.0))
    before = core.counters.scores
    events = play(core, device, talk(range(40, 80), logit=7.0, quality=quality))
    scores = of(Score, events)
    assert len(scores) == core.counters.scores - before > 0
    assert all(score.reasons == (reason,) for score in scores[1:])
    assert all(score.verdict is Verdict.PENDING for score in scores[1:])
    assert scores[-1].score < 0.1  # what was seen poorly did not count
    assert scores[-1].high - scores[-1].low > scores[0].high - scores[0].low


def test_a_slow_source_and_a_lossy_one_are_not_judged() -> None:
    slow = of(Score, play(engine(), FakeDevice(), talk(range(60), source_fps=8.0)))
    assert slow[-1].reasons == (AbstainReason.LOW_FPS,)
    lossy = of(Score, play(engine(), FakeDevice(), talk(range(0, 120, 2))))
    assert lossy[-1].reasons == (AbstainReason.PACKET_LOSS,)


def test_a_source_whose_rate_is_not_known_yet_is_not_called_slow() -> None:
    scores = of(Score, play(engine(), FakeDevice(), talk(range(60), source_fps=0.0)))
    assert scores[-1].reasons == ()


def test_skipping_for_lack_of_time_is_called_overload_and_not_loss() -> None:
    scores = of(Score, play(engine(), FakeDevice(), talk(range(0, 120, 2), overrun=1)))
    assert scores[-1].reasons == (AbstainReason.OVERLOADED,)


def test_an_untrained_detector_never_judges() -> None:
    core = engine(status=TrainingStatus.UNTRAINED)
    events = play(core, FakeDevice(), talk(range(100)))
    scores = of(Score, events)
    assert all(AbstainReason.UNTRAINED in score.reasons for score in scores)
    assert {score.verdict for score in scores} == {Verdict.PENDING}
    assert scores[-1].score > 0.9
    assert of(VerdictChanged, events) == []


def test_a_score_tells_what_is_behind_it() -> None:
    core, device = engine(), FakeDevice()
    score = of(Score, play(core, device, talk([0, 1, 2, 5, 6], logit=1.0)))[-1]
    assert (score.start, score.end) == (0.0, pytest.approx(0.4))
    assert (score.frames, score.missing) == (4, 2)
    assert score.logit == 1.0
    assert score.arrived == pytest.approx(100.4)
    assert score.low < score.score == score.probability < score.high


def test_a_new_epoch_ends_every_track_once() -> None:
    core, device = engine(), FakeDevice()
    play(core, device, [seen(0, face(1), face(2), started=(1, 2))])
    plan, events = core.step(
        seen(0, face(3), epoch=1, started=(3,), ended=[EndedTrack(1, TrackEnd.EPOCH_ENDED)])
    )
    assert [(event.track, event.epoch, event.reason) for event in of(TrackEnded, events)] == [
        (1, 0, TrackEnd.EPOCH_ENDED),
        (2, 0, TrackEnd.EPOCH_ENDED),
    ]
    assert of(TrackStarted, events) == [TrackStarted("lobby", 1, 3, 0.0)]
    assert {forget.key.track for forget in plan.forgets} == {1, 2}
    assert [push.key.track for push in plan.pushes] == [3]


def test_a_frame_that_comes_late_is_counted_and_only_its_endings_are_used() -> None:
    core, device = engine(), FakeDevice()
    play(core, device, talk(range(5)))
    plan, events = core.step(seen(4, face(1), ended=[EndedTrack(1, TrackEnd.LOST)]))
    assert plan.pushes == ()
    assert [event.track for event in of(TrackEnded, events)] == [1]
    core.step(seen(9, face(2), epoch=2, started=(2,)))
    plan, events = core.step(seen(10, face(2), epoch=1))
    assert (plan.pushes, events) == ((), ())
    assert core.counters.late_frames == 2


def test_a_frame_of_another_stream_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="'lobby' cannot use a frame of 'gate'"):
        engine().step(seen(0, stream="gate"))


def test_a_face_that_never_started_is_not_pushed() -> None:
    core = engine()
    plan, events = core.step(seen(0, face(7)))
    assert (plan.pushes, events) == ((), ())
    assert core.counters.foreign_faces == 1


def test_an_ended_number_is_never_used_again() -> None:
    core, device = engine(), FakeDevice()
    play(core, device, talk([0, 1]))
    play(core, device, [seen(2, ended=[EndedTrack(1, TrackEnd.LOST)])])
    plan, events = core.step(seen(3, face(1), started=(1,)))
    assert (plan.pushes, events) == ((), ())


def test_a_late_answer_for_an_ended_track_is_dropped_and_counted() -> None:
    core, device = engine(), FakeDevice()
    plans = [core.step(each)[0] for each in talk(range(4))]
    core.step(seen(4, ended=[EndedTrack(1, TrackEnd.LOST)]))
    events = [
        core.resolve(plan, answer) for plan, answer in zip(plans, device.run(plans), strict=True)
    ]
    assert events == [()] * 4
    assert core.counters.late_answers == 1  # the one that carried a rating


def test_double_and_foreign_answers_change_nothing() -> None:
    core, device = engine(), FakeDevice()
    plan = [core.step(each)[0] for each in talk(range(4))][-1]
    (answer,) = device.run([plan])
    core.resolve(plan, answer)
    scores = core.counters.scores
    assert core.resolve(plan, answer) == ()
    assert core.resolve(plan, Ratings(99, {KEY: 5.0})) == ()
    assert core.resolve(Plan(99, "lobby"), Ratings(99, {KEY: 5.0})) == ()
    assert core.resolve(Plan(1, "gate"), Ratings(1, {KEY: 5.0})) == ()
    assert core.counters.scores == scores
    assert core.counters.late_answers == 4


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_yields_no_score(logit: float) -> None:
    core = engine()
    for each in talk(range(4)):
        plan, _ = core.step(each)
        events = core.resolve(plan, Ratings(plan.number, {rate.key: logit for rate in plan.rates}))
    assert events == ()
    assert core.counters.unrated == 1


def test_an_overtaken_plan_leaves_its_tracks_to_start_anew() -> None:
    core, device = engine(), FakeDevice()
    play(core, device, talk(range(40)))
    lost, _ = core.step(talk([40])[0])
    plan, _ = core.step(talk([41])[0])
    _, answer = device.run([lost, plan])
    (change,) = core.resolve(plan, answer)
    assert isinstance(change, VerdictChanged)
    assert change.verdict is Verdict.PENDING
    plan, _ = core.step(talk([42])[0])
    assert plan.pushes[0].fresh
    assert core.counters.unanswered == 1


def test_a_refused_track_is_told_of_once_and_starts_when_there_is_room() -> None:
    core, device = engine(), FakeDevice(slots=1)
    both = [seen(0, face(1), face(2), started=(1, 2))]
    both += [seen(slot, face(1), face(2)) for slot in range(1, 20)]
    events = play(core, device, both)
    assert of(CapacityReached, events) == [CapacityReached("lobby", 0, 2, 1, "styleflow-live")]
    assert {score.track for score in of(Score, events)} == {1}
    assert core.counters.refusals == 20
    gone = seen(20, face(2), ended=[EndedTrack(1, TrackEnd.LOST)])
    events = play(core, device, [gone, *[seen(slot, face(2)) for slot in range(21, 30)]])
    first = of(Score, events)[0]
    assert (first.track, first.start) == (2, pytest.approx(20 * CLIP.step_s))
    assert of(CapacityReached, events) == []


def test_the_face_seen_longest_ago_makes_room_but_one_in_sight_does_not() -> None:
    core = engine(settings=EngineSettings(max_tracks=2))
    core.step(seen(0, face(1), face(2), started=(1, 2)))
    core.step(seen(1, face(2)))
    plan, events = core.step(seen(2, face(2), face(3), started=(3,)))
    assert [(event.track, event.reason) for event in of(TrackEnded, events)] == [
        (1, TrackEnd.EVICTED)
    ]
    assert plan.forgets == (Forget(KEY),)
    _, events = core.step(seen(3, face(2), face(3), face(4), started=(4,)))
    assert events == (CapacityReached("lobby", 0, 4, 2, "styleflow-live"),)
    assert (core.counters.evictions, core.counters.turned_away) == (1, 1)


def test_ending_closes_everything_and_later_answers_are_dropped() -> None:
    core, device = engine(), FakeDevice()
    plans = [core.step(each)[0] for each in talk(range(4))]
    plan, events = core.end(TrackEnd.EPOCH_ENDED)
    assert plan.forgets == (Forget(KEY),)
    assert [event.reason for event in of(TrackEnded, events)] == [TrackEnd.EPOCH_ENDED]
    assert core.resolve(plans[-1], device.run(plans)[-1]) == ()
    assert core.report(0.0).tracks == 0


def test_retuning_changes_thresholds_without_losing_history() -> None:
    core, device = engine(), FakeDevice()
    play(core, device, talk(range(40), logit=0.5))
    before = of(Score, play(core, device, talk(range(40, 43), logit=0.5)))[-1]
    assert before.verdict is Verdict.PENDING
    core.retune(EngineSettings(enter=0.6, leave=0.3, dwell_s=0.0))
    after = of(Score, play(core, device, talk(range(43, 46), logit=0.5)))[-1]
    assert after.verdict is Verdict.SUSPECT
    assert after.start == before.start
    assert after.score == pytest.approx(before.score)


def test_a_report_says_why_the_stream_as_a_whole_yields_nothing() -> None:
    core, device = engine(), FakeDevice()
    quiet = core.report(5.0)
    assert (quiet.age_s, quiet.reasons, quiet.tracks) == (None, (), 0)
    assert (quiet.fps, quiet.loss) == (None, None)
    core.step(seen(0))
    assert core.report(100.5).reasons == (AbstainReason.NO_FACE,)
    assert core.report(100.5).age_s == pytest.approx(0.5)
    play(core, device, [seen(1, face(1), face(2), started=(1, 2))])
    assert core.report(101.0).reasons == (AbstainReason.WARMING,)
    small = FaceQuality(20.0, 200.0, 120.0, 0.0)
    play(core, device, [seen(s, face(1), face(2, quality=small)) for s in range(2, 30)])
    assert core.report(103.0).reasons == ()  # one of the two can be judged
    core.step(seen(30, face(1), contaminated=True))
    report = core.report(103.0)
    assert AbstainReason.CONTAMINATED in report.reasons
    assert report.loss == pytest.approx(1 / 31)
    assert report.fps == 25.0


def test_a_frame_rate_that_is_not_known_yet_is_not_0() -> None:
    """The first picture of an epoch has no rate; a live stream was reported with 0 per second."""
    core = engine()
    core.step(replace(seen(0), capture=CaptureConditions(source_fps=0.0)))
    report = core.report(100.5)
    assert (report.fps, report.loss) == (None, 0.0)


def test_what_was_said_before_a_long_gap_weighs_nothing_after_it() -> None:
    core, device = engine(), FakeDevice()
    play(core, device, talk(range(40), logit=3.0))
    scores = of(Score, play(core, device, talk(range(60, 100), logit=-1.0)))
    assert scores[-1].score == pytest.approx(1 / (1 + math.e))


def test_a_logit_of_a_track_in_doubt_is_not_used() -> None:
    core, device = engine(settings=EngineSettings(hop_s=0.08)), FakeDevice()
    play(core, device, talk(range(40)))
    overtaken, _ = core.step(talk([40])[0])
    plan, _ = core.step(talk([41])[0])
    assert plan.rates == (Rate(KEY),)
    events = core.resolve(plan, device.run([overtaken, plan])[1])
    assert of(Score, events) == []
    assert core.counters.unrated == 1


def test_a_score_near_even_odds_abstains_and_says_so() -> None:
    core = engine(undecided=0.8)
    scores = of(Score, play(core, FakeDevice(), talk(range(120), logit=-0.5)))
    assert scores[-1].verdict is Verdict.PENDING
    assert scores[-1].reasons == (AbstainReason.UNDECIDED,)
    assert scores[-1].score < core.settings.leave
    assert AbstainReason.UNDECIDED in core.report(0.0).reasons
