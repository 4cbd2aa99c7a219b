"""Connection limits: connections are counted in all and by address, and every place comes back."""

from __future__ import annotations

from web.connection_figures import connection_figures
from web.connection_limits import ConnectionLimits, ConnectionRefusal
from web.settings import ConnectionSettings
from web.waiting_room import WaitingRoom


def test_places_are_counted_in_all_and_by_address() -> None:
    limits = ConnectionLimits(ConnectionSettings(most=3, per_address=2))
    assert [limits.enter("a"), limits.enter("a"), limits.enter("a")] == [True, True, False]
    assert limits.enter("b")
    assert not limits.enter("c")
    assert limits.refused == {ConnectionRefusal.FULL: 1, ConnectionRefusal.ADDRESS_FULL: 1}
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
    assert limits.waiting.late == 1


def test_figures_are_told_by_reason_and_those_before_hello_apart() -> None:
    limits, strangers = ConnectionLimits(ConnectionSettings(most=2, waiting=1)), WaitingRoom(1)
    for address in "abc":
        limits.enter(address)
    for address in "ab":
        limits.wait(address, lambda: None)
        strangers.enter(address, lambda: None)
    limits.give_up()
    figures = list(connection_figures(limits, strangers))
    assert {(f.name, f.labels): f.value for f in figures} == {
        ("connections", ()): 2,
        ("connections_waiting", ()): 1,
        ("ws_before_hello", ()): 1,
        ("connections_refused_total", ("full",)): 1,
        ("connections_refused_total", ("address_full",)): 0,
        ("connections_refused_total", ("no_request_full",)): 1,
        ("connections_refused_total", ("no_request_late",)): 1,
        ("connections_refused_total", ("no_hello_full",)): 1,
        ("connections_refused_total", ("no_hello_late",)): 0,
    }
