"""Connection state of a stream: a state machine that is told the time and returns events.

Theory of operation. One attempt runs CONNECTING, WAITING_FOR_KEYFRAME, LIVE. Silence while waiting
or live makes it STALLED, the next packet undoes that. Every attempt ends in BACKING_OFF (trying
again soon), FAILED (a person has to act: wrong password, no such path, refused certificate,
unknown codec; trying again later) or ENDED (a file played to its end, or a call is over). From
there only CONNECTING follows. A method called in a state where it means nothing changes nothing and
returns nothing, so whoever calls need not know the state.
"""

from __future__ import annotations

from stream.events import ConnectionState, ReasonCode, StreamChanged
from stream.ingest.backoff import PATIENT

State = ConnectionState

_OPEN = frozenset({State.WAITING_FOR_KEYFRAME, State.LIVE, State.STALLED})
_REST = frozenset({State.BACKING_OFF, State.FAILED, State.ENDED})

TRANSITIONS: dict[State | None, frozenset[State]] = {
    None: frozenset({State.CONNECTING}),
    State.CONNECTING: frozenset({State.WAITING_FOR_KEYFRAME}) | _REST,
    State.WAITING_FOR_KEYFRAME: frozenset({State.LIVE, State.STALLED}) | _REST,
    State.LIVE: frozenset({State.STALLED}) | _REST,
    State.STALLED: frozenset({State.LIVE, State.WAITING_FOR_KEYFRAME}) | _REST,
    State.BACKING_OFF: frozenset({State.CONNECTING}),
    State.FAILED: frozenset({State.CONNECTING}),
    State.ENDED: frozenset({State.CONNECTING}),
}
"""Every transition there is; None is the state before the first attempt."""

Changes = tuple[StreamChanged, ...]


class Connection:
    """The connection of one stream.

    Args:
        stream: id of the stream, for the events.
        stall_after_s: silence that counts as a stall. Two seconds leave one for noticing, so that
            a stall is known within three.
    """

    def __init__(self, stream: str, stall_after_s: float = 2.0) -> None:
        self.stream = stream
        self.stall_after_s = stall_after_s
        self.state: State | None = None
        self.epoch = 0
        self._heard = 0.0
        self._ticked: float | None = None
        self._live_since: float | None = None
        self._has_keyframe = False

    def connecting(self, now: float) -> Changes:
        """Begin an attempt."""
        self._heard = now
        self._live_since = None
        self._has_keyframe = False
        return self._enter(State.CONNECTING)

    def packet(self, now: float, *, keyframe: bool) -> Changes:
        """Take note of a packet."""
        if self.state is not State.CONNECTING and self.state not in _OPEN:
            return ()
        self._heard = now
        changes: Changes = ()
        if self.state is State.CONNECTING:
            changes += self._enter(State.WAITING_FOR_KEYFRAME)
        if keyframe and not self._has_keyframe:
            self._has_keyframe = True
            self._live_since = now
        wanted = State.LIVE if self._has_keyframe else State.WAITING_FOR_KEYFRAME
        return changes + self._enter(wanted)

    def tick(self, now: float) -> Changes:
        """Notice silence; call it a few times a second.

        When nobody called it for as long as a stall takes, this process was paused. That is no
        silence of the camera: whatever it sent meanwhile still waits in the network.
        """
        gap = now - self._ticked if self._ticked is not None else 0.0
        self._ticked = now
        if gap >= self.stall_after_s:
            self._heard = min(now, self._heard + gap)
        if self.state in _OPEN and now - self._heard >= self.stall_after_s:
            return self._enter(State.STALLED, ReasonCode.TIMEOUT, "no packets are arriving")
        return ()

    def failed(self, code: ReasonCode, detail: str, retry_in_s: float) -> Changes:
        """End the attempt; the next one follows after `retry_in_s`."""
        state = State.FAILED if code in PATIENT else State.BACKING_OFF
        return self._enter(state, code, detail, retry_in_s)

    def ended(self, detail: str, code: ReasonCode = ReasonCode.ENDED) -> Changes:
        """End for good, or until a peer calls again; code ENDED says that nothing is wrong."""
        return self._enter(State.ENDED, code, detail)

    def healthy_s(self, now: float) -> float:
        """Return for how long this attempt has been live, 0 when it has not."""
        return 0.0 if self._live_since is None else now - self._live_since

    def _enter(
        self,
        state: State,
        code: ReasonCode | None = None,
        detail: str = "",
        retry_in_s: float | None = None,
    ) -> Changes:
        if state is self.state or state not in TRANSITIONS[self.state]:
            return ()
        self.state = state
        return (StreamChanged(self.stream, self.epoch, state, code, detail, retry_in_s),)
