"""From results of clips to figures."""

import json
from dataclasses import replace

import numpy as np
import pytest

from styleflow.evaluation.figures import figures
from tests.support.records import rating, record

ROUNDS = 50


def apart(reals=(0.1, 0.2, 0.3), fakes=(0.7, 0.8, 0.9)):
    """Return clips whose scores lie in this order."""
    return [
        *(record(f"r{n}.mp4", 0, score) for n, score in enumerate(reals)),
        *(record(f"f{n}.mp4", 1, score) for n, score in enumerate(fakes)),
    ]


def of(records, enter=0.5):
    return figures(records, enter, ROUNDS)


def test_clips_far_apart_have_perfect_figures() -> None:
    video = of(apart())["video"]
    for name in ("auc", "ap", "tpr_at_1", "tpr_at_5", "auc_forced"):
        assert video[name] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert video["eer"]["value"] == 0.0
    assert video["clips"] == {"real": 3, "fake": 3, "groups": 6, "unscored": []}


def test_a_clip_without_a_score_is_named_and_ranked_only_when_forced() -> None:
    silent = record("f9.mp4", 1, None, ratings=[rating(1.0, -5.0, reasons=("blurred",))])
    video = of([*apart(), silent])["video"]
    assert video["auc"]["value"] == 1.0
    assert video["auc_forced"]["value"] == pytest.approx(0.75)
    assert video["clips"]["unscored"] == [{"clip": "f9.mp4", "why": "no evidence: warming"}]


def test_what_cannot_be_computed_is_null_and_json_holds_all() -> None:
    for records in ([], [record("r.mp4", 0, None)], [record("f.mp4", 1, 0.5)]):
        found = of(records)
        assert found["video"]["auc"] == {"value": None, "low": None, "high": None}
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_live_and_offline_are_compared_on_the_same_clips() -> None:
    records = [replace(r, offline_end=-(r.score or 0.0)) for r in apart()]
    offline = of(records)["video"]["offline"]
    assert offline["auc_end"]["value"] == 0.0
    assert offline["auc_mean"]["value"] == 1.0
    assert offline["live_minus_end"]["value"] == 1.0
    assert offline["live_minus_mean"]["value"] == 0.0


