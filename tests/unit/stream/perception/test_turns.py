"""Turns: more faces than can be followed, and all of them are looked at in time."""

from __future__ import annotations

from stream.perception.turns import Turns
from styleflow.faces.face import Face
from tests.support.faces import face_at

STEP_S = 0.4


def row(count: int) -> tuple[Face, ...]:
    return tuple(face_at(100 + 150 * i, 100) for i in range(count))


def places(faces: tuple[Face, ...]) -> list[int]:
    return [round((face.box.centre[0] - 100) / 150) for face in faces]


def seats(
    turns: Turns, at: float, faces: tuple[Face, ...], *, damaged: bool = False
) -> tuple[list[int], list[int]]:
    chosen, over = turns.choose(at, faces, damaged=damaged)
    return places(chosen), places(over)


def test_with_seats_for_all_everybody_is_followed_and_nobody_ever_gives_way() -> None:
    turns = Turns(seats=3, turn_s=1.0)
    for step in range(20):
        assert seats(turns, step * STEP_S, row(3)) == ([0, 1, 2], [])
        assert turns.waiting == 0


def test_every_face_of_a_gallery_is_looked_at_though_there_are_fewer_seats() -> None:
    turns, looked_at = Turns(seats=8, turn_s=2.0), set()
    for step in range(100):
        chosen, _ = turns.choose(step * STEP_S, row(25))
        looked_at |= set(places(chosen))
        assert len(chosen) == 8
        assert turns.waiting == 17
    assert looked_at == set(range(25))


def test_who_was_looked_at_longest_ago_comes_first() -> None:
    turns = Turns(seats=1, turn_s=1.0)
    order = [places(turns.choose(float(second), row(4))[0])[0] for second in range(9)]
    assert order == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_a_face_keeps_its_seat_until_its_turn_is_over() -> None:
    turns = Turns(seats=1, turn_s=2.0)
    assert seats(turns, 0.0, row(2)) == ([0], [])
    assert seats(turns, 1.9, row(2)) == ([0], [])
    assert seats(turns, 2.0, row(2)) == ([1], [0])


def test_a_damaged_picture_ends_no_turn() -> None:
    turns = Turns(seats=1, turn_s=2.0)
    turns.choose(0.0, row(2))
    assert seats(turns, 3.0, row(2), damaged=True) == ([0], [])
    assert seats(turns, 3.1, row(2)) == ([1], [0])


def test_a_seat_that_becomes_free_goes_to_whoever_waits() -> None:
    turns = Turns(seats=1, turn_s=100.0)
    turns.choose(0.0, row(2))
    assert seats(turns, 0.4, row(2)[1:]) == ([1], [])
    assert turns.waiting == 0


def test_a_face_that_the_detector_overlooks_once_does_not_jump_the_queue() -> None:
    turns = Turns(seats=1, turn_s=1.0)
    turns.choose(0.0, row(3))
    turns.choose(0.5, row(3)[1:])  # the first is overlooked, the second is called
    chosen, _ = turns.choose(1.5, row(3))
    assert places(chosen) == [2]


def test_moving_and_resized_pictures_keep_the_order() -> None:
    turns = Turns(seats=1, turn_s=1.0)
    turns.choose(0.0, row(2))
    turns.rescale(2.0, 2.0)
    doubled = tuple(face_at(200 + 300 * i, 200, 160) for i in range(2))
    chosen, over = turns.choose(1.0, doubled)
    assert [chosen[0] is doubled[1], over[0] is doubled[0]] == [True, True]


def test_memory_is_bounded_whatever_the_detector_says() -> None:
    turns = Turns(seats=2, turn_s=1.0)
    for step in range(50):
        crowd = tuple(face_at(1000 * step + 50 * i, 100, 20) for i in range(128))
        chosen, _ = turns.choose(step * 0.01, crowd)
        assert len(chosen) == 2
    turns.choose(60.0, row(1))
    assert turns.waiting == 0
