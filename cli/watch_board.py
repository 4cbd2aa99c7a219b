"""Table of live scores on a terminal: one row per face, or one per stream without a face."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from cli import words
from styleflow.client.messages import (
    ErrorMessage,
    EventMessage,
    LaggedMessage,
    Message,
    ScoreMessage,
    SnapshotMessage,
    StatusMessage,
)
from styleflow.client.values import (
    EpochStartedData,
    ScoreData,
    StatusData,
    StreamRemovedData,
    TrackEndedData,
)

WIDE = 100
"""Columns of a terminal from which on intervals and reasons have columns of their own."""

CAUTION = "a score is evidence, not proof"

Key = tuple[str, int, str]


class Board:
    """What is known of every stream and face.

    Attributes:
        line: what is worth saying of the connection; empty when nothing is.
    """

    def __init__(self) -> None:
        self._streams: dict[str, StatusData] = {}
        self._scores: dict[Key, ScoreData] = {}
        self.line = ""

    def note(self, message: Message) -> None:
        """Take in one message of the analyzer."""
        match message:
            case SnapshotMessage(stream=stream, data=data):
                self._streams[stream] = data.status
                for score in data.scores:
                    self._scores[_key(stream, score)] = score
            case StatusMessage(stream=stream, data=status):
                self._streams[stream] = status
            case ScoreMessage(stream=stream, data=score):
                self._scores[_key(stream, score)] = score
            case EventMessage():
                self._note_event(message)
            case LaggedMessage(data=lag):
                self.line = f"this terminal is slow: {lag.dropped} events were skipped"
            case ErrorMessage(data=error):
                self.line = f"{error.title}: {error.detail} {error.hint}"

    def _note_event(self, message: EventMessage) -> None:
        stream = message.stream
        match message.data:
            case TrackEndedData(track=track):
                for key in [key for key in self._scores if key[:2] == (stream, track)]:
                    del self._scores[key]
            case EpochStartedData():
                self._forget_scores(stream)
            case StreamRemovedData():
                self._forget_scores(stream)
                self._streams.pop(stream, None)

    def _forget_scores(self, stream: str) -> None:
        for key in [key for key in self._scores if key[0] == stream]:
            del self._scores[key]

    def table(self, width: int) -> Table:
        """Return the rows for a terminal of so many columns, suspects first.

        Below `WIDE` columns intervals are left out, and what stands beside a score is cut.
        Notices stand below the table, each once.
        """
        wide = width >= WIDE
        several = len({key[2] for key in self._scores}) > 1
        table = Table(
            box=box.SIMPLE_HEAD, expand=True, padding=(0, 1), caption=self._caption(), width=width
        )
        table.add_column("stream", overflow="fold", max_width=None if wide else 20)
        table.add_column("face", justify="right")
        if several:
            table.add_column("detector", overflow="fold")
        table.add_column("verdict", no_wrap=True, min_width=9)
        table.add_column("score", justify="right")
        if wide:
            table.add_column("interval", no_wrap=True)
        table.add_column("why", overflow="fold" if wide else "ellipsis", no_wrap=not wide, ratio=1)
        for stream, face, detector, verdict, score, interval, why in self._rows():
            verdict_text = Text(verdict, words.STYLES.get(verdict, ""))
            table.add_row(
                Text(stream),
                face,
                *([detector] if several else []),
                verdict_text,
                score,
                *([interval] if wide else []),
                Text(why, "dim"),
            )
        return table

    def _rows(self) -> Iterator[tuple[str, str, str, str, str, str, str]]:
        rank = list(words.STATES)
        ranked = sorted(self._scores.items(), key=lambda item: (_rank(rank, item[1]), item[0]))
        for (stream, track, detector), score in ranked:
            interval = f"{number(score.lo)} – {number(score.hi)}"
            verdict = words.of_state(score.state, score.reasons)
            why = score.summary.removeprefix("no verdict: ")
            yield stream, str(track), detector, verdict, number(score.p), interval, why
        with_face = {stream for stream, _, _ in self._scores}
        for stream, status in sorted(self._streams.items()):
            if stream not in with_face or status.faces_waiting:
                yield stream, "–", "–", "–", "–", "–", status.summary

    def _caption(self) -> str:
        notices = [score.notice for score in self._scores.values()]
        notices += [status.notice for status in self._streams.values()]
        said = [notice for notice in dict.fromkeys(notices) if notice]
        return "\n".join([self.line, *said] if self.line else [*said, CAUTION])


def number(value: float | None) -> str:
    """Return a score with two digits, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def _rank(rank: list[str], score: ScoreData) -> int:
    return rank.index(score.state) if score.state in rank else len(rank)


def _key(stream: str, score: ScoreData) -> Key:
    return stream, score.track, score.detector
