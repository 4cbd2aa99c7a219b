"""Challenges from asking to result, stepped: clock, pictures and caller are the test's."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from stream.challenge.drawing import COLOURS, colour_words
from stream.challenge.errors import (
    ChallengeNoPage,
    ChallengeNoVideo,
    ChallengeRunning,
    ChallengeTooSoon,
    ChallengeUnknown,
    TooManyChallenges,
)
from stream.challenge.service import Challenges
from stream.challenge.settings import ChallengeSettings
from stream.challenge.watch import Watch
from stream.clock import ManualClock
from stream.compliance import Challenge, Outcome, Phase, Shown, Task
from stream.errors import StreamUnknown
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import ChallengeChanged, StreamRemoved
from stream.store import audit
from stream.store.access import DirectStore
from stream.store.database import Database
from tests.support.challenges import Doing, nobody, person
from tests.support.wire import score

BEGAN = 100.0
SETTINGS = ChallengeSettings(wait_s=0.5)


class Caller:
    """The streams that there are, and the page of their callers."""

    def __init__(self) -> None:
        self.live: dict[str, int | None] = {"lobby": 0}
        self.page = False
        self.prompts: list[dict[str, Any]] = []

    def live_epoch(self, stream: str) -> int | None:
        """Return what the test has set."""
        if stream not in self.live:
            raise StreamUnknown(stream)
        return self.live[stream]

    def has_page(self, stream: str) -> bool:
        """Return what the test has set."""
        return self.page

    def prompt(self, stream: str, text: str) -> bool:
        """Keep a prompt."""
        self.prompts.append(json.loads(text))
        return True


class Rig:
    """Challenges whose surroundings are in the test's hands."""

    def __init__(
        self, settings: ChallengeSettings = SETTINGS, seed: int = 1, store: Any = None
    ) -> None:
        self.clock = ManualClock(start=BEGAN)
        self.watch = Watch()
        self.caller = Caller()
        self.told: list[Challenge] = []
        self.log = EventLog(self.clock)
        self.challenges = Challenges(
            self.log, self.clock, self.watch, self.caller, settings, store, Random(seed)
        )
        self.challenges.attach()
        self.log.attach(self)
        self.doings: list[Doing] = []
        self.scene: Callable[[float, float], Any] = lambda a, b: person(self.doings, a, b)

    def accept(self, stamped: StampedEvent) -> None:
        """Keep what is told of challenges."""
        if isinstance(stamped.event, ChallengeChanged):
            self.told.append(stamped.event.challenge)

    def play(self, seconds: float) -> None:
        """Let time pass, with pictures and ratings."""
        for _ in range(round(seconds / 0.2)):
            now = self.clock.monotonic()
            self.clock.advance(0.2)
            for one in self.scene(now, now + 0.2 - 1e-6):
                self.watch.offer("lobby", one)
            self.log.append(score("lobby", arrived=now, logit=0.1))
            self.challenges.tick()

    def obey(self, delay: float = 1.0) -> None:
        """Have the person do whatever is asked next, a while after the prompt."""
        self.until(Phase.ASKING)
        asked = self.told[-1].steps[-1].action
        begin = self.clock.monotonic() + delay
        self.doings.append(Doing(asked, begin, begin + 2.0))

    def until(self, phase: Phase) -> Challenge:
        """Play until a phase is reached, and return the challenge then."""
        for _ in range(400):
            if self.told[-1].phase is phase:
                return self.told[-1]
            self.play(0.2)
        raise AssertionError(f"no {phase}; {self.told[-1]}")


