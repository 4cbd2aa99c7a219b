"""Send queues of one subscriber: the newest states, and a place in each stream's events.

Theory of operation. A *state* (a score, a status) is worth sending only while it is the newest of
its key, so the state queue holds one message per key and a newer one replaces it. With a maximum
rate, a key that was sent a moment ago is *held* until its time comes. *Events* must not be lost,
so they are not copied per subscriber at all: each stream keeps one bounded backlog, and a
subscriber only remembers how far it has read. What is evicted from the backlog before a subscriber
has read it is lost to that subscriber, which then knows exactly how many there were.

Memory is bounded by construction: the state queue by the live faces of the streams that match, once
for each detector, plus `finals` last words of faces that have gone; a place in a backlog is two
numbers.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

Key = tuple[str, int | None, str]
"""Stream, track and detector; for the stream's own status the track is None, the detector empty."""


class Message:
    """One message of a stream; its text is made once, when the first subscriber needs it.

    Attributes:
        stream: id of the stream.
        seq: number of the event behind it.
        track: the face it is about; None for the stream itself.
        detector: whose score it is; empty when it is no score.
        rank: rank of the score's state, for `min_state`; above every state when not a score.
        critical: a subscriber that loses this one is disconnected rather than left ignorant.
    """

    __slots__ = (
        "_encode",
        "_text",
        "critical",
        "detector",
        "kind",
        "rank",
        "seq",
        "stream",
        "track",
    )

    def __init__(
        self,
        stream: str,
        seq: int,
        kind: str,
        encode: Callable[[], str],
        *,
        track: int | None = None,
        detector: str = "",
        rank: int = 99,
        critical: bool = False,
    ) -> None:
        self.stream = stream
        self.seq = seq
        self.kind = kind
        self.track = track
        self.detector = detector
        self.rank = rank
        self.critical = critical
        self._encode: Callable[[], str] | None = encode
        self._text = ""

    @property
    def key(self) -> Key:
        """Which state this message is the newest of."""
        return self.stream, self.track, self.detector

    @property
    def text(self) -> str:
        """The message as it travels; every subscriber gets the same object."""
        if self._encode is not None:
            self._text = self._encode()
            self._encode = None
        return self._text


class Backlog:
    """The last events of one stream, each with a running number ("ordinal") of its own.

    Args:
        capacity: how many events it keeps.
        floor: the stream's seq before its first event.
    """

    def __init__(self, capacity: int, floor: int) -> None:
        self.capacity = capacity
        self.first = 0
        self.evicted_seq = floor
        self.critical_end = 0
        self._entries: deque[Message] = deque()

    @property
    def end(self) -> int:
        """The ordinal that the next event will have."""
        return self.first + len(self._entries)

    def append(self, message: Message) -> None:
        """Add an event; the oldest gives way when it is full."""
        if len(self._entries) >= self.capacity:
            oldest = self._entries.popleft()
            self.first += 1
            self.evicted_seq = oldest.seq
            if oldest.critical:
                self.critical_end = self.first
        self._entries.append(message)

    def __getitem__(self, ordinal: int) -> Message:
        return self._entries[ordinal - self.first]

    def newest(self, count: int) -> tuple[Message, ...]:
        """Return the last events, oldest first."""
        begin = max(len(self._entries) - count, 0)
        return tuple(islice(self._entries, begin, None))

    def after(self, seq: int) -> int | None:
        """Return the ordinal of the first event above `seq`; None if one above it is evicted."""
        if seq < self.evicted_seq:
            return None
        for back, message in enumerate(reversed(self._entries)):
            if message.seq <= seq:
                return self.end - back
        return self.first


@dataclass(slots=True)
class Reading:
    """How far one subscriber has read one backlog.

    Attributes:
        backlog: the stream's; it outlives the stream until this subscriber has read it.
        next: ordinal of the next event to send.
        sent_seq: seq of the newest event that was sent or given up.
    """

    backlog: Backlog
    next: int
    sent_seq: int

    @property
    def behind(self) -> bool:
        """Whether there is an event to send."""
        return self.next < self.backlog.end

    @property
    def evicted(self) -> int:
        """How many unread events the backlog has lost."""
        return max(self.backlog.first - self.next, 0)

    @property
    def lost_critical(self) -> bool:
        """Whether one of the lost events must not be lost."""
        return self.next < self.backlog.critical_end

    def skip_evicted(self) -> None:
        """Give up what the backlog has lost."""
        self.next = self.backlog.first
        self.sent_seq = self.backlog.evicted_seq

    def skip_to(self, seq: int) -> None:
        """Take what is up to this number for sent."""
        place = self.backlog.after(seq)
        if place is not None and place >= self.next:
            self.next, self.sent_seq = place, max(seq, self.sent_seq)

    def peek(self) -> Message:
        """Return the next event."""
        return self.backlog[self.next]

    def advance(self) -> Message:
        """Return the next event and move on."""
        message = self.backlog[self.next]
        self.next += 1
        self.sent_seq = message.seq
        return message


