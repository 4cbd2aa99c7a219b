"""The connection takes only legal transitions and says each of them once."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stream.events import ConnectionState as State
from stream.events import ReasonCode
from stream.ingest.backoff import PATIENT
from stream.ingest.connection import TRANSITIONS, Changes, Connection


def states(changes: Changes) -> list[State]:
    return [change.state for change in changes]


def test_a_good_connection_waits_for_its_keyframe_and_is_live() -> None:
    connection = Connection("lobby")
    assert states(connection.connecting(0.0)) == [State.CONNECTING]
    assert states(connection.packet(0.1, keyframe=False)) == [State.WAITING_FOR_KEYFRAME]
    assert states(connection.packet(0.2, keyframe=True)) == [State.LIVE]
    assert connection.packet(0.3, keyframe=False) == ()
    assert connection.healthy_s(10.2) == pytest.approx(10.0)


def test_a_first_packet_that_is_a_keyframe_passes_through_both_states() -> None:
    connection = Connection("lobby")
    connection.connecting(0.0)
    got = states(connection.packet(0.1, keyframe=True))
    assert got == [State.WAITING_FOR_KEYFRAME, State.LIVE]


def test_silence_is_a_stall_once_and_a_packet_undoes_it() -> None:
    connection = Connection("lobby", stall_after_s=2.0)
    connection.connecting(0.0)
    connection.packet(1.0, keyframe=True)
    assert connection.tick(2.9) == ()
    (stalled,) = connection.tick(3.0)
    assert (stalled.state, stalled.code) == (State.STALLED, ReasonCode.TIMEOUT)
    assert connection.tick(3.5) == ()
    assert states(connection.packet(4.0, keyframe=False)) == [State.LIVE]


def test_a_stall_before_the_keyframe_goes_back_to_waiting() -> None:
    connection = Connection("lobby", stall_after_s=2.0)
    connection.connecting(0.0)
    connection.packet(0.0, keyframe=False)
    connection.tick(5.0)
    assert states(connection.packet(6.0, keyframe=False)) == [State.WAITING_FOR_KEYFRAME]


def test_opening_is_not_a_stall() -> None:
    connection = Connection("lobby", stall_after_s=2.0)
    connection.connecting(0.0)
    assert connection.tick(100.0) == ()


@pytest.mark.parametrize("code", list(ReasonCode))
def test_a_failure_says_why_and_when_it_is_tried_again(code: ReasonCode) -> None:
    connection = Connection("lobby")
    connection.epoch = 4
    connection.connecting(0.0)
    (change,) = connection.failed(code, "detail", 7.5)
    assert change.state is (State.FAILED if code in PATIENT else State.BACKING_OFF)
    assert (change.stream, change.epoch, change.code) == ("lobby", 4, code)
    assert (change.detail, change.retry_in_s) == ("detail", 7.5)


def test_a_new_attempt_waits_for_its_own_keyframe() -> None:
    connection = Connection("lobby")
    connection.connecting(0.0)
    connection.packet(0.0, keyframe=True)
    connection.failed(ReasonCode.ENDED, "", 1.0)
    connection.connecting(2.0)
    assert connection.healthy_s(100.0) == 0.0
    assert states(connection.packet(2.1, keyframe=False)) == [State.WAITING_FOR_KEYFRAME]


@settings(max_examples=60, stateful_step_count=40)
class AnyStory(RuleBasedStateMachine):
    """Whatever happens in whatever order, only tabled transitions come out."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = Connection("lobby", stall_after_s=2.0)
        self.now = 0.0
        self.seen: State | None = None

    def follow(self, changes: Changes) -> None:
        assert len(changes) <= 2
        for change in changes:
            assert change.state in TRANSITIONS[self.seen]
            self.seen = change.state

    @rule(seconds=st.floats(0, 5))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.follow(self.connection.tick(self.now))

    @rule()
    def connects(self) -> None:
        self.follow(self.connection.connecting(self.now))

    @rule(keyframe=st.booleans())
    def packet_arrives(self, keyframe: bool) -> None:
        self.follow(self.connection.packet(self.now, keyframe=keyframe))

    @rule(code=st.sampled_from(ReasonCode))
    def fails(self, code: ReasonCode) -> None:
        self.follow(self.connection.failed(code, "", 1.0))

    @rule()
    def ends(self) -> None:
        self.follow(self.connection.ended(""))

    @invariant()
    def what_was_said_is_what_is(self) -> None:
        assert self.connection.state is self.seen


TestAnyStory = AnyStory.TestCase


def test_a_pause_of_this_process_is_no_silence_of_the_camera() -> None:
    """SIGSTOP for 3 s: nobody looked, so nobody can say that nothing came."""
    connection = Connection("a")
    connection.connecting(0.0)
    connection.packet(1.0, keyframe=True)
    assert connection.tick(1.25) == ()
    assert connection.tick(4.5) == ()
    assert connection.tick(4.75) == ()
    (stalled,) = connection.tick(6.5)
    assert stalled.state is State.STALLED