def test_who_follows_both_prompts_is_found_to_follow() -> None:
    rig = Rig()
    rig.challenges.ask("lobby", Task.RANDOM, "ann")
    rig.obey()
    rig.until(Phase.RESTING)
    rig.obey()
    done = rig.until(Phase.DONE)
    assert done.outcome is Outcome.FOLLOWED
    assert [step.outcome for step in done.steps] == [Outcome.FOLLOWED] * 2
    assert all(step.delay_s is not None and 0.9 < step.delay_s < 2.0 for step in done.steps)
    assert done.sentence.startswith("The video followed what was asked")
    assert done.rise is not None
    assert done.rise.ratings_before >= 20
    assert "did not change" in done.rise.sentence
    assert (done.by, done.shown) == ("ann", Shown.OPERATOR)
    assert rig.challenges.outcomes[Outcome.FOLLOWED] == 1
    assert not rig.watch.watched("lobby")


def test_a_person_who_does_nothing_does_not_follow() -> None:
    rig = Rig()
    rig.challenges.ask("lobby", Task.TURN, "ann")
    done = rig.until(Phase.DONE)
    assert done.outcome is Outcome.NOT_FOLLOWED
    assert done.ended is not None
    assert done.ended <= done.deadline


def test_a_recording_of_an_earlier_challenge_fails_the_next() -> None:
    """The same pictures at the same times; what is drawn is the same one time in eighteen."""
    first = Rig(seed=1)
    first.challenges.ask("lobby", Task.RANDOM, "ann")
    first.obey()
    first.until(Phase.RESTING)
    first.obey()
    recorded = first.until(Phase.DONE)
    assert recorded.outcome is Outcome.FOLLOWED
    outcomes = []
    for seed in range(2, 12):
        again = Rig(seed=seed)
        again.doings = first.doings
        again.challenges.ask("lobby", Task.RANDOM, "ann")
        done = again.until(Phase.DONE)
        if [step.action for step in done.steps] != [step.action for step in recorded.steps]:
            outcomes.append(done.outcome)
    assert len(outcomes) >= 8
    assert Outcome.FOLLOWED not in outcomes


def test_what_is_still_to_come_is_told_to_nobody() -> None:
    rig = Rig()
    rig.caller.page = True
    rig.challenges.ask("lobby", Task.RANDOM, "ann")
    rig.until(Phase.ASKING)
    assert [len(told.steps) for told in rig.told] == [0, 1]
    assert [told.prompt for told in rig.told] == ["", rig.told[-1].steps[0].prompt]
    assert [told["data"]["prompt"] for told in rig.caller.prompts] == ["", rig.told[-1].prompt]


def test_the_caller_s_page_is_shown_the_prompt_and_not_the_result() -> None:
    rig = Rig()
    rig.caller.page = True
    asked = rig.challenges.ask("lobby", Task.LOOK_UP, "ann")
    assert asked.shown is Shown.CALLER
    rig.until(Phase.DONE)
    phases = [told["data"]["phase"] for told in rig.caller.prompts]
    assert phases == ["watching", "asking", "resting", "asking", "done"]
    last = rig.caller.prompts[-1]
    assert last["data"] == {
        "challenge": asked.id,
        "phase": "done",
        "prompt": "",
        "remaining_s": None,
        "colours": [],
        "colours_s": 3.0,
    }
    assert rig.caller.prompts[1]["data"]["remaining_s"] == pytest.approx(SETTINGS.step_s)


def test_an_operator_is_given_time_to_read_it_out() -> None:
    rig = Rig()
    rig.challenges.ask("lobby", Task.LOOK_UP, "ann")
    step = rig.until(Phase.ASKING).steps[0]
    assert (step.until - step.asked).total_seconds() == SETTINGS.step_s + SETTINGS.read_s


def test_colours_are_sent_to_the_page_when_they_are_to_be_shown() -> None:
    rig = Rig()
    rig.caller.page = True
    rig.challenges.ask("lobby", Task.FLASH, "ann")
    rig.until(Phase.ASKING)
    sent = [told["data"]["colours"] for told in rig.caller.prompts]
    assert sent[0] == []
    assert len(sent[1]) == SETTINGS.flash_colours
    assert set(sent[1]) <= set(colour_words(COLOURS))
    done = rig.until(Phase.DONE)
    assert done.outcome is Outcome.NOT_FOLLOWED  # nothing lit the face


