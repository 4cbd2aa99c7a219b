"""Settings that make no sense are refused by name."""

from __future__ import annotations

import math

import pytest

from stream.engine.engine import EngineSettings
from stream.errors import SettingInvalid
from styleflow.clips import ClipSpec

CLIP = ClipSpec(frames=32, cadence_hz=12.5, size_px=128)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hop_s", 0.0),
        ("max_gap_s", -1.0),
        ("warmup_s", -0.1),
        ("half_life_s", math.nan),
        ("enter", 1.2),
        ("leave", -0.1),
        ("dwell_s", -1.0),
        ("coverage_s", 0.0),
        ("max_loss", 2.0),
        ("min_brightness", 256.0),
        ("max_tracks", 0),
        ("max_pending", 0),
        ("min_face_px", math.inf),
        ("ample", 0.9),
        ("min_bits_per_pixel", -0.1),
        ("max_strangeness", -1.0),
        ("least_worth", 0.0),
        ("least_worth", 1.1),
    ],
)
def test_a_senseless_value_names_its_key(key: str, value: float) -> None:
    with pytest.raises(SettingInvalid) as caught:
        EngineSettings(**{key: value})  # type: ignore[arg-type]
    assert caught.value.key == key
    assert str(caught.value).startswith(key)


def test_leave_must_lie_below_enter() -> None:
    with pytest.raises(SettingInvalid, match=r"leave must be below enter \(0.6\)"):
        EngineSettings(enter=0.6, leave=0.6)


def test_times_become_whole_slots_of_the_grid() -> None:
    settings = EngineSettings(hop_s=0.24, max_gap_s=1.0, warmup_s=1.28, coverage_s=3.0)
    assert settings.hop_slots(CLIP) == 3
    assert settings.gap_slots(CLIP) == 12
    assert settings.warmup_frames(CLIP) == 16
    assert settings.coverage_slots(CLIP) == 38


def test_warm_up_is_half_a_clip_unless_set() -> None:
    assert EngineSettings().warmup_frames(CLIP) == 16
    assert EngineSettings(warmup_s=0.0).warmup_frames(CLIP) == 0


def test_a_hop_is_at_least_one_frame() -> None:
    assert EngineSettings(hop_s=0.001).hop_slots(CLIP) == 1
