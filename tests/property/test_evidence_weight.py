"""Laws of what a frame is worth as evidence: bounded, monotone, and never about the score."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stream.engine.engine import EngineSettings
from stream.engine.evidence_weight import LEAST_FAMILIAR, evidence_weight
from stream.events import CaptureConditions, Perceived, Score
from styleflow.calibration import Calibration
from styleflow.faces.face import FaceQuality
from tests.property.test_engine import QUICK, traces
from tests.support.engine import FakeDevice, engine, play

ANY = st.floats(allow_nan=True, allow_infinity=True)
UNKNOWN = st.just(0.0) | ANY

LIMITS = st.builds(
    EngineSettings,
    min_face_px=st.floats(0, 500),
    min_sharpness=st.floats(0, 500),
    min_fps_share=st.floats(0, 1),
    ample=st.floats(1, 100),
    min_bits_per_pixel=st.floats(0, 24),
    max_strangeness=st.floats(0, 100),
    least_worth=st.floats(1e-3, 1),
)


def figures(face_px, sharpness, fps_share, bits_per_pixel, strangeness):
    quality = FaceQuality(face_px, sharpness, 120.0, 0.0)
    return quality, capture(fps_share, bits_per_pixel), 1.0, -strangeness


def capture(fps: float, bits: float) -> CaptureConditions:
    return CaptureConditions(source_fps=fps, bits_per_pixel=bits)


@given(ANY, ANY, UNKNOWN, UNKNOWN, ANY, LIMITS)
def test_it_is_above_0_and_at_most_1(face_px, sharpness, fps, bits, strangeness, limits):
    quality = FaceQuality(face_px, sharpness, math.nan, math.nan)
    value = evidence_weight(quality, capture(fps, bits), 1.0, strangeness, limits)
    assert LEAST_FAMILIAR * limits.least_worth**4 * (1 - 1e-9) <= value <= 1.0


@given(
    st.lists(st.floats(1e-9, 1e4), min_size=5, max_size=5),
    st.integers(0, 4),
    st.floats(0, 1e4),
    LIMITS,
)
def test_nothing_that_gets_better_lowers_it(before, which, more, limits):
    """The last figure is turned round: less strange is better. 0 would mean unknown."""
    after = [figure + more * (index == which) for index, figure in enumerate(before)]
    assert evidence_weight(*figures(*before), limits) <= evidence_weight(*figures(*after), limits)


@given(ANY, ANY, UNKNOWN, UNKNOWN, ANY, LIMITS)
def test_no_number_is_as_bad_as_can_be(face_px, sharpness, fps, bits, strangeness, limits):
    quality = FaceQuality(face_px, sharpness, 120.0, 0.0)
    best = evidence_weight(quality, capture(fps, bits), 1.0, strangeness, limits)
    no_px = FaceQuality(math.nan, sharpness, 120.0, 0.0)
    assert evidence_weight(no_px, capture(fps, bits), 1.0, strangeness, limits) <= best
    assert evidence_weight(quality, capture(math.nan, bits), 1.0, strangeness, limits) <= best
    assert evidence_weight(quality, capture(fps, math.nan), 1.0, strangeness, limits) <= best
    assert evidence_weight(quality, capture(fps, bits), 1.0, math.nan, limits) <= best


@given(traces(), st.floats(1e-4, 0.5))
def test_a_poor_stream_widens_intervals_and_moves_nothing_else(
    trace: list[Perceived], bits_per_pixel: float
) -> None:
    poor = [
        replace(each, capture=replace(each.capture, bits_per_pixel=bits_per_pixel))
        for each in trace
    ]
    plain = play(engine(settings=QUICK), FakeDevice(), trace)
    worn = play(engine(settings=QUICK), FakeDevice(), poor)
    for before, after in zip(plain, worn, strict=True):
        if isinstance(before, Score):
            assert isinstance(after, Score)
            assert after.low <= before.low
            assert after.high >= before.high
            after = replace(
                after,
                low=before.low,
                high=before.high,
                evidence_weight=before.evidence_weight,
                capture=before.capture,
            )
        assert after == before


@given(st.floats(-1e300, 1e300), st.floats(0.01, 10), st.floats(-10, 10), st.floats(0.01, 10))
def test_strangeness_grows_with_the_distance_from_logit_0(logit, scale, bias, spread):
    calibration = Calibration(scale, bias, spread, fitted=True)
    strange = calibration.strangeness(logit)
    assert strange >= 0
    assert calibration.strangeness(-logit) == strange
    assert calibration.strangeness(logit * 1.5) >= strange
