"""Observing a rendered person through the real perception: the face is kept while it acts."""

from __future__ import annotations

import pytest

from stream.challenge.observing import Observation, observe
from stream.challenge.settings import ChallengeSettings
from stream.challenge.verify import Rest, at_rest, verify
from stream.compliance import Action, Outcome
from stream.events import Frame
from stream.perception.perception import Perception
from styleflow.clips import ClipSpec
from tests.support.challenges import DONE, RISING, Doing
from tests.support.faces import finder_or_skip

HZ = 6.25
ASKED, UNTIL = 2.0, 5.0


def perceived(doing: Doing) -> list[Observation]:
    """Return what is measured of five seconds of video, the face tracked from frame to frame."""
    perception = Perception(finder_or_skip(), [ClipSpec(8, HZ, 64)])
    pictures = {share: DONE[doing.action](share) for share in RISING}
    seen = []
    for slot in range(round(UNTIL * HZ)):
        at = slot / HZ
        share = min(RISING, key=lambda step: abs(step - doing.share(at)))
        (view,) = perception.perceive(Frame("a", 0, slot, at, at, pictures[share]))
        assert view is not None
        faces = [(face.track, face.face) for face in view.faces]
        seen.append(observe(pictures[share], faces, at, 0))
    return seen


@pytest.mark.parametrize("action", [a for a in Action if a is not Action.FLASH])
def test_what_is_done_before_a_camera_is_found_to_be_done(action: Action) -> None:
    seen = perceived(Doing(action, 2.6, 4.6))
    rest = at_rest([one for one in seen if one.at < ASKED], ASKED)
    assert isinstance(rest, Rest)
    found = verify(action, seen, rest, ASKED, UNTIL, ChallengeSettings())
    assert found.outcome is Outcome.FOLLOWED, found
