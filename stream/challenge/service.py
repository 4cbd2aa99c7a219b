"""Challenges of this analyzer: asked by operators, shown, watched, judged and told.

Theory of operation. A challenge is a short script: the person is watched at rest, then asked for
one action after the other, at moments that nobody can foresee, each with a time limit. `tick`
moves every script on; what it says goes through the event log, so that subscribers, the store and
alerts hear of it like of anything else. What is still to come is told to nobody.

What the result says is context: nothing here reaches a score, a verdict or an incident.

Bounded: one challenge per stream, `at_once` in all, a pause after each, `kept` results per stream
in memory (the oldest gives way; the store keeps all of them as events).
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from random import Random, SystemRandom
from typing import Any, Protocol

import structlog

from stream.challenge.drawing import (
    REST_PROMPT,
    Colour,
    colour_words,
    draw,
    draw_colours,
    words_of,
)
from stream.challenge.errors import (
    ChallengeNoPage,
    ChallengeNoVideo,
    ChallengeRunning,
    ChallengeTooSoon,
    ChallengeUnknown,
    TooManyChallenges,
)
from stream.challenge.flash import SLOWEST_S, verify_flash
from stream.challenge.rise import Rating, rise
from stream.challenge.settings import ChallengeSettings
from stream.challenge.verify import Rest, Verified, at_rest, needed, overall, unit_of, verify
from stream.challenge.watch import Watch
from stream.challenge.words import sentence, step_sentence
from stream.clock import Clock
from stream.compliance import (
    Action,
    Challenge,
    Outcome,
    Phase,
    Shown,
    StepResult,
    Task,
)
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import ChallengeChanged, Score, StreamRemoved
from stream.publish.challenges import prompt_text
from stream.store import audit
from stream.store.access import StoreAccess

log = structlog.get_logger(__name__)

GRACE_S = 0.6
"""How much later than it was shown to the camera a picture may be measured."""

MAX_RATINGS = 4096
"""Ratings of one challenge that are kept; the oldest gives way."""

TICK_S = 0.1
IDLE_S = 0.5

_SETTLED = (Outcome.FOLLOWED, Outcome.EARLY, Outcome.OTHER_FIRST)
"""Outcomes that no further pictures change."""


_REFUSALS = (
    ChallengeNoPage,
    ChallengeNoVideo,
    ChallengeRunning,
    ChallengeTooSoon,
    TooManyChallenges,
)


class Host(Protocol):
    """What is asked of the analyzer."""

    def live_epoch(self, stream: str) -> int | None:
        """Return the epoch of a stream that gives pictures, else None. Raises StreamUnknown."""
        ...

    def has_page(self, stream: str) -> bool:
        """Say whether a stream's caller has a page open that shows prompts."""
        ...

    def prompt(self, stream: str, text: str) -> bool:
        """Send a prompt to the page of a stream's caller; say whether there is one."""
        ...


@dataclass(slots=True, eq=False)
class _Script:
    """A challenge on its way; times are monotonic seconds."""

    challenge: Challenge
    actions: tuple[Action, ...]
    colours: tuple[Colour, ...]
    begun: float
    turns_at: float  # when its phase is over
    rest: Rest | None = None
    prompted: float = 0.0
    until: float = 0.0
    found: list[Verified] = field(default_factory=list)
    windows: list[tuple[float, float]] = field(default_factory=list)
    ratings: deque[Rating] = field(default_factory=lambda: deque(maxlen=MAX_RATINGS))
    detector: str | None = None


