"""What a frame is worth as evidence, at its named points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from stream.engine.engine import EngineSettings
from stream.engine.evidence_weight import evidence_weight
from stream.events import CaptureConditions, Perceived, Score
from styleflow.calibration import Calibration
from styleflow.faces.face import FaceQuality
from tests.support.engine import CLIP, GOOD, FakeDevice, engine, face, play, seen

LIMITS = EngineSettings(
    min_face_px=48.0,
    min_sharpness=15.0,
    min_fps_share=0.8,
    ample=2.0,
    min_bits_per_pixel=0.01,
    max_strangeness=2.0,
    least_worth=0.25,
)


def of(
    quality: FaceQuality = GOOD,
    fps_share: float = 2.0,
    bits_per_pixel: float = 0.1,
    strangeness: float = 0.0,
    limits: EngineSettings = LIMITS,
) -> float:
    capture = CaptureConditions(source_fps=fps_share * 12.5, bits_per_pixel=bits_per_pixel)
    return evidence_weight(quality, capture, 12.5, strangeness, limits)


def test_a_good_frame_counts_in_full() -> None:
    assert of() == 1.0


def test_what_is_not_known_speaks_against_nothing() -> None:
    assert of(fps_share=0.0, bits_per_pixel=0.0) == 1.0


@pytest.mark.parametrize(
    ("least", "half", "full"),
    [
        *[
            tuple({"quality": replace(GOOD, face_px=px)} for px in (48.0, 72.0, 96.0)),
            tuple({"quality": replace(GOOD, sharpness=s)} for s in (15.0, 22.5, 30.0)),
            tuple({"fps_share": share} for share in (0.8, 0.9, 1.0)),
            tuple({"bits_per_pixel": bits} for bits in (0.01, 0.015, 0.02)),
        ]
    ],
    ids=["face", "sharpness", "fps", "bits"],
)
def test_each_figure_runs_from_its_limit_to_what_is_ample(least, half, full) -> None:
    assert of(**least) == pytest.approx(0.25)
    assert of(**half) == pytest.approx(0.625)
    assert of(**full) == 1.0


def test_several_doubts_multiply() -> None:
    both = of(quality=replace(GOOD, face_px=48.0, sharpness=15.0))
    assert both == pytest.approx(0.0625)


def test_a_limit_of_nothing_is_not_looked_at() -> None:
    blind = replace(LIMITS, min_face_px=0.0, min_sharpness=0.0, min_bits_per_pixel=0.0)
    assert of(FaceQuality(1.0, 0.0, 120.0, 0.0), bits_per_pixel=1e-6, limits=blind) == 1.0


def test_it_can_be_switched_off() -> None:
    off = replace(LIMITS, least_worth=1.0, max_strangeness=1e6)
    assert of(FaceQuality(1.0, 1.0, 1.0, 1.0), 0.1, 1e-6, 99.0, off) == 1.0


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("beyond", [0.5, 3.0, 6.0])
def test_after_one_window_a_strange_interval_reaches_back_to_what_was_seen(
    sign: float, beyond: float
) -> None:
    calibration = Calibration(scale=0.35, bias=-1.1, spread=0.85, fitted=True)
    edge = calibration.spread * (calibration.spread + LIMITS.max_strangeness) / calibration.scale
    logit = sign * (edge + beyond * calibration.spread / calibration.scale)
    value = of(strangeness=calibration.strangeness(logit))
    low, high = calibration.interval(logit, evidence=value)
    assert low < calibration.probability(sign * edge) < high


def talk(slots: Iterable[int], logit: float = 1.0, **changes: object) -> list[Perceived]:
    quality = changes.pop("quality", GOOD)
    assert isinstance(quality, FaceQuality)
    views = [
        seen(slot, face(1, logit, quality), started=[1] if slot == 0 else []) for slot in slots
    ]
    return [
        replace(view, capture=replace(view.capture, **changes))  # type: ignore[arg-type]
        for view in views
    ]


def last(trace: list[Perceived]) -> Score:
    return [e for e in play(engine(), FakeDevice(), trace) if isinstance(e, Score)][-1]


@pytest.mark.parametrize(
    "poor",
    [
        {"quality": replace(GOOD, face_px=60.0)},
        {"quality": replace(GOOD, sharpness=20.0)},
        {"source_fps": 0.9 * CLIP.cadence_hz},
        {"bits_per_pixel": 0.012},
    ],
    ids=["face", "sharpness", "fps", "bits"],
)
def test_the_engine_looks_at_every_figure_and_moves_the_interval_only(poor) -> None:
    good, worn = last(talk(range(60))), last(talk(range(60), **poor))
    assert worn.evidence_weight < good.evidence_weight == 1.0
    assert worn.low < good.low < good.high < worn.high
    assert (worn.score, worn.verdict, worn.reasons) == (good.score, good.verdict, good.reasons)


def test_a_rating_beyond_what_calibration_saw_widens_the_interval() -> None:
    """Unfitted, a spread is 2 and the clips lie up to 4 from logit 0: 7.5 is 1.75 spreads more."""
    trace = talk(range(60), logit=7.5)
    tolerant, strict = (
        [e for e in play(engine(settings=limits), FakeDevice(), trace) if isinstance(e, Score)][-1]
        for limits in (EngineSettings(max_strangeness=2.0), EngineSettings(max_strangeness=1.0))
    )
    assert strict.evidence_weight < tolerant.evidence_weight == 1.0
    assert strict.score == tolerant.score
    assert strict.low < tolerant.low < tolerant.high < strict.high


def test_an_interval_recovers_when_the_picture_does() -> None:
    poor = talk(range(60), quality=replace(GOOD, sharpness=16.0))
    good = talk(range(60, 400))
    core, device = engine(), FakeDevice()
    widths = [e.high - e.low for e in play(core, device, poor + good) if isinstance(e, Score)]
    fresh = last(talk(range(400)))
    assert widths[-1] == pytest.approx(fresh.high - fresh.low, rel=0.01)
    assert max(widths[:19]) > 1.5 * widths[-1]
