"""Connection limits: connections are counted in all and by address, and every place comes back."""

from __future__ import annotations

from web.connection_limits import ConnectionLimits
from web.settings import ConnectionSettings


def test_places_are_counted_in_all_and_by_address() -> None:
    limits = ConnectionLimits(ConnectionSettings(most=3, per_address=2))
    assert [limits.enter("a"), limits.enter("a"), limits.enter("a")] == [True, True, False]
    assert limits.enter("b")
    assert not limits.enter("c")
    assert limits.refused == 2
    limits.leave("a")
    assert limits.enter("c")
    assert len(limits) == 3


def test_who_has_still_to_send_has_a_place_apart() -> None:
    limits = ConnectionLimits(ConnectionSettings(waiting=1))
    gone: list[str] = []
    limits.wait("a", lambda: gone.append("a"))
    limits.wait("b", lambda: gone.append("b"))
    assert gone == ["a"]
    assert len(limits) == 0
    limits.give_up()
    assert limits.late == 1
