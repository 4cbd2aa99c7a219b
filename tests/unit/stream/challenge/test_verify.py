"""Verification of rendered people: those who follow, those who do not, and recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stream.challenge.observing import Observation, observe
from stream.challenge.settings import ChallengeSettings
from stream.challenge.verify import Rest, Verified, at_rest, overall, verify
from stream.compliance import Action, Outcome
from stream.ingest.demo_scene import Scene
from tests.support.challenges import Doing, nobody, person
from tests.support.faces import finder_or_skip

SETTINGS = ChallengeSettings()
ASKED = 6.0
UNTIL = 12.0
ACTIONS = [action for action in Action if action is not Action.FLASH]


def rest(seen: Sequence[Observation] | None = None) -> Rest:
    found = at_rest(person([], 0, 4) if seen is None else seen, 4.0)
    assert isinstance(found, Rest)
    return found


def judged(action: Action, *doings: Doing) -> Verified:
    return verify(action, person(doings, 4, UNTIL), rest(), ASKED, UNTIL, SETTINGS)


@pytest.mark.parametrize("action", ACTIONS)
def test_who_does_what_is_asked_follows_and_the_delay_is_told(action: Action) -> None:
    found = judged(action, Doing(action, 7.0, 10.0))
    assert found.outcome is Outcome.FOLLOWED
    assert found.delay_s is not None
    assert 1.0 <= found.delay_s <= 1.7
    assert found.reached is not None
    assert found.reached > found.needed


@pytest.mark.parametrize("action", ACTIONS)
def test_who_does_nothing_does_not_follow(action: Action) -> None:
    assert judged(action).outcome is Outcome.NOT_FOLLOWED


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("shown", ACTIONS)
def test_a_recording_of_something_else_does_not_follow(action: Action, shown: Action) -> None:
    if action is not shown:
        assert judged(action, Doing(shown, 7.0, 10.0)).outcome is Outcome.NOT_FOLLOWED


def test_a_recording_that_goes_through_all_of_them_comes_in_another_order() -> None:
    turns = Doing(Action.TURN_RIGHT, 6.5, 8.0), Doing(Action.TURN_LEFT, 8.2, 10.0)
    found = judged(Action.TURN_LEFT, *turns)
    assert found.outcome is Outcome.OTHER_FIRST
    assert found.reason == "the head turned right first"


def test_what_was_there_before_it_was_asked_is_early() -> None:
    assert judged(Action.TURN_LEFT, Doing(Action.TURN_LEFT, 4.0, 10.0)).outcome is Outcome.EARLY


def test_what_comes_sooner_than_anybody_reacts_is_early() -> None:
    found = judged(Action.COVER, Doing(Action.COVER, 5.7, 10.0))
    assert found.outcome is Outcome.EARLY


def test_the_other_side_does_not_count() -> None:
    found = judged(Action.TURN_LEFT, Doing(Action.TURN_RIGHT, 7.0, 10.0))
    assert found.outcome is Outcome.NOT_FOLLOWED
    assert found.reached is not None
    assert found.reached < 5


def test_a_glance_does_not_count() -> None:
    """Less than a third of a second; one wrong frame proves nothing."""
    seen = person([], 4, UNTIL)
    turned = person([Doing(Action.TURN_LEFT, 0, 9)], 4, 5)[0]
    seen[40:42] = [replace(turned, at=one.at) for one in seen[40:42]]
    found = verify(Action.TURN_LEFT, seen, rest(), ASKED, UNTIL, SETTINGS)
    assert found.outcome is Outcome.NOT_FOLLOWED


def test_a_face_out_of_view_is_not_judged() -> None:
    seen = person([], 4, 7) + nobody(7, UNTIL)
    found = verify(Action.LOOK_UP, seen, rest(), ASKED, UNTIL, SETTINGS)
    assert (found.outcome, found.reason) == (Outcome.UNJUDGED, "the face was out of view")


def test_several_faces_are_not_judged() -> None:
    seen = person([], 4, 7) + [replace(one, faces=2) for one in person([], 7, UNTIL)]
    found = verify(Action.LOOK_UP, seen, rest(), ASKED, UNTIL, SETTINGS)
    assert (found.outcome, found.reason) == (Outcome.UNJUDGED, "several faces are in view")


def test_a_video_that_begins_anew_is_not_judged() -> None:
    seen = person([], 4, 7) + person([Doing(Action.LOOK_UP, 8, 11)], 7, UNTIL, epoch=1)
    found = verify(Action.LOOK_UP, seen, rest(), ASKED, UNTIL, SETTINGS)
    assert (found.outcome, found.reason) == (Outcome.UNJUDGED, "the video was interrupted")


def test_too_few_pictures_are_not_judged() -> None:
    seen = person([], 4, UNTIL, hz=2)
    found = verify(Action.LOOK_UP, seen, rest(), ASKED, UNTIL, SETTINGS)
    assert (found.outcome, found.reason) == (Outcome.UNJUDGED, "too few pictures came in")


def test_who_fills_the_picture_cannot_come_closer() -> None:
    near = [replace(one, side=0.8) for one in person([], 0, 4)]
    found = verify(Action.CLOSER, near, rest(near), ASKED, UNTIL, SETTINGS)
    assert found.outcome is Outcome.UNJUDGED


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ([], "too few pictures came in"),
        (nobody(0, 4), "no face was in view for long enough"),
        (nobody(0, 4, faces=3), "several faces are in view"),
        ([replace(o, face_px=30) for o in person([], 0, 4)], "the face is too small"),
        ([replace(o, brightness=12) for o in person([], 0, 4)], "the face is too dark"),
    ],
)
def test_nothing_is_asked_of_who_cannot_be_measured(seen: list[Observation], why: str) -> None:
    found = at_rest(seen, 4.0)
    assert isinstance(found, str)
    assert found.startswith(why)


def test_the_demo_s_talking_head_does_nothing_of_it_by_itself() -> None:
    """It talks, nods and sways for 16 s, and was asked for nothing."""
    scene, finder = Scene((640, 480), 25.0, 3), finder_or_skip()
    seen = []
    for index in range(0, 400, 4):
        picture = scene.authentic(index)
        faces = [(1, face) for face in finder.find(picture)]
        seen.append(observe(picture, faces, index / 25, 0))
    before = at_rest(seen[:25], 4.0)
    assert isinstance(before, Rest)
    outcomes = {verify(a, seen, before, 5.0, 16.0, SETTINGS).outcome for a in ACTIONS}
    assert outcomes == {Outcome.NOT_FOLLOWED}


def test_all_actions_must_be_followed() -> None:
    followed, early, unjudged = Outcome.FOLLOWED, Outcome.EARLY, Outcome.UNJUDGED
    assert overall([followed, followed]) is followed
    assert overall([followed, unjudged]) is unjudged
    assert overall([unjudged, early]) is early
    assert overall([]) is unjudged
