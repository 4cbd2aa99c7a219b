"""A client that listens to all scores, and what can be told from when they come."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from stream.clock import Clock
from stream.publish.schema import SUBPROTOCOL

MAX_HZ = 60.0
BETWEEN_S = 0.5
"""Scores of a stream follow each other within so long; what is beyond did not pass in its video."""


@dataclass(frozen=True, slots=True)
class Received:
    """One score as a client sees it.

    Attributes:
        stream: whose.
        epoch: of the stream.
        pts: media seconds of the newest frame behind it.
        captured: when that frame's packet arrived, in seconds of the wall clock.
        at: when the message was here, likewise.
    """

    stream: str
    epoch: int
    pts: float
    captured: float
    at: float

    @property
    def age_s(self) -> float:
        """Seconds from packet to client."""
        return self.at - self.captured


class Listener:
    """A WebSocket client in a thread of its own; a context manager.

    Args:
        port: of an analyzer on this machine.
        clock: for the moments at which messages come.
    """

    def __init__(self, port: int, clock: Clock) -> None:
        self._address = f"ws://127.0.0.1:{port}/api/v1/scores"
        self._clock = clock
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._socket = self._stack.enter_context(
            websockets.sync.client.connect(self._address, subprotocols=[Subprotocol(SUBPROTOCOL)])
        )
        self._socket.send(json.dumps({"type": "hello", "client": "benchmark"}))
        wanted = {"type": "subscribe", "id": "all", "types": ["score"], "max_hz": MAX_HZ}
        self._socket.send(json.dumps(wanted))
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        self._thread.join(5)

    def received(self) -> list[Received]:
        """Return all scores so far."""
        with self._lock:
            return list(self._received)

    def _run(self) -> None:
        try:
            for text in self._socket:
                at = self._clock.utc().timestamp()
                score = understood(json.loads(text), at)
                if score is not None:
                    with self._lock:
                        self._received.append(score)
        except ConnectionClosed:
            return


def understood(message: dict[str, Any], at: float) -> Received | None:
    """Return what a message says of time; None where it is no score of a live stream."""
    if message["type"] != "score" or message["ts_capture"] is None:
        return None
    captured = datetime.fromisoformat(message["ts_capture"]).timestamp()
    pts = float(message["data"]["window"]["pts_end"])
    return Received(message["stream"], message["epoch"], pts, captured, at)


def pace(scores: Iterable[Received], begin: float, end: float) -> float:
    """Return how many streams' worth of video went by between two moments, as scores tell it.

    One stream whose scores keep up with it counts 1, whatever the moments have cut off; one whose
    scores stop, or whose video is read too slowly, counts as much less.
    """
    by_stream: dict[tuple[str, int], list[Received]] = defaultdict(list)
    for score in scores:
        by_stream[score.stream, score.epoch].append(score)
    passed = sum(
        max(0.0, _reached(known, end) - _reached(known, begin)) for known in by_stream.values()
    )
    return passed / (end - begin)


def _reached(scores: list[Received], moment: float) -> float:
    """Return the media time that a stream has reached at a moment."""
    first = min(scores, key=lambda one: one.captured)
    if moment <= first.captured:
        return first.pts
    last = max((one for one in scores if one.captured <= moment), key=lambda one: one.captured)
    return last.pts + min(moment - last.captured, BETWEEN_S)
