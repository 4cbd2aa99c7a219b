"""What decides about faces, as configured."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cli import wiring
from cli.settings import DetectorConfig, Settings, load
from cli.wiring import deciders, detector, second_looks
from stream.clock import ManualClock
from stream.engine.budget import Budget
from stream.engine.verdict import Thresholds
from stream.errors import SettingInvalid
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.decisions import shipped_table
from styleflow.detectors.registry import BUILT_IN
from styleflow.errors import DecisionTableUnusable, DetectorWeightsMissing
from styleflow.pictures.hardware import Decoding
from styleflow.weights.checkpoint import shipped


def device(**changes: str) -> Any:
    """Return what wiring asks of a device: its detector's card."""
    card = replace(shipped().card, **changes)
    return SimpleNamespace(detector=SimpleNamespace(card=card))


def settings(**decision: Any):
    return load(None, {}, {"decision": decision})


def test_thresholds_decide_unless_a_budget_is_wanted():
    assert isinstance(deciders(settings(), [device()])("styleflow-live"), Thresholds)


def test_a_budget_decides_for_the_detector_of_the_table_and_for_no_other():
    made = deciders(settings(by="budget"), [device(), device(name="other")])
    assert isinstance(made("styleflow-live"), Budget)
    assert isinstance(made("other"), Thresholds)


def test_every_stream_has_an_account_of_its_own():
    made = deciders(settings(by="budget"), [device()])
    one, other = made("styleflow-live"), made("styleflow-live")
    assert isinstance(one, Budget)
    assert isinstance(other, Budget)
    assert one.account is not other.account


def test_the_shipped_table_is_of_the_shipped_weights():
    assert shipped_table().digest == shipped().card.sha256


def test_known_looks_of_other_weights_are_refused():
    with pytest.raises(DecisionTableUnusable, match="other weights"):
        deciders(settings(by="budget"), [device(sha256="00" * 32)])


def test_known_looks_of_a_detector_that_is_not_here_are_refused():
    with pytest.raises(DecisionTableUnusable, match="not among caddm"):
        deciders(settings(by="budget"), [device(name="caddm-resnet34")])


def first(cadence_hz: float = 12.5) -> Any:
    """Return what wiring asks of the first detector's device: its clip."""
    return SimpleNamespace(detector=SimpleNamespace(clip=ClipSpec(32, cadence_hz, 224)))


@pytest.mark.parametrize(
    ("device", "decoding", "expected"),
    [
        ("cpu", "auto", Decoding()),
        ("cuda:1", "auto", Decoding("cuda:1", hardware=True)),
        ("cuda", "cpu", Decoding("cuda")),
    ],
)
def test_pictures_lie_where_they_are_scored(device: str, decoding: str, expected: Decoding) -> None:
    settings = Settings.model_validate({"model": {"device": device, "decoding": decoding}})
    assert wiring.decoding(settings) == expected


def test_there_is_no_second_look_unless_one_is_configured():
    assert second_looks(load(None, {}), ManualClock(), first()) is None


def test_a_second_look_without_weights_says_what_to_bring():
    wanted = load(None, {}, {"second_look": {"detector": "caddm-resnet34"}})
    with pytest.raises(DetectorWeightsMissing, match="caddm-resnet34 has no weights"):
        second_looks(wanted, ManualClock(), first())


def test_a_second_look_untrained_on_purpose_says_so():
    wanted = load(None, {}, {"second_look": {"detector": "caddm-resnet34", "at_once": 3}})
    made = second_looks(wanted, ManualClock(), first(), untrained=True)
    assert made is not None
    assert made.scoring.model.status is TrainingStatus.UNTRAINED
    assert made.device.stats.slots == 3


def test_a_second_look_of_more_frames_than_the_first_gets_names_its_key():
    wanted = load(None, {}, {"second_look": {"detector": "caddm-resnet34"}})
    with pytest.raises(SettingInvalid, match=r"second_look\.detector"):
        second_looks(wanted, ManualClock(), first(2.0), untrained=True)


def test_a_configured_prior_moves_the_shipped_calibration():
    plain = detector(DetectorConfig(name=BUILT_IN), Settings()).calibration
    rare = detector(DetectorConfig(name=BUILT_IN, prior=0.01), Settings()).calibration
    assert plain.prior > rare.prior == 0.01
    assert rare.probability(0.0) < plain.probability(0.0)


def test_a_prior_for_a_detector_without_a_calibration_names_its_key():
    wanted = DetectorConfig(name="gend-clip-l14", prior=0.01)
    with pytest.raises(SettingInvalid, match="prior needs a calibration"):
        detector(wanted, Settings(), untrained=True)
