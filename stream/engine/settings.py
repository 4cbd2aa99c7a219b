"""The engine's settings: every limit that turns numbers into verdicts, with its unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

from stream.errors import SettingInvalid
from styleflow.clips import ClipSpec


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one stream's frames become scores, and when no verdict is given.

    Attributes:
        hop_s: media seconds between two ratings of a track; at least one sampled frame.
        look_early_s: media seconds for which a new track is looked at often, by a detector that
            does not use every sampled frame (`styleflow-live`); the others ignore it.
        look_early_every_s: media seconds between two looks until then; at least one sampled frame.
        look_every_s: the same from then on, while there is no verdict.
        look_settled_every_s: the same while there is one.
        max_gap_s: media seconds without a usable frame after which a track's evidence starts anew.
        warmup_s: media seconds' worth of usable frames before the first verdict; None means half
            a clip of the detector.
        half_life_s: media seconds after which an old logit weighs half in the score.
        enter: score from which a track may become suspect, 0..1.
        leave: score at or below which a track may become clear, 0..1, below `enter`. Between the
            two the verdict stays what it was.
        dwell_s: media seconds for which a score must stay beyond its threshold.
        coverage_s: media seconds over which loss and overrun are measured.
        max_loss: share of sampled frames missing or contaminated beyond which no verdict is given.
        max_link_loss: share of packets lost on the way (repaired ones too) beyond which no verdict
            is given: the sender then squeezes its pictures until little of the face is left.
        max_overrun: share of sampled frames skipped for lack of time, likewise.
        min_fps_share: source frames per media second, as a share of the cadence, below which no
            verdict is given.
        min_face_px: smallest face that yields a verdict, side in source pixels.
        min_sharpness: least variance of the Laplacian of the aligned luma, grey levels squared.
        min_brightness: least mean luma of the aligned face, 0..255.
        max_yaw_deg: largest head turn to either side, degrees.
        ample: times `min_face_px`, `min_sharpness` and `min_bits_per_pixel` from which a frame is
            evidence in full, at least 1. Below, the interval round the score is wider; see
            `stream/engine/evidence_weight.py`.
        min_bits_per_pixel: compressed bits per source pixel, over the last seconds, at and below
            which a frame has the least weight; 0 ignores them. It withholds no verdict.
        max_strangeness: how far a rating may lie beyond the clips that calibration saw, in their
            spreads, and be evidence in full. Beyond, the interval round the score is wider.
        least_worth: evidence weight of a frame at a limit, for each of these that it is at; above
            0 and at most 1, which ignores them. A half makes the interval 1.4 times as wide.
        max_tracks: faces that one stream may have followed at once.
        max_pending: plans that may await their answer; the oldest gives way and its tracks
            start anew, because nobody knows what the device did with it.
    """

    hop_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 0.24
    look_early_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 2.0
    look_early_every_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 0.24
    look_every_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 0.48
    look_settled_every_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 0.96
    max_gap_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 1.0
    warmup_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] | None = None
    half_life_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 2.0
    enter: float = 0.7
    leave: float = 0.4
    dwell_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 1.0
    coverage_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 3.0
    max_loss: float = 0.3
    max_link_loss: float = 0.15
    max_overrun: float = 0.3
    min_fps_share: float = 0.8
    min_face_px: Annotated[float, Field(le=10_000, allow_inf_nan=False)] = 48.0
    # Sharp faces of 70 px measured 40 to 70 in 128 px crops, of 120 px and more 150 to 670; blurred
    # by a Gaussian of 4 px, the latter fall to 12.
    min_sharpness: Annotated[float, Field(le=1_000_000, allow_inf_nan=False)] = 15.0
    min_brightness: float = 35.0
    max_yaw_deg: Annotated[float, Field(le=180, allow_inf_nan=False)] = 50.0
    ample: Annotated[float, Field(le=1_000_000, allow_inf_nan=False)] = 2.5
    min_bits_per_pixel: Annotated[float, Field(le=1_000_000, allow_inf_nan=False)] = 0.01
    max_strangeness: Annotated[float, Field(le=1_000_000, allow_inf_nan=False)] = 2.0
    least_worth: float = 0.5
    max_tracks: Annotated[int, Field(le=100_000)] = 64
    max_pending: Annotated[int, Field(le=100_000)] = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise SettingInvalid(field.name, value, "must be a finite number")
        for key in (
            *("hop_s", "max_gap_s", "half_life_s", "coverage_s"),
            *("look_early_every_s", "look_every_s", "look_settled_every_s"),
        ):
            if getattr(self, key) <= 0:
                raise SettingInvalid(key, getattr(self, key), "must be more than 0 seconds")
        for key in (
            *("warmup_s", "dwell_s", "min_face_px", "min_sharpness", "max_yaw_deg"),
            *("min_bits_per_pixel", "max_strangeness", "look_early_s"),
        ):
            if (getattr(self, key) or 0) < 0:
                raise SettingInvalid(key, getattr(self, key), "must not be negative")
        for key in ("enter", "leave", "max_loss", "max_link_loss", "max_overrun", "min_fps_share"):
            if not 0 <= getattr(self, key) <= 1:
                raise SettingInvalid(key, getattr(self, key), "must lie between 0 and 1")
        if not 0 <= self.min_brightness <= 255:
            raise SettingInvalid("min_brightness", self.min_brightness, "must be 0 to 255")
        if self.enter == 0:
            raise SettingInvalid("enter", self.enter, "must be more than 0, so that leave is below")
        if self.leave >= self.enter:
            raise SettingInvalid("leave", self.leave, f"must be below enter ({self.enter})")
        if not 0 < self.least_worth <= 1:
            rule = "must be more than 0 and at most 1"
            raise SettingInvalid("least_worth", self.least_worth, rule)
        for key in ("max_tracks", "max_pending", "ample"):
            if getattr(self, key) < 1:
                raise SettingInvalid(key, getattr(self, key), "must be at least 1")

    def hop_slots(self, clip: ClipSpec) -> int:
        """Return the sampled frames from one rating to the next, at least 1."""
        return max(1, round(self.hop_s * clip.cadence_hz))

    def gap_slots(self, clip: ClipSpec) -> int:
        """Return the largest distance between two usable frames that is no fresh start."""
        return max(1, math.floor(self.max_gap_s * clip.cadence_hz + 1e-9))

    def warmup_frames(self, clip: ClipSpec) -> int:
        """Return how many usable frames a track needs before its first verdict."""
        if self.warmup_s is None:
            return math.ceil(clip.frames / 2)
        return math.ceil(self.warmup_s * clip.cadence_hz - 1e-9)

    def coverage_slots(self, clip: ClipSpec) -> int:
        """Return the sampled frames over which loss and overrun are measured, at least 1."""
        return max(1, round(self.coverage_s * clip.cadence_hz))
