"""Flash: whether the light on a face follows the colours that its screen shows.

Theory of operation. What a screen adds to the light on skin is a share of its colour, so the
logarithms of red, green and blue rise with the screen's. Exposure moves all three alike and is
taken out: what is left is *chroma*. Slow drift (white balance, the person moving) is taken out
with a line. The chroma that was seen is correlated with the chroma that was shown, at the best
delay of those that a call has.

How high is high? The sequence was one of tens of thousands, drawn for this once. The same is
computed for other sequences of the same make: the share of them that fit as well is the chance
that a video that knows nothing of it, a recording for example, would have passed.

Pure: series in, results out; times are seconds of one clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
from numpy.typing import NDArray

from stream.challenge.drawing import Colour, draw_colours
from stream.challenge.observing import Observation
from stream.challenge.settings import ChallengeSettings
from stream.challenge.verify import GAP_S, LEAST_HZ, Rest, Verified
from stream.compliance import Outcome

FASTEST_S = 0.03
SLOWEST_S = 1.5
"""Delays of a call that are tried: from the prompt's sending to the light's arriving here."""

STEP_S = 0.03
OTHERS = 999
"""Sequences that the shown one is compared with."""

LEAST_FIT = 0.5
"""Correlation below which the light does not follow, however seldom others do better."""

Floats = NDArray[np.float64]
Chroma = Floats


@dataclass(frozen=True, slots=True)
class Fit:
    """How well light follows a sequence.

    Attributes:
        correlation: at the best delay, -1..1.
        delay_s: that delay.
        p: share of sequences that fit as well, this one among them.
        swing: how strongly the light follows: rise of a colour's share of the light, in logarithms.
    """

    correlation: float
    delay_s: float
    p: float
    swing: float


def verify_flash(
    colours: Sequence[Colour],
    seen: Sequence[Observation],
    rest: Rest,
    begun: float,
    settings: ChallengeSettings,
    rng: Random,
) -> Verified:
    """Return whether the light on a face followed the screen; `reached` is the share of others.

    Args:
        colours: what was shown, each for an equal part of `flash_s`.
        seen: observations of the window, oldest first.
        rest: the face before.
        begun: when the page was told to begin.
        settings: how long it took, and what is enough.
        rng: draws the other sequences.
    """
    until = begun + settings.flash_s + SLOWEST_S
    own = [
        one
        for one in seen
        if one.skin is not None and one.epoch == rest.epoch and begun <= one.at <= until
    ]
    enough = settings.flash_p
    if len(own) < LEAST_HZ * settings.flash_s or _gap(own, begun, until) > GAP_S:
        why = "the face was out of view"
        return Verified(Outcome.UNJUDGED, None, enough, reason=why)
    if any(one.faces > 1 for one in own):
        return Verified(Outcome.UNJUDGED, None, enough, reason="several faces are in view")
    found = fit(colours, own, begun, settings.flash_s, rng)
    if found.p <= enough and found.correlation >= LEAST_FIT:
        return Verified(Outcome.FOLLOWED, found.p, enough, delay_s=found.delay_s)
    why = f"its colours follow by {max(found.correlation, 0.0):.2f} of 1"
    return Verified(Outcome.NOT_FOLLOWED, found.p, enough, reason=why)


def fit(
    colours: Sequence[Colour],
    seen: Sequence[Observation],
    begun: float,
    seconds: float,
    rng: Random,
) -> Fit:
    """Return how well the light on a face follows a sequence, against others of its make."""
    times = np.array([one.at - begun for one in seen])
    light = chroma(np.stack([one.skin.mean(axis=0) for one in seen if one.skin is not None]))
    base = np.stack([np.ones_like(times), times / max(float(np.ptp(times)), 1e-9)], axis=1)
    drift = np.eye(len(times)) - base @ np.linalg.pinv(base)
    delays = np.arange(FASTEST_S, SLOWEST_S, STEP_S)
    screens = [_screen(times - delay, len(colours), seconds) for delay in delays]
    sequences = [colours, *(draw_colours(len(colours), rng) for _ in range(OTHERS))]
    shown = np.stack([_table(each) for each in sequences])
    found = _correlations(shown, screens, drift, drift @ light)
    best = int(found[0].argmax())
    least = float(found[0, best])
    as_good = int((found[1:].max(axis=1) >= least - 1e-12).sum())
    lit = drift @ (screens[best] @ shown[0])
    swing = float((lit * light).sum()) / max(float((lit * lit).sum()), 1e-9)
    return Fit(least, float(delays[best]), (1 + as_good) / (1 + OTHERS), swing)


def chroma(colours: NDArray[np.float32]) -> Chroma:
    """Return logarithms of red, green and blue, less their mean: exposure is taken out."""
    logs = np.log(np.maximum(np.asarray(colours, np.float64), 1.0))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def _screen(since: Floats, count: int, seconds: float) -> Floats:
    """Return which colour is on the screen at each time, `(times, count)`; 1 where it is."""
    slots = np.floor(since / (seconds / count))
    return np.asarray(slots[:, None] == np.arange(count), np.float64)


def _table(colours: Sequence[Colour]) -> Chroma:
    """Return the chroma of each colour of a sequence."""
    table = np.array(colours, np.float64)
    return np.asarray(table - table.mean(axis=1, keepdims=True))


def _correlations(shown: Floats, screens: Sequence[Floats], drift: Floats, light: Chroma) -> Floats:
    """Return how every sequence goes with the light at every delay, `(sequences, delays)`.

    Args:
        shown: chroma of every sequence, `(sequences, count, 3)`.
        screens: for each delay, which of its colours is on when, `(times, count)`.
        drift: takes straight lines out of what it is multiplied with, `(times, times)`.
        light: chroma that was seen, without them, `(times, 3)`.
    """
    goes = np.stack([screen.T @ light for screen in screens])
    own = np.stack([screen.T @ drift @ screen for screen in screens])
    together = np.einsum("sij,dij->sd", shown, goes)
    power = np.einsum("sij,dik,skj->sd", shown, own, shown, optimize=True)
    scale = np.sqrt(np.maximum(power, 0.0)) * np.linalg.norm(light)
    return np.asarray(np.where(scale > 1e-9, together / np.maximum(scale, 1e-9), 0.0))


def _gap(seen: Sequence[Observation], begun: float, until: float) -> float:
    times = [begun, *(one.at for one in seen), until]
    return max(b - a for a, b in pairwise(times))
