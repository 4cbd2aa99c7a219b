"""Flash: light on a rendered face that follows a screen, that does not, or that follows another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from stream.challenge.drawing import Colour, draw_colours
from stream.challenge.flash import Fit, chroma, fit, verify_flash
from stream.challenge.observing import Observation, observe
from stream.challenge.settings import ChallengeSettings
from stream.challenge.verify import Rest, at_rest
from stream.compliance import Outcome
from styleflow.faces.face import Image
from tests.support.challenges import HZ, person
from tests.support.faces import finder_or_skip
from tests.support.posed import lit, portrait

SETTINGS = ChallengeSettings()
DELAY_S = 0.35
BEGUN = 10.0


def screen(colours: Sequence[Colour], since: float) -> Colour | None:
    slot = int(since // (SETTINGS.flash_s / len(colours)))
    return colours[slot] if since >= 0 and slot < len(colours) else None


def film(colours: Sequence[Colour], strength: float, noise: float = 2.5) -> list[Observation]:
    """Return what is measured of a head before a screen, filmed with a camera's noise."""
    still = portrait()
    faces = [(1, face) for face in finder_or_skip().find(still)]
    rng = np.random.default_rng(1)
    seen = []
    for at in np.arange(0, SETTINGS.flash_s + 1.6, 1 / HZ):
        colour = screen(colours, float(at) - DELAY_S)
        picture = still if colour is None else lit(still, colour, strength)
        seen.append(observe(_noisy(picture, noise, rng), faces, BEGUN + float(at), 0))
    return seen


def _noisy(picture: Image, noise: float, rng: np.random.Generator) -> Image:
    made = picture + rng.normal(0, noise, picture.shape)
    return np.asarray(np.clip(np.rint(made), 0, 255), np.uint8)


def fitted(colours: Sequence[Colour], seen: Sequence[Observation]) -> Fit:
    return fit(colours, seen, BEGUN, SETTINGS.flash_s, Random(9))


def rest() -> Rest:
    found = at_rest(person([], 0, 4), 4.0)
    assert isinstance(found, Rest)
    return found


def judged(colours: Sequence[Colour], seen: Sequence[Observation]) -> Outcome:
    return verify_flash(colours, seen, rest(), BEGUN, SETTINGS, Random(9)).outcome


@pytest.mark.parametrize("strength", [0.02, 0.2])
def test_a_face_that_the_screen_lights_follows_it(strength: float) -> None:
    colours = draw_colours(6, Random(1))
    seen = film(colours, strength)
    found = fitted(colours, seen)
    assert found.p <= SETTINGS.flash_p
    assert found.correlation > 0.7
    assert found.delay_s == pytest.approx(DELAY_S, abs=0.15)
    assert judged(colours, seen) is Outcome.FOLLOWED


def test_a_face_that_no_screen_lights_does_not() -> None:
    colours = draw_colours(6, Random(1))
    assert judged(colours, film(colours, 0.0)) is Outcome.NOT_FOLLOWED


@pytest.mark.parametrize("seed", range(4))
def test_a_recording_of_an_earlier_flash_fails(seed: int) -> None:
    rng = Random(seed)
    earlier, now = draw_colours(6, rng), draw_colours(6, rng)
    assert judged(now, film(earlier, 0.2)) is Outcome.NOT_FOLLOWED


def test_a_change_of_exposure_alone_is_no_colour() -> None:
    colours = np.array([[200, 150, 120], [100, 75, 60], [240, 180, 144]], np.float32)
    assert np.ptp(chroma(colours), axis=0).max() < 1e-6


def test_a_face_out_of_view_is_not_judged() -> None:
    colours = draw_colours(6, Random(1))
    assert judged(colours, film(colours, 0.2)[:12]) is Outcome.UNJUDGED


def test_several_faces_are_not_judged() -> None:
    colours = draw_colours(6, Random(1))
    seen = [replace(one, faces=2) for one in film(colours, 0.2)]
    assert judged(colours, seen) is Outcome.UNJUDGED
