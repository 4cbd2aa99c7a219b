"""The waiting room: bounded, and whoever takes many places loses them first."""

from __future__ import annotations

from web.waiting_room import WaitingRoom


def test_when_it_is_full_the_oldest_of_the_address_with_most_places_has_to_go() -> None:
    room = WaitingRoom(3)
    gone: list[str] = []
    room.enter("viewer", lambda: gone.append("viewer"))
    room.enter("crowd", lambda: gone.append("first"))
    room.enter("crowd", lambda: gone.append("second"))
    room.enter("other", lambda: gone.append("other"))
    assert gone == ["first"]
    assert len(room) == 3
    assert room.turned_out == 1


def test_a_place_that_is_given_back_is_free_once() -> None:
    room = WaitingRoom(1)
    place = room.enter("a", lambda: None)
    room.leave(place)
    room.leave(place)
    assert len(room) == 0
    room.enter("b", lambda: None)
    assert room.turned_out == 0


def test_who_was_turned_out_may_still_leave() -> None:
    room = WaitingRoom(1)
    first = room.enter("a", lambda: None)
    room.enter("a", lambda: None)
    room.leave(first)
    assert len(room) == 1
