"""A connection that somebody else made is found by where it leads, and ended from outside."""

import socket

import pytest

from stream.ingest.sockets import Connecting, Connection


def test_a_connection_is_ended_from_outside_and_its_neighbours_are_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as neighbour:
            with Connecting("127.0.0.1", port, 1.0) as connecting:
                own = socket.create_connection(("127.0.0.1", port))
                made = connecting.made()
            with own:
                assert made.is_known
                own.settimeout(5.0)
                made.shut_down()
                assert own.recv(1) == b""
                made.forget()
                neighbour.settimeout(0.01)
                with pytest.raises(TimeoutError):
                    neighbour.recv(1)


def test_who_connects_to_the_same_place_meanwhile_is_not_mistaken() -> None:
    """Then nobody knows whose socket is whose, and none is shut down."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        place = ("127.0.0.1", port)
        with Connecting(*place, 1.0) as first, Connecting(*place, 0.0) as second:
            with socket.create_connection(place), socket.create_connection(place):
                assert not second.made().is_known
                assert not first.made().is_known


def test_an_unknown_connection_is_nobody_s() -> None:
    Connection(None).shut_down()
