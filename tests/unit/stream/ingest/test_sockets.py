"""The socket of a reader, whoever made it: found by where it leads, and ended from outside."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest import sockets
from stream.ingest.sockets import CameraSocket, SocketEnd

HOST = "127.0.0.1"


@pytest.fixture
def port() -> Iterator[int]:
    """Where somebody listens."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


def made_by_somebody_else(camera: CameraSocket, port: int) -> socket.socket:
    """Connect without telling; whoever connects is asked whether to go on."""
    with camera.opening(HOST, port) as opening:
        own = socket.create_connection((HOST, port))
        assert opening.goes_on()
    return own


def is_ended(own: socket.socket) -> bool:
    """Return whether a wait ends, rather than lasts."""
    own.settimeout(0.05)
    try:
        return own.recv(1) == b""
    except TimeoutError:
        return False


def test_a_connection_is_ended_from_outside_and_its_neighbours_are_left_alone(port: int) -> None:
    with socket.create_connection((HOST, port)) as neighbour:
        cameras = [CameraSocket() for _ in range(3)]
        owns = [made_by_somebody_else(camera, port) for camera in cameras]
        before = sockets.ended()[SocketEnd.CLOSED]
        cameras[1].close()
        assert sockets.ended()[SocketEnd.CLOSED] == before + 1
        assert [is_ended(own) for own in [neighbour, *owns]] == [False, False, True, False]
        for own, camera in zip(owns, cameras, strict=True):
            own.close()
            camera.forget()


def test_who_connects_to_the_same_place_waits_until_the_first_socket_is_known(port: int) -> None:
    first, second = CameraSocket(), CameraSocket()
    inside = threading.Event()

    def follow() -> None:
        with second.opening(HOST, port):
            inside.set()

    with first.opening(HOST, port) as opening:
        follower = threading.Thread(target=follow)
        follower.start()
        assert opening.goes_on()
        assert not inside.wait(0.2)
        with socket.create_connection((HOST, port)):
            assert opening.goes_on()
            assert first.is_known
            assert inside.wait(10)
            follower.join(10)
    assert not second.is_known


def test_who_waits_for_others_to_connect_can_be_closed(port: int) -> None:
    first, second = CameraSocket(), CameraSocket()
    failures: list[SourceError] = []

    def follow() -> None:
        try:
            with second.opening(HOST, port):
                pass
        except SourceError as error:
            failures.append(error)

    with first.opening(HOST, port):
        follower = threading.Thread(target=follow)
        follower.start()
        second.close()
        follower.join(10)
    assert [error.code for error in failures] == [ReasonCode.ENDED]


def test_a_connection_that_is_left_for_another_one_may_send_nothing(port: int) -> None:
    """The other one may lead anywhere."""
    camera, before = CameraSocket(), sockets.ended()
    with camera.opening(HOST, port) as opening:
        with socket.create_connection((HOST, port)):
            assert opening.goes_on()
        with socket.create_connection((HOST, port)):
            assert not opening.goes_on()
            assert opening.moved
    assert not camera.is_known
    assert sockets.ended() == {**before, SocketEnd.MOVED: before[SocketEnd.MOVED] + 1}


def test_what_leads_to_another_port_is_none_of_its_business(port: int) -> None:
    camera = CameraSocket()
    with socket.create_server((HOST, 0)) as other, camera.opening(HOST, port) as opening:
        with socket.create_connection(other.getsockname()):
            assert opening.goes_on()
            assert not camera.is_known


def test_a_connection_to_another_address_than_the_camera_s_may_send_nothing(port: int) -> None:
    """Its name may lead elsewhere all of a sudden."""
    camera, before = CameraSocket(), sockets.ended()
    with socket.create_server(("127.0.0.2", port)) as other, camera.opening(HOST, port) as opening:
        with socket.create_connection(other.getsockname()):
            assert not opening.goes_on()
            assert not camera.is_known
    assert sockets.ended() == {**before, SocketEnd.UNKNOWN: before[SocketEnd.UNKNOWN] + 1}


def test_another_reader_s_connection_to_the_same_port_elsewhere_is_waited_for(port: int) -> None:
    one, two = CameraSocket(), CameraSocket()
    with socket.create_server(("127.0.0.2", port)) as other:
        with one.opening(HOST, port) as first, two.opening("127.0.0.2", port) as second:
            with socket.create_connection(other.getsockname()):
                answers: list[bool] = []
                thread = threading.Thread(target=lambda: answers.append(first.goes_on()))
                thread.start()
                assert second.goes_on()
                thread.join(10)
                assert answers == [True]
                assert (one.is_known, two.is_known) == (False, True)
    two.forget()


def test_a_connection_of_python_s_is_nobody_else_s(port: int) -> None:
    asking, opening_one = CameraSocket(), CameraSocket()
    with opening_one.opening(HOST, port) as opening:
        with asking.connect(HOST, port, lambda: 5.0) as own:
            assert opening.goes_on()
            assert not opening_one.is_known
            asking.close()
            assert is_ended(own)
        asking.forget()


def test_a_connection_that_is_never_accepted_is_ended_from_outside() -> None:
    """The queue of waiting connections is full, so this one waits for as long as it may."""
    camera = CameraSocket()

    def run(port: int) -> None:
        with contextlib.suppress(OSError, SourceError):
            camera.connect(HOST, port, lambda: 60.0).close()

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        thread = threading.Thread(target=run, args=(listener.getsockname()[1],), daemon=True)
        thread.start()
        while not camera.is_known:
            threading.Event().wait(0.01)
        threading.Event().wait(0.1)
        assert thread.is_alive()
        camera.close()
        thread.join(10)
        assert not thread.is_alive()


def test_a_closed_socket_connects_no_more(port: int) -> None:
    camera = CameraSocket()
    camera.close()
    with pytest.raises(SourceError):
        camera.connect(HOST, port, lambda: 5.0)
    with pytest.raises(SourceError), camera.opening(HOST, port):
        pass


def test_a_number_that_was_given_away_is_left_alone(port: int) -> None:
    camera = CameraSocket()
    gone = made_by_somebody_else(camera, port)
    number = gone.fileno()
    gone.close()
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(socket.create_connection((HOST, port))) for _ in range(5)]
        assert number in [other.fileno() for other in others]
        camera.close()
        assert not any(is_ended(other) for other in others)
    camera.forget()


def test_a_system_that_does_not_tell_of_sockets_is_no_fault(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "FDS", tmp_path / "nothing")
    assert not sockets.visible()
    camera = CameraSocket()
    with made_by_somebody_else(camera, port):
        assert not camera.is_known
        camera.close()
    assert camera.is_closed