def test_colours_need_a_page() -> None:
    rig = Rig()
    with pytest.raises(ChallengeNoPage):
        rig.challenges.ask("lobby", Task.FLASH, "ann")
    assert rig.challenges.refused["challenge_no_page"] == 1


def test_nothing_is_asked_of_nobody() -> None:
    rig = Rig()
    rig.scene = nobody
    rig.challenges.ask("lobby", Task.RANDOM, "ann")
    done = rig.until(Phase.DONE)
    assert done.outcome is Outcome.UNJUDGED
    assert done.steps == ()
    assert "no face was in view for long enough" in done.sentence


def test_a_stream_has_one_at_a_time_and_a_pause_after_it() -> None:
    rig = Rig()
    rig.challenges.ask("lobby", Task.RANDOM, "ann")
    with pytest.raises(ChallengeRunning):
        rig.challenges.ask("lobby", Task.RANDOM, "bob")
    rig.until(Phase.DONE)
    with pytest.raises(ChallengeTooSoon) as refusal:
        rig.challenges.ask("lobby", Task.RANDOM, "bob")
    assert refusal.value.retry_after_s == pytest.approx(SETTINGS.cooldown_s, abs=0.5)
    rig.clock.advance(SETTINGS.cooldown_s)
    rig.challenges.ask("lobby", Task.RANDOM, "bob")


def test_so_many_run_at_a_time() -> None:
    rig = Rig(ChallengeSettings(at_once=2))
    rig.caller.live = {"a": 0, "b": 0, "c": 0}
    rig.challenges.ask("a", Task.RANDOM, "ann")
    rig.challenges.ask("b", Task.RANDOM, "ann")
    with pytest.raises(TooManyChallenges):
        rig.challenges.ask("c", Task.RANDOM, "ann")


def test_a_stream_without_pictures_is_asked_nothing() -> None:
    rig = Rig()
    rig.caller.live["lobby"] = None
    with pytest.raises(ChallengeNoVideo):
        rig.challenges.ask("lobby", Task.RANDOM, "ann")
    with pytest.raises(StreamUnknown):
        rig.challenges.ask("gate", Task.RANDOM, "ann")


def test_a_stream_that_is_removed_takes_its_challenge_along() -> None:
    rig = Rig()
    asked = rig.challenges.ask("lobby", Task.RANDOM, "ann")
    rig.log.append(StreamRemoved("lobby", 0))
    assert rig.challenges.running == 0
    assert not rig.watch.watched("lobby")
    with pytest.raises(ChallengeUnknown):
        rig.challenges.find("lobby", asked.id)


def test_so_many_results_are_kept() -> None:
    rig = Rig(ChallengeSettings(kept=2, cooldown_s=0.0))
    rig.scene = nobody
    ids = []
    for _ in range(3):
        ids.append(rig.challenges.ask("lobby", Task.RANDOM, "ann").id)
        rig.until(Phase.DONE)
    assert [each.id for each in rig.challenges.of("lobby")] == [ids[2], ids[1]]


def test_who_asked_is_in_the_audit_log(database: Database) -> None:
    store = DirectStore(database.engine)
    rig = Rig(store=store)
    asked = rig.challenges.ask("lobby", Task.TURN, "ann")
    with store.reading() as connection:
        (entry,) = audit.entries(connection, subject="stream/lobby", limit=5)
    assert (entry.by, entry.action) == ("ann", "challenge.asked")
    assert entry.detail == {"challenge": asked.id, "task": "turn"}
    assert rig.challenges.unaudited == 0


def test_measures_are_bounded_and_the_oldest_gives_way() -> None:
    watch = Watch(most=3)
    seen = person([], 0, 0.4)
    watch.offer("lobby", seen[0])  # nobody watches
    watch.begin("lobby")
    for one in seen:
        watch.offer("lobby", one)
    assert watch.seen("lobby") == tuple(seen[-3:])
    assert watch.dropped == len(seen) - 3
    watch.end("lobby")
    assert watch.seen("lobby") == ()