class StateQueue:
    """Newest message per key, in order of arrival, each key at a bounded rate.

    Args:
        interval_s: least time between two messages of one key.
        finals: how many last messages of forgotten keys may wait.
    """

    def __init__(self, interval_s: float, finals: int = 64) -> None:
        self._interval_s = interval_s
        self._finals_limit = finals
        self._ready: dict[Key, Message] = {}
        self._held: dict[Key, tuple[float, Message]] = {}
        self._due: list[tuple[float, str, int, str]] = []
        self._detectors: dict[str, None] = {}  # seen so far: a handful
        self._sent: dict[Key, float] = {}
        self._finals: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._ready) + len(self._held)

    def offer(self, message: Message, now: float) -> bool:
        """Add a message; return True when it replaced one that was never sent."""
        key = message.key
        self._detectors[message.detector] = None
        if key in self._ready:
            self._ready[key] = message
            return True
        if key in self._held:
            self._held[key] = (self._held[key][0], message)
            return True
        due = self._sent.get(key, float("-inf")) + self._interval_s
        if now >= due:
            self._ready[key] = message
        else:
            self._held[key] = (due, message)
            heapq.heappush(self._due, (due, key[0], -1 if key[1] is None else key[1], key[2]))
        return False

    def pop(self, now: float) -> Message | None:
        """Remove and return the message that has waited longest, or None when none is due."""
        self._release(now)
        if not self._ready:
            return None
        return self._leave(next(iter(self._ready)), now)

    def pop_before(self, stream: str, track: int | None, seq: int, now: float) -> Message | None:
        """Remove and return a message about one face, due or not, that is older than `seq`.

        Of several detectors' messages the oldest.
        """
        waiting = [
            message
            for key in self._keys(stream, track)
            if (message := self._waiting(key)) is not None and message.seq < seq
        ]
        if not waiting:
            return None
        return self._leave(min(waiting, key=lambda message: message.seq).key, now)

    def due(self) -> float | None:
        """Return when the next held message may go; None when none is held."""
        self._discard_stale()
        return self._due[0][0] if self._due else None

    def forget(self, stream: str, track: int | None) -> None:
        """Expect nothing more about a face; its last messages, if any wait, go at once."""
        for key in self._keys(stream, track):
            self._forget_key(key)

    def _forget_key(self, key: Key) -> None:
        self._sent.pop(key, None)
        if key in self._held:
            self._ready[key] = self._held.pop(key)[1]
        if key in self._ready:
            self._finals[key] = None
            if len(self._finals) > self._finals_limit:
                oldest = next(iter(self._finals))
                del self._finals[oldest]
                self._ready.pop(oldest, None)

    def forget_stream(self, stream: str) -> None:
        """Drop everything of a stream that is gone."""
        queues: tuple[dict[Key, Any], ...] = (self._ready, self._held, self._sent, self._finals)
        for queue in queues:
            for key in [key for key in queue if key[0] == stream]:
                del queue[key]

    def _keys(self, stream: str, track: int | None) -> list[Key]:
        return [(stream, track, detector) for detector in self._detectors]

    def _waiting(self, key: Key) -> Message | None:
        held = self._held.get(key)
        return self._ready.get(key) or (held[1] if held is not None else None)

    def _leave(self, key: Key, now: float) -> Message:
        message = self._ready.pop(key, None) or self._held.pop(key)[1]
        if key in self._finals:
            del self._finals[key]
        else:
            self._sent[key] = now
        return message

    def _release(self, now: float) -> None:
        self._discard_stale()
        while self._due and self._due[0][0] <= now:
            key = _key(heapq.heappop(self._due))
            self._ready[key] = self._held.pop(key)[1]
            self._discard_stale()

    def _discard_stale(self) -> None:
        """Drop heap entries whose message has gone another way."""
        while self._due:
            waiting = self._held.get(_key(self._due[0]))
            if waiting is not None and waiting[0] == self._due[0][0]:
                return
            heapq.heappop(self._due)


def _key(entry: tuple[float, str, int, str]) -> Key:
    return entry[1], None if entry[2] < 0 else entry[2], entry[3]
