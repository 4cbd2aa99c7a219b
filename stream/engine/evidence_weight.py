"""Evidence weight of a frame: low quality widens the interval.

A verdict is withheld below the limits of `EngineSettings`. Just above them a frame still says less
than a good one, so it counts in part: by 1 where nothing is poor, by `least_worth` at a limit,
along a straight line in between. What is poor for several reasons counts by their product. It
moves the interval only, never the score.

| poor | `least_worth` at | 1 from |
|---|---|---|
| small face | `min_face_px` | `ample` times that |
| blurred face | `min_sharpness` | `ample` times that |
| few source frames | `min_fps_share` of the cadence | the cadence |
| low bitrate | `min_bits_per_pixel` | `ample` times that |

A rating beyond what calibration has seen is another matter: the model is asked about something that
nobody tried it on. The interval of one full window of evidence then reaches back as far as the
rating is beyond.

Bits per pixel are those of the whole stream. They say little across codecs: HEVC and AV1 need about
half of what H.264 needs for the same picture, and a still scene less than a restless one.

`ample` and `least_worth` were chosen on ten training clips of real people, so that the interval
makes room for what damage does to a rating: root of the squares of the plain interval and of the
rating's shift. On ten other clips it is 0.9 to 1.15 times that, see `docs/model-card.md`.
"""

from __future__ import annotations

from stream.engine.settings import EngineSettings
from stream.events import CaptureConditions
from styleflow.faces.face import FaceQuality

LEAST_FAMILIAR = 1e-3
"""Weight of the strangest rating; the interval is nearly everything by then."""


def evidence_weight(
    quality: FaceQuality,
    capture: CaptureConditions,
    cadence_hz: float,
    strangeness: float,
    limits: EngineSettings,
) -> float:
    """Return the evidence weight of a frame, above 0 and at most 1.

    No figure that gets better lowers it; one that is not a number counts as the worst.

    Args:
        quality: of the aligned face.
        capture: of the frame; a figure that is unknown (0) counts as a good one.
        cadence_hz: frames per media second that the detector is fed.
        strangeness: of the newest rating, see `Calibration.strangeness`.
        limits: where evidence has the least weight, and where it counts in full.
    """
    px, sharpness, bits = limits.min_face_px, limits.min_sharpness, limits.min_bits_per_pixel
    ample = limits.ample
    shares = [
        _rise(quality.face_px, px, ample * px),
        _rise(quality.sharpness, sharpness, ample * sharpness),
    ]
    if capture.source_fps:
        shares.append(_rise(capture.source_fps / cadence_hz, limits.min_fps_share, 1.0))
    if capture.bits_per_pixel:
        shares.append(_rise(capture.bits_per_pixel, bits, ample * bits))
    product = _familiarity(strangeness, limits.max_strangeness)
    for share in shares:
        product *= limits.least_worth + (1.0 - limits.least_worth) * share
    return min(product, 1.0)


def _rise(value: float, low: float, high: float) -> float:
    """Return 0 up to `low`, 1 from `high`, and a straight line in between; 0 for no number."""
    if value >= high:
        return 1.0
    return (value - low) / (high - low) if value > low else 0.0


def _familiarity(strangeness: float, most: float) -> float:
    """Return 1 up to `most` spreads, and beyond it what lets the interval reach back there."""
    if strangeness <= most:
        return 1.0
    beyond = strangeness - most
    return max(LEAST_FAMILIAR, 1.0 / (1.0 + beyond * beyond))
