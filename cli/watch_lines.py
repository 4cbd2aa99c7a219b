"""Messages of an analyzer as lines of text or JSON, for pipes and logs."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli import words
from cli.watch_board import number
from styleflow.client.messages import (
    ErrorMessage,
    EventMessage,
    LaggedMessage,
    Message,
    SnapshotMessage,
)
from styleflow.client.values import (
    CapacityReachedData,
    ChallengeChangedData,
    EpochStartedData,
    EventsLostData,
    IncidentChangedData,
    StreamAddedData,
    StreamChangedData,
    StreamDescribedData,
    StreamRemovedData,
    TrackEndedData,
    TrackStartedData,
    VerdictChangedData,
)


def text_lines(message: Message) -> Iterator[str]:
    """Yield a line for an event, and for each face of a snapshot; none for scores and statuses."""
    when = f"{message.ts_emit:%Y-%m-%d %H:%M:%S}"
    for said in _told(message):
        yield f"{when}  {message.stream or '-'}  {' '.join(said.split())}"


def json_lines(message: Message) -> Iterator[str]:
    """Yield the message as it travels, in one line."""
    yield message.model_dump_json()


def _told(message: Message) -> Iterator[str]:
    match message:
        case SnapshotMessage(data=data):
            yield _with(data.notice, f"{data.name}: {data.status.summary}")
            for score in data.scores:
                verdict = words.of_state(score.state, score.reasons)
                yield f"face {score.track} {verdict} {number(score.p)} ({score.detector})"
        case EventMessage():
            yield _event(message)
        case LaggedMessage(data=lag):
            yield f"this reader is slow: {lag.dropped} events were skipped"
        case ErrorMessage(data=error):
            yield f"{error.title}: {error.detail} ({error.hint})"


def _event(message: EventMessage) -> str:
    match message.data:
        case StreamAddedData() as data:
            models = ", ".join(f"{model.name} {model.version}" for model in data.models)
            return _with(data.notice, f"added: {data.name}, scored by {models}")
        case StreamDescribedData() as data:
            tags = f", tagged {', '.join(data.tags)}" if data.tags else ""
            return f"now called {data.name}{tags}"
        case EventsLostData() as data:
            return f"{data.count} events were not stored"
        case StreamRemovedData():
            return "removed"
        case StreamChangedData() as data:
            return f"{data.summary}: {data.detail}" if data.detail else data.summary
        case EpochStartedData() as data:
            return f"media time begins anew: {data.cause.replace('_', ' ')}"
        case TrackStartedData() as data:
            return f"face {data.track} appeared"
        case TrackEndedData() as data:
            return f"face {data.track} gone: {data.reason.replace('_', ' ')}"
        case CapacityReachedData() as data:
            return f"{data.faces_waiting} faces are not looked at ({data.detector})"
        case VerdictChangedData() as data:
            now, before = words.of_verdict(data.verdict), words.of_verdict(data.previous)
            said = f"face {data.track} {now} {number(data.score)}, was {before} ({data.detector})"
            return _with(data.notice, said)
        case IncidentChangedData() as data:
            by = f" by {data.by}" if data.by else ""
            said = f"incident {data.incident.id} {data.step}{by}: {data.incident.summary}"
            return _with(data.incident.notice, said)
        case ChallengeChangedData(challenge=asked):
            said = asked.sentence or asked.prompt or "the face is watched at rest"
            return f"challenge by {asked.by}: {said}"


def _with(notice: str, said: str) -> str:
    return f"{said} [{notice}]" if notice else said


class Lines:
    """Writer of lines to a pipe or file, which may be closed at any time.

    Args:
        lines: what to write of a message.
    """

    def __init__(self, lines: Callable[[Message], Iterator[str]]) -> None:
        self._lines = lines

    def note(self, message: Message) -> None:
        """Write what there is to say of one message.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        for line in self._lines(message):
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        if reader_left():
            raise BrokenPipeError


def reader_left() -> bool:
    """Say whether standard output is a pipe that nobody reads any more."""
    try:
        descriptor = sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """End quietly when the pipe is closed, as `head` does once it has had enough."""
    try:
        yield
    except BrokenPipeError:
        # What is still buffered goes nowhere, or the interpreter complains when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
