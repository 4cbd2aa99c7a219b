"""Doors: connections are counted in all and by address, and every place comes back."""

from __future__ import annotations

from web.doors import Doors
from web.settings import ConnectionSettings


def test_places_are_counted_in_all_and_by_address() -> None:
    doors = Doors(ConnectionSettings(most=3, per_address=2))
    assert [doors.enter("a"), doors.enter("a"), doors.enter("a")] == [True, True, False]
    assert doors.enter("b")
    assert not doors.enter("c")
    assert doors.refused == 2
    doors.leave("a")
    assert doors.enter("c")
    assert len(doors) == 3


def test_who_has_still_to_send_has_a_place_apart() -> None:
    doors = Doors(ConnectionSettings(waiting=1))
    gone: list[str] = []
    doors.wait("a", lambda: gone.append("a"))
    doors.wait("b", lambda: gone.append("b"))
    assert gone == ["a"]
    assert len(doors) == 0
    doors.give_up()
    assert doors.late == 1