def test_pairs_are_fakes_against_their_own_originals() -> None:
    """What is alone in its pair, or in none, is in no figure over pairs."""
    records = [
        record("r1.mp4", 0, 0.6, pair="one"),
        record("f1.mp4", 1, 0.7, pair="one"),
        record("f2.mp4", 1, 0.5, pair="one"),
        record("r2.mp4", 0, 0.1, pair="two"),
        record("f3.mp4", 1, 0.4, pair="two"),
        record("f4.mp4", 1, 0.0, pair="three"),
        record("f5.mp4", 1, 0.0),
    ]
    pairs = of(records)["video"]["pairs"]
    assert (pairs["pairs"], pairs["clips"]["real"]) == (3, 2)
    assert pairs["ranked_right"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert pairs["auc"]["value"] == pytest.approx(4 / 6, abs=1e-6)


def test_kinds_meet_all_reals_and_sources_their_own() -> None:
    records = [
        record("r1.mp4", 0, 0.2, source="a"),
        record("r2.mp4", 0, 0.6, source="b"),
        record("f1.mp4", 1, 0.5, source="a", kind="lip_sync", generator="Lips"),
        record("f2.mp4", 1, 0.9, source="c", kind="face_swap", generator="Swap"),
    ]
    video = of(records)["video"]
    assert video["by_kind"]["lip_sync"]["auc"]["value"] == 0.5
    assert video["by_generator"]["Swap"] == {
        "fakes": 1,
        "auc": video["by_kind"]["face_swap"]["auc"],
    }
    assert video["by_source"]["a"]["auc"]["value"] == 1.0
    assert video["by_source"]["c"]["auc"]["value"] is None


def test_the_auc_over_seconds_uses_nothing_of_the_future() -> None:
    """Fakes give themselves away after three seconds."""
    late = [rating(1.0, 0.0), rating(2.0, 0.0), rating(4.0, 9.0)]
    calm = [rating(1.0, 0.1), rating(2.0, 0.1), rating(4.0, 0.1)]
    records = [
        *(record(f"f{n}.mp4", 1, 0.9, ratings=late) for n in range(3)),
        *(record(f"r{n}.mp4", 0, 0.1, ratings=calm) for n in range(3)),
    ]
    streaming = of(records)["streaming"]
    by_seconds = {row["seconds"]: row["auc"]["value"] for row in streaming["by_seconds"]}
    assert by_seconds == {1.0: 0.0, 2.0: 0.0, 3.0: 0.0, 4.0: 1.0, 5.0: 1.0, 7.0: 1.0, 10.0: 1.0}
    assert streaming["early"]["whole_minus_early"]["value"] == 1.0


def test_before_anybody_has_a_score_there_is_no_auc_but_a_forced_one() -> None:
    def clip(name, label, logit):
        ratings = [rating(1.0, logit, reasons=("warming",)), rating(2.0, logit)]
        return record(name, label, 0.5, ratings=ratings)

    first, *_ = of([clip("r.mp4", 0, -1.0), clip("f.mp4", 1, 1.0)])["streaming"]["by_seconds"]
    assert (first["scored"], first["clips"]) == (0, 2)
    assert first["auc"]["value"] is None
    assert first["auc_forced"]["value"] == 1.0


def test_alarms_are_counted_per_hour_of_real_video() -> None:
    alarmed = record("r1.mp4", 0, 0.9, ratings=[rating(1.0, 1.0, verdict="suspect")])
    records = [alarmed, *apart()]
    alarms = of(records)["streaming"]["false_alarms"]
    assert alarms["alarms"] == 1
    assert alarms["per_hour"]["value"] == pytest.approx(3600 / 40)
    assert alarms["per_hour"]["low"] < 90 < alarms["per_hour"]["high"]
    assert alarms["clips_alarmed"]["value"] == 0.25


def test_no_alarm_in_a_minute_does_not_promise_none_in_an_hour() -> None:
    per_hour = of(apart())["streaming"]["false_alarms"]["per_hour"]
    assert per_hour["value"] == 0.0
    assert per_hour["high"] == pytest.approx(3.6889 * 3600 / 30, rel=1e-4)


def test_abstaining_is_counted_by_reason() -> None:
    ratings = [rating(1.0, 0.0, reasons=("blurred", "dark")), rating(2.0, 0.0, reasons=("dark",))]
    abstention = of([record("r.mp4", 0, None, ratings=ratings)])["streaming"]["abstention"]
    assert abstention["share"] == 1.0
    assert abstention["reasons"] == {"dark": 1.0, "blurred": 0.5}
    assert (abstention["clips_without_score"], abstention["clips_without_face"]) == (1, 0)


def test_answers_with_narrow_intervals_come_first_in_the_risk_curve() -> None:
    sure = [record(f"f{n}.mp4", 1, 0.9, low=0.85, high=0.95) for n in range(5)]
    unsure = [record(f"g{n}.mp4", 1, 0.1, low=0.0, high=0.9) for n in range(5)]
    points = of([*unsure, *sure])["calibration"]["risk_coverage"]["points"]
    assert (points[0]["coverage"], points[0]["risk"]) == (0.5, 0.0)
    assert (points[-1]["coverage"], points[-1]["risk"]) == (1.0, 0.5)


def test_the_threshold_says_who_is_flagged() -> None:
    calibration = of(apart(reals=(0.1, 0.6)), enter=0.6)["calibration"]
    assert calibration["reals_flagged"]["value"] == 0.5
    assert calibration["fakes_flagged"]["value"] == 1.0
    assert calibration["fakes_share"] == pytest.approx(0.6)


def degraded(records, shift, name="blur"):
    """Return the same clips under a condition that moves every score."""
    return [
        replace(
            r,
            condition=name,
            score=(r.score or 0.0) + shift,
            ratings=tuple(replace(each, logit=each.logit + shift) for each in r.ratings),
        )
        for r in records
    ]


def test_crossed_controls_show_that_damage_drives_the_score() -> None:
    plain = apart()
    found = of([*plain, *degraded(plain, 5.0)])["robustness"]["blur"]
    assert found["auc"]["value"] == found["auc_plain"]["value"] == 1.0
    assert found["lost"]["value"] == 0.0
    assert found["only_reals_worn"]["value"] == 0.0
    assert found["only_fakes_worn"]["value"] == 1.0


def test_what_a_condition_costs_is_measured_on_clips_scored_both_ways() -> None:
    plain = apart()
    mirrored = [replace(r, condition="blur", score=1 - (r.score or 0.0)) for r in plain]
    mirrored[0] = replace(mirrored[0], score=None, problem="no evidence: blurred")
    found = of([*plain, *mirrored])["robustness"]["blur"]
    assert found["lost"]["value"] == 1.0
    assert [each["clip"] for each in found["clips"]["unscored"]] == ["r0.mp4"]


def test_taking_a_cue_away_is_a_condition_of_its_own() -> None:
    plain = apart()
    found = of([*plain, *degraded(plain, 0.0, "without content"), *degraded(plain, 0.0)])
    assert list(found["video"]["by_cue"]) == ["without content"]
    assert list(found["robustness"]) == ["blur"]


def test_figures_are_the_same_every_time() -> None:
    rng = np.random.default_rng(3)
    records = apart(rng.random(8).tolist(), rng.random(8).tolist())
    assert of(records) == of(records)
