"""Second looks: whom they are asked of, what they say, and what they never harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.clock import ManualClock
from stream.device.device import Device
from stream.engine.settings import EngineSettings
from stream.errors import SettingInvalid
from stream.events import (
    AbstainReason,
    Event,
    Score,
    ScoringModel,
    StreamAdded,
    TrackEnd,
    TrackEnded,
)
from stream.incident import Severity
from stream.incidents.settings import IncidentSettings
from stream.perception.perception import Perception
from stream.pipeline import Pipeline
from stream.scheduling.degradation import Relief
from stream.second_look.scheduler import Refusal, agreement, side_of
from stream.second_look.second_looks import AWAY_S, Outcome, SecondLooks
from stream.second_look.settings import SecondLookSettings
from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from tests.support.incidents import MachineRig
from tests.support.models import toy_network
from tests.support.path import EAGER, CentreFinder, frames
from tests.support.published import toy_caddm
from tests.support.second_look import FIRST, HeavyDetector, SecondLookRig, untrained


@pytest.mark.parametrize(
    ("score", "side"), [(0.7, 1), (0.69, 0), (0.5, 0), (0.31, 0), (0.3, -1), (float("nan"), 0)]
)
def test_a_score_leans_by_its_distance_from_the_middle(score: float, side: int) -> None:
    assert side_of(score, 0.4) == side


def test_two_agree_when_both_lean_to_one_side() -> None:
    assert agreement(0.9, 0.8, 0.4) is True
    assert agreement(0.1, 0.2, 0.4) is True
    assert agreement(0.9, 0.1, 0.4) is False
    assert agreement(0.9, 0.6, 0.4) is None


def test_a_face_that_leans_is_looked_at_and_its_scores_say_so() -> None:
    rig = SecondLookRig()
    before = rig.step({"lobby": 0.9})["lobby"]
    assert before.second_look is None
    after = rig.run({"lobby": 0.9}, 8)["lobby"].second_look
    assert after is not None
    assert after.detector == "caddm-resnet34"
    assert after.score == pytest.approx(Calibration().probability(3.0))
    assert after.agrees is True
    assert after.status is TrainingStatus.TRAINED
    assert 0 < after.at < 0.5
    assert rig.looks.stats.outcomes[Outcome.AGREES] == 1
    assert rig.device.held == 0


def test_what_it_said_is_compared_with_every_later_score() -> None:
    rig = SecondLookRig()
    rig.run({"lobby": 0.9}, 8)
    (later,) = rig.step({"lobby": 0.6}).values()
    assert later.second_look is not None
    assert later.second_look.agrees is None
    (last,) = rig.step({"lobby": 0.1}).values()
    assert last.second_look is not None
    assert last.second_look.agrees is False


def test_a_face_that_leans_nowhere_is_looked_at_at_the_rate_only() -> None:
    rig = SecondLookRig()
    rig.run({"lobby": 0.5}, 60)
    assert rig.device.plans == []
    sampled = SecondLookRig(SecondLookSettings(every_s=2, frames=1))
    sampled.run({"lobby": 0.5}, 26 * 3)
    assert len(sampled.device.spent) == 3  # in 6.2 seconds


def test_a_look_takes_frames_at_its_own_cadence() -> None:
    """Five a second of the twelve and a half that there are."""
    rig = SecondLookRig(SecondLookSettings(every_s=0, frames=4))
    for _ in range(13):
        rig.step({"lobby": 0.9})
    pushes = [push for plan in rig.device.plans for push in plan.pushes]
    assert len(pushes) == 4
    assert [push.missing for push in pushes] == [0, 0, 0, 0]
    assert [push.fresh for push in pushes] == [True, False, False, False]
    assert {push.image.shape for push in pushes} == {(224, 224, 3)}


def test_evidence_that_is_none_asks_for_no_look() -> None:
    rig = SecondLookRig()
    for _ in range(8):
        rig.step({"lobby": 0.9}, reasons=(AbstainReason.BLURRED,))
    assert rig.device.plans == []
    rig.step({"lobby": 0.9}, reasons=(AbstainReason.UNDECIDED,))
    rig.step({"lobby": 0.9})
    assert rig.device.spent


def test_damaged_pictures_are_not_shown() -> None:
    rig = SecondLookRig()
    rig.step({"lobby": 0.9})
    for _ in range(5):
        rig.step({"lobby": 0.9}, contaminated=True)
    assert rig.device.plans == []


def test_an_untrained_one_says_so_and_never_agrees() -> None:
    rig = SecondLookRig(detector=untrained())
    (last,) = rig.run({"lobby": 0.9}, 8).values()
    assert last.second_look is not None
    assert last.second_look.status is TrainingStatus.UNTRAINED
    assert last.second_look.agrees is None
    assert rig.looks.stats.outcomes[Outcome.UNTRAINED] == 1


def test_over_the_share_a_look_waits_and_is_counted_once() -> None:
    settings = SecondLookSettings(every_s=0, frames=2, share=0.1)
    rig = SecondLookRig(settings, cost=lambda: 0.1)
    rig.run({"lobby": 0.9}, 5)
    assert rig.looks.stats.refused[Refusal.SHARE] == 1
    assert rig.looks.stats.going == 0
    (last,) = rig.run({"lobby": 0.9}, 30).values()
    assert last.second_look is not None
    assert rig.looks.stats.refused[Refusal.SHARE] == 1
    assert rig.looks.stats.used <= 0.1


def test_under_overload_no_look_begins() -> None:
    rig = SecondLookRig()
    rig.relieved = True
    rig.run({"lobby": 0.9}, 5)
    assert rig.looks.stats.refused[Refusal.OVERLOADED] == 1
    assert rig.device.plans == []


def test_no_more_faces_than_there_is_room_for() -> None:
    rig = SecondLookRig(SecondLookSettings(every_s=0, frames=4, at_once=1))
    rig.run({"lobby": 0.9, "door": 0.9}, 3)
    assert rig.device.held == 1
    assert rig.looks.stats.refused[Refusal.BUSY] == 1
    last = rig.run({"lobby": 0.9, "door": 0.9}, 30)
    assert all(score.second_look is not None for score in last.values())


def test_a_face_that_ends_meanwhile_leaves_nothing_behind() -> None:
    rig = SecondLookRig(SecondLookSettings(every_s=0, frames=4))
    rig.run({"lobby": 0.9}, 3)
    assert rig.device.held == 1
    rig.step({}, events=[TrackEnded("lobby", 1, 1, 0.3, TrackEnd.EPOCH_ENDED)])
    assert rig.device.held == 0
    assert rig.looks.stats.outcomes[Outcome.INTERRUPTED] == 1


def test_a_face_that_is_out_of_sight_too_long_ends_the_look() -> None:
    rig = SecondLookRig(SecondLookSettings(every_s=0, frames=4))
    rig.run({"lobby": 0.9}, 3)
    rig.slot += 20
    rig.step({"lobby": 0.9})
    assert rig.looks.stats.outcomes[Outcome.INTERRUPTED] == 1


def test_a_stream_that_falls_silent_gives_its_place_back() -> None:
    rig = SecondLookRig(SecondLookSettings(every_s=0, frames=4, at_once=1))
    rig.run({"lobby": 0.9}, 3)
    rig.run({"door": 0.9}, 200)
    assert rig.looks.stats.outcomes[Outcome.INTERRUPTED] == 1
    assert rig.looks.stats.outcomes[Outcome.AGREES] == 1


def test_a_stream_that_is_closed_is_forgotten() -> None:
    rig = SecondLookRig(SecondLookSettings(every_s=0, frames=4))
    rig.run({"lobby": 0.9}, 3)
    rig.looks.close("lobby")
    assert rig.device.held == 0
    (first,) = rig.step({"lobby": 0.9}).values()
    assert first.second_look is None


def test_a_fault_of_it_is_counted_and_harms_no_score() -> None:
    rig = SecondLookRig()
    rig.device.broken = True
    assert rig.run({"lobby": 0.9}, 5).keys() == {"lobby"}
    assert rig.looks.stats.outcomes[Outcome.FAILED] == 1
    rig.device.broken = False
    rig.run({"door": 0.9}, 5)
    assert rig.looks.stats.refused[Refusal.FAILED] == 1
    rig.clock.advance(AWAY_S)
    (last,) = rig.run({"door": 0.9}, 8).values()
    assert last.second_look is not None


def test_a_fault_at_the_end_of_a_face_harms_nobody() -> None:
    rig = SecondLookRig(SecondLookSettings(every_s=0, frames=4))
    rig.run({"lobby": 0.9}, 3)
    rig.device.broken = True
    rig.step({}, events=[TrackEnded("lobby", 1, 1, 0.3, TrackEnd.LOST)])
    rig.looks.close("lobby")
    assert rig.looks.stats.outcomes[Outcome.INTERRUPTED] == 1
    rig.run({"door": 0.9}, 2)
    assert rig.looks.stats.refused[Refusal.FAILED] == 1


def test_one_that_gives_no_number_is_given_up() -> None:
    rig = SecondLookRig()
    rig.device.answers_from = 1000
    (last,) = rig.run({"lobby": 0.9}, 15).values()
    assert last.second_look is None
    assert rig.looks.stats.outcomes[Outcome.UNRATED] == 1


def test_a_look_is_as_long_as_the_detector_needs_for_a_number() -> None:
    """And is paid for as a whole: none ends half way for want of a share."""
    settings = SecondLookSettings(every_s=0, frames=1, share=0.2)
    rig = SecondLookRig(settings, cost=lambda: 0.05, answers_from=4)
    (last,) = rig.run({"lobby": 0.9}, 40).values()
    assert last.second_look is not None
    assert len(rig.device.spent) == 4
    assert rig.looks.look_s == pytest.approx(4 * 1.1 * 0.05)
    assert rig.looks.least_pause_s == pytest.approx(4 * 1.1 * 0.05 / 0.2)
    assert sum(rig.looks.stats.outcomes.values()) == 1


def test_a_detector_of_more_frames_than_there_are_is_refused_by_its_key() -> None:
    fast = HeavyDetector(clip=ClipSpec(32, 25.0, 224))
    with pytest.raises(SettingInvalid, match=r"second_look\.detector .* 12\.5 .* wants 25"):
        SecondLookRig(detector=fast)


@pytest.mark.parametrize(
    "change", [{"share": 0.0}, {"share": 0.95}, {"when": 1.1}, {"every_s": -1.0}, {"at_once": 0}]
)
def test_settings_without_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(SettingInvalid, match="second_look"):
        SecondLookSettings(**change)  # type: ignore[arg-type]


def toy_cascade(status: TrainingStatus, bias: float = 8.0) -> Pipeline:
    """Return a small detector that takes every face for fake, and a toy CADDM behind it.

    Args:
        status: of the toy CADDM.
        bias: where it leans, whatever it sees.
    """
    first, heavy = toy_network(), toy_caddm().deploy()
    first.card = replace(first.card, status=TrainingStatus.TRAINED)
    first.calibration = Calibration(0.01, 8.0, 0.1, fitted=True)
    heavy.card = replace(heavy.card, status=status)
    heavy.calibration = Calibration(0.01, bias, 0.1, fitted=True)
    clock = ManualClock()
    looks = SecondLooks(
        Device(heavy, 2), SecondLookSettings(every_s=0), FIRST, EngineSettings(), clock
    )
    looks.warm_up()
    return Pipeline(
        [Device(first, 8)],
        lambda: Perception(CentreFinder(), [first.clip]),
        EAGER,
        clock,
        second=looks,
    )


def play(pipeline: Pipeline, count: int = 30) -> list[Event]:
    image = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    pipeline.open("a")
    return [e for f in frames("a", image, count) for e in pipeline.process([(f, 0)]).events]


def test_two_small_detectors_agree_on_one_stream() -> None:
    """Through the real perception, engine and devices."""
    pipeline = toy_cascade(TrainingStatus.TRAINED)
    scores = [event for event in play(pipeline) if isinstance(event, Score)]
    assert {score.detector for score in scores} == {"styleflow-live"}
    looks = [score.second_look for score in scores if score.second_look is not None]
    assert looks
    assert {look.agrees for look in looks} == {True}
    pipeline.close("a")
    assert pipeline.second is not None
    assert pipeline.second.device.stats.used == 0


@pytest.mark.parametrize(
    ("status", "bias", "severity"),
    [
        (TrainingStatus.TRAINED, 8.0, Severity.HIGH),
        (TrainingStatus.TRAINED, -8.0, Severity.MEDIUM),  # it leans to real
        (TrainingStatus.UNTRAINED, 8.0, Severity.MEDIUM),
    ],
)
def test_from_pictures_to_a_severity_that_takes_both(
    status: TrainingStatus, bias: float, severity: Severity
) -> None:
    """Pipeline, event log and incidents together: frames in, an incident out."""
    pipeline = toy_cascade(status, bias)
    assert pipeline.second is not None
    rules = IncidentSettings(medium_s=0.1, medium_lo=0, high_s=0.3, high_lo=0, high_p=0.6)
    house = MachineRig(rules)
    first = ScoringModel(pipeline.scorers[0].card, calibrated=True)
    house.tell(StreamAdded("a", 0, "Lobby", (first,), second_look=pipeline.second.scoring))
    for event in play(pipeline, 60):
        if isinstance(event, Score):
            house.clock.advance(max(event.arrived - house.clock.monotonic(), 0.0))
        house.tell(event)
    (only,) = house.machine.open()
    assert only.severity is severity
    assert only.second_look is not None
    assert only.second_look.detector == "caddm-resnet34"
    assert only.second_look.status == status.value


def test_the_first_detectors_scores_are_the_same_with_and_without() -> None:
    with_it = toy_cascade(TrainingStatus.TRAINED)
    without = toy_cascade(TrainingStatus.TRAINED)
    without.second = None
    scores = [[e for e in play(p) if isinstance(e, Score)] for p in (with_it, without)]
    assert [replace(score, second_look=None) for score in scores[0]] == scores[1]


def test_a_pipeline_that_leaves_work_out_begins_no_second_look() -> None:
    pipeline = toy_cascade(TrainingStatus.TRAINED)
    pipeline.relieve(Relief(detect_factor=4))
    assert all(e.second_look is None for e in play(pipeline) if isinstance(e, Score))
    assert pipeline.second is not None
    assert pipeline.second.stats.refused[Refusal.OVERLOADED] == 1