class Challenges:
    """Every challenge; a sink of the event log. Belongs to the event loop's thread.

    Args:
        events: where what becomes of them is told; `attach` puts this into it.
        clock: where time comes from.
        watch: what the device thread measures.
        host: knows the streams, and their callers' pages.
        settings: how long, how often, what is enough.
        store: takes the audit entries; None keeps none.
        rng: draws what is asked; the system's, which nobody can foresee, when left out.

    Attributes:
        outcomes: challenges that are over, by outcome.
        refused: challenges that were refused, by the refusal's code.
        unaudited: entries that the audit log did not take.
        watch: what the device thread measures.
    """

    def __init__(
        self,
        events: EventLog,
        clock: Clock,
        watch: Watch,
        host: Host,
        settings: ChallengeSettings | None = None,
        store: StoreAccess | None = None,
        rng: Random | None = None,
    ) -> None:
        self.settings = settings or ChallengeSettings()
        self.outcomes: Counter[Outcome] = Counter()
        self.refused: Counter[str] = Counter({refusal.code: 0 for refusal in _REFUSALS})
        self.unaudited = 0
        self.watch = watch
        self._events = events
        self._clock = clock
        self._host = host
        self._store = store
        self._rng = rng or SystemRandom()
        self._running: dict[str, _Script] = {}
        self._past: dict[str, deque[Challenge]] = {}
        self._ended: dict[str, float] = {}

    def attach(self) -> None:
        """Begin to listen."""
        self._events.attach(self)

    def accept(self, stamped: StampedEvent) -> None:
        """Keep the ratings of streams that are asked for something; forget those that are gone."""
        event = stamped.event
        match event:
            case Score() if (script := self._running.get(event.stream)) is not None:
                script.detector = script.detector or event.detector
                rest = script.rest
                if event.detector == script.detector and (
                    rest is None or event.track == rest.track
                ):
                    script.ratings.append((event.arrived, event.logit))
            case StreamRemoved():
                self._running.pop(event.stream, None)
                self._past.pop(event.stream, None)
                self._ended.pop(event.stream, None)
                self.watch.end(event.stream)
            case _:
                pass

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            try:
                self.tick()
            except Exception:
                log.exception("challenges are not looked after")  # and are again at the next turn
            await self._clock.sleep(TICK_S if self._running else IDLE_S)

    # --- what operators do --------------------------------------------------------------------

    def ask(self, stream: str, task: Task, by: str) -> Challenge:
        """Begin a challenge: the person is watched at rest first.

        Raises:
            StreamUnknown: there is no such stream.
            ChallengeNoVideo: it gives no pictures.
            ChallengeRunning: it has one already.
            ChallengeTooSoon: its last one is hardly over.
            TooManyChallenges: as many as may be are running.
            ChallengeNoPage: colours are asked for, and its caller has no page of ours.
        """
        try:
            epoch = self._check(stream, task)
        except _REFUSALS as refusal:
            self.refused[refusal.code] += 1
            raise
        settings, now, utc = self.settings, self._clock.monotonic(), self._clock.utc()
        shown = Shown.CALLER if self._host.has_page(stream) else Shown.OPERATOR
        actions = draw(task, settings, self._rng)
        colours = draw_colours(settings.flash_colours, self._rng)
        watched = settings.watch_s + self._rng.uniform(0, settings.wait_s)
        challenge = Challenge(
            id=secrets.token_hex(8),
            stream=stream,
            epoch=epoch,
            task=task,
            by=by,
            shown=shown,
            phase=Phase.WATCHING,
            prompt="",
            started=utc,
            deadline=utc + timedelta(seconds=self._longest(actions, shown)),
        )
        script = _Script(challenge, actions, colours, now, now + watched)
        self.watch.begin(stream)
        self._running[stream] = script
        self._tell(script)
        self._audit(challenge)
        return challenge

    def of(self, stream: str) -> tuple[Challenge, ...]:
        """Return the challenges of a stream that are in memory, newest first."""
        running = self._running.get(stream)
        past = tuple(reversed(self._past.get(stream, ())))
        return past if running is None else (running.challenge, *past)

    def has_page(self, stream: str) -> bool:
        """Say whether a stream's caller has a page open that shows prompts."""
        return self._host.has_page(stream)

    def find(self, stream: str, name: str) -> Challenge:
        """Return a challenge of a stream. Raises ChallengeUnknown."""
        for challenge in self.of(stream):
            if challenge.id == name:
                return challenge
        raise ChallengeUnknown(name)

    @property
    def running(self) -> int:
        """How many are running."""
        return len(self._running)

    def _check(self, stream: str, task: Task) -> int:
        epoch = self._host.live_epoch(stream)
        if stream in self._running:
            raise ChallengeRunning(stream)
        if epoch is None:
            raise ChallengeNoVideo(stream)
        since = self._clock.monotonic() - self._ended.get(stream, -1e9)
        if since < self.settings.cooldown_s:
            raise ChallengeTooSoon(stream, self.settings.cooldown_s - since)
        if len(self._running) >= self.settings.at_once:
            raise TooManyChallenges(self.settings.at_once)
        if task is Task.FLASH and not self._host.has_page(stream):
            raise ChallengeNoPage(stream)
        return epoch

    def _limit(self, action: Action, shown: Shown) -> float:
        """Return how many seconds an action may take from its prompt on."""
        if action is Action.FLASH:
            return self.settings.flash_s + SLOWEST_S
        return self.settings.step_s + (self.settings.read_s if shown is Shown.OPERATOR else 0.0)

    def _longest(self, actions: tuple[Action, ...], shown: Shown) -> float:
        settings = self.settings
        asked = sum(self._limit(action, shown) + GRACE_S for action in actions)
        between = settings.rest_s + settings.wait_s
        return settings.watch_s + settings.wait_s + asked + between * (len(actions) - 1) + 1.0

    # --- the script ---------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what the passing of time and new pictures bring."""
        now = self._clock.monotonic()
        for script in list(self._running.values()):
            match script.challenge.phase:
                case Phase.WATCHING if now >= script.turns_at:
                    self._begin(script, now)
                case Phase.RESTING if now >= script.turns_at:
                    self._prompt(script, now)
                case Phase.ASKING:
                    self._look(script, now)
                case _:
                    pass

    def _begin(self, script: _Script, now: float) -> None:
        """Take the measures at rest, and ask for the first action if there are any."""
        seen = self.watch.seen(script.challenge.stream)
        rest = at_rest(seen, now - script.begun)
        if isinstance(rest, str):
            self._finish(script, Outcome.UNJUDGED, rest)
            return
        script.rest = rest
        self._prompt(script, now)

    def _prompt(self, script: _Script, now: float) -> None:
        """Ask for the next action."""
        challenge = script.challenge
        action = script.actions[len(script.found)]
        limit, utc = self._limit(action, challenge.shown), self._clock.utc()
        words = words_of(action)
        step = StepResult(
            action=action,
            prompt=words,
            asked=utc,
            until=utc + timedelta(seconds=limit),
            needed=needed(action, self.settings),
            unit=unit_of(action),
        )
        script.prompted, script.until = now, now + limit
        steps = (*challenge.steps, step)
        script.challenge = replace(challenge, phase=Phase.ASKING, prompt=words, steps=steps)
        self._tell(script, script.colours if action is Action.FLASH else ())

    def _look(self, script: _Script, now: float) -> None:
        """See whether what is asked has been done, or its time is over."""
        over = now >= script.until + GRACE_S
        action = script.actions[len(script.found)]
        if action is Action.FLASH and not over:
            return
        assert script.rest is not None
        seen = self.watch.seen(script.challenge.stream)
        if action is Action.FLASH:
            found = verify_flash(
                script.colours, seen, script.rest, script.prompted, self.settings, self._rng
            )
        else:
            found = verify(action, seen, script.rest, script.prompted, script.until, self.settings)
        if over or found.outcome in _SETTLED:
            self._settle(script, action, found, now)

    def _settle(self, script: _Script, action: Action, found: Verified, now: float) -> None:
        """Take an action's result, and go on to the next or to the end."""
        script.found.append(found)
        script.windows.append((script.prompted, min(now, script.until)))
        *before, asked = script.challenge.steps
        done = replace(
            asked,
            outcome=found.outcome,
            reached=found.reached,
            delay_s=found.delay_s,
            sentence=step_sentence(action, found),
        )
        script.challenge = replace(script.challenge, steps=(*before, done))
        if len(script.found) == len(script.actions):
            self._finish(script, overall([each.outcome for each in script.found]))
            return
        settings = self.settings
        script.turns_at = now + settings.rest_s + self._rng.uniform(0, settings.wait_s)
        script.challenge = replace(script.challenge, phase=Phase.RESTING, prompt=REST_PROMPT)
        self._tell(script)

    def _finish(self, script: _Script, outcome: Outcome, reason: str = "") -> None:
        """Tell the result, and watch no longer."""
        stream = script.challenge.stream
        before = [one for one in script.ratings if one[0] < self._first(script)]
        inside = [
            one
            for one in script.ratings
            if any(start <= one[0] <= end for start, end in script.windows)
        ]
        script.challenge = replace(
            script.challenge,
            phase=Phase.DONE,
            prompt="",
            ended=self._clock.utc(),
            outcome=outcome,
            rise=rise(before, inside),
            sentence=sentence(outcome, script.found, reason),
        )
        del self._running[stream]
        self.watch.end(stream)
        self._ended[stream] = self._clock.monotonic()
        self._past.setdefault(stream, deque(maxlen=self.settings.kept)).append(script.challenge)
        self.outcomes[outcome] += 1
        self._tell(script)

    def _first(self, script: _Script) -> float:
        return script.windows[0][0] if script.windows else self._clock.monotonic()

    # --- telling ------------------------------------------------------------------------------

    def _tell(self, script: _Script, colours: tuple[Colour, ...] = ()) -> None:
        challenge = script.challenge
        if challenge.shown is Shown.CALLER:
            text = prompt_text(
                challenge, colour_words(colours), self.settings.flash_s, self._clock.utc()
            )
            self._host.prompt(challenge.stream, text)
        self._events.append(ChallengeChanged(challenge.stream, challenge.epoch, challenge))

    def _audit(self, challenge: Challenge) -> None:
        if self._store is None:
            return
        detail = {"challenge": challenge.id, "task": challenge.task.value}
        written: Future[Any] = self._store.submit(
            partial(
                audit.append,
                at=challenge.started,
                by=challenge.by,
                action="challenge.asked",
                subject=f"stream/{challenge.stream}",
                detail=detail,
            )
        )
        written.add_done_callback(self._audited)

    def _audited(self, written: Future[Any]) -> None:
        """Count an entry that was not written; on any thread."""
        if written.cancelled() or written.exception() is not None:
            self.unaudited += 1
            log.warning("a challenge is not in the audit log")
