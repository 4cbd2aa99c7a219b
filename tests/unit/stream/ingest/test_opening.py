"""FFmpeg asks before it goes on: PyAV's deadline is where, and a refusal is kept to."""

import socket
import threading

import av
import pytest

from stream.ingest.opening import asking


def opened(listener: socket.socket, timeout_s: float = 30.0) -> None:
    """Open what accepts and answers nothing."""
    port = listener.getsockname()[1]
    av.open(f"rtsp://127.0.0.1:{port}/x", format="rtsp", timeout=(timeout_s, None)).close()


def test_whoever_says_no_is_heard_before_a_byte_is_sent() -> None:
    asked: list[bool] = []

    def no() -> bool:
        asked.append(True)
        return len(asked) < 2  # the first time PyAV notes when its deadline begins

    with socket.create_server(("127.0.0.1", 0)) as listener:
        with asking(no), pytest.raises(av.error.FFmpegError):
            opened(listener)
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(1) == b""
    assert len(asked) >= 2


def test_a_no_from_the_beginning_is_heard_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with asking(lambda: False), pytest.raises(av.error.FFmpegError):
            opened(listener)


def test_a_no_ends_a_wait_that_has_begun() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ends: list[BaseException] = []

        def run() -> None:
            with asking(lambda: not stop.is_set()):
                try:
                    opened(listener)
                except av.error.FFmpegError as error:
                    ends.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(7) == b"OPTIONS"
            stop.set()
            thread.join(20)
        assert len(ends) == 1


def test_a_question_that_fails_is_a_no() -> None:
    def fails() -> bool:
        raise RuntimeError("nobody knows")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        with asking(fails), pytest.raises(av.error.FFmpegError):
            opened(listener)


def test_who_asks_nothing_keeps_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with asking(lambda: False):
            pass
        with pytest.raises(av.error.FFmpegError):
            opened(listener, 0.2)
