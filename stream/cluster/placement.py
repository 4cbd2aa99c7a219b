"""Placement of streams on workers: who owns what, and what has to be done about it. Pure.

Theory of operation. `Placement` holds what is wanted (each stream has at most one owner, under a
generation that is higher than any before) and what is the case (each worker *holds* streams, as it
says in every beat). `decide` changes owners where that is due: for streams that wait, for those of
a worker that drains, and for balance. It then compares both sides and returns *orders*: a worker
that lacks a stream that it owns is told to own it, a worker that holds a stream that it does not
own, or under a lower generation, is told to disown it. An order that fails, or that nobody hears
the end of, therefore needs no undoing: the next beat shows what is the case, and the next
comparison orders what is missing. That is also how a worker is brought back into line that was cut
off and is heard again, and how a new director learns what there is.

A worker's answer may be older than an order that was carried out meanwhile, so `beat` is told when
the worker was asked. All time comes in as `now`, monotonic seconds.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from stream.analyzer.streams import Priority, StreamSpec
from stream.cluster.balance import even, leaves, load
from stream.cluster.choice import Chooser
from stream.cluster.members import Member, Place
from stream.cluster.orders import AGAIN_S, Disown, Order, Orders, Own
from stream.cluster.protocol import Beat, Table, WorkerCard
from stream.cluster.publishers import Publishers
from stream.cluster.settings import ClusterSettings
from stream.engine.settings import EngineSettings
from stream.errors import (
    Overloaded,
    PlacementImpossible,
    StreamExists,
    StreamUnknown,
    TooManyStreams,
    WorkerGone,
    WorkerUnknown,
)
from stream.webrtc.calls import ANYBODY, Publisher

MAX_REST_S = 60.0
"""Longest pause between two tries to start a stream that its workers cannot start."""

MAX_REFUSED_S = 2.0
"""The same for a stream that was refused for want of room: that may change within seconds."""

MAX_REMOVED = 4096
"""Removed streams that are remembered, for workers that were cut off and still run them."""

_MINUTE_S = 60.0

COUNTED = ("moves", "deaths", "adoptions", "refusals", "inherited")
"""What is counted: streams moved from a living worker, workers lost, streams found at workers,
streams that were refused for want of room, alerts and videos taken over from gone workers."""


class Placement:
    """Streams and workers, and which belong together.

    Args:
        settings: when streams move.
        numbers: returns a generation that nobody else has; a higher one each time.

    Attributes:
        version: rises with every change of streams, owners and workers.
        thresholds: what all streams are judged by, where that was changed.
        drained: workers that are drained, and by whom; those that are gone included.
    """

    def __init__(self, settings: ClusterSettings, numbers: Callable[[], int]) -> None:
        self.version = 0
        self.thresholds: EngineSettings | None = None
        self.drained: dict[str, str] = {}
        self._settings = settings
        self._numbers = numbers
        self._highest = 0
        self._members: dict[str, Member] = {}
        self._places: dict[str, Place] = {}
        self._removed: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._chooser = Chooser(settings, self._members, self._places)
        self._publishers = Publishers()
        self._orders = Orders()
        self._moves: deque[float] = deque(maxlen=max(settings.moves_per_minute, 1))
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))

    def number(self) -> int:
        """Return a generation above all that were ever seen."""
        self._highest = max(self._numbers(), self._highest + 1)
        return self._highest

    # --- workers ------------------------------------------------------------------------------

    def knows(self, worker: str, incarnation: str) -> bool:
        """Say whether a worker has joined, and is still the same process."""
        member = self._members.get(worker)
        return member is not None and member.card.incarnation == incarnation

    def joined(self, card: WorkerCard, now: float) -> None:
        """Take in a worker, or the process that has come in the place of another one.

        Who is drained stays so until that is taken back.
        """
        before = self._members.get(card.name)
        if before is not None:
            self.lost(card.name, "was restarted", now)
        self._members[card.name] = member = Member(card, now)
        self._heed_drain(member)
        self._changed()

    def beat(self, worker: str, beat: Beat, asked: float, now: float) -> frozenset[str]:
        """Take what a worker that has joined said of itself.

        Args:
            worker: its name.
            beat: its answer.
            asked: when it was asked.
            now: monotonic seconds.

        Returns:
            Streams that nobody knows here; see `learn`.
        """
        member = self._member(worker)
        if not beat.health.live:
            member.heard = now
            self.lost(worker, "its device hangs", now, beat.health.details)
            return frozenset()
        if not member.alive or (beat.degradation, beat.refuses) != (
            member.degradation,
            member.refuses,
        ):
            self._changed()
        member.alive, member.heard = True, now
        member.busy, member.degradation = beat.busy, beat.degradation
        member.refuses, member.details = beat.refuses, beat.health.details
        member.called, member.holders = beat.called, beat.holders
        if beat.busy <= self._settings.high:
            member.hot_since = None
        elif member.hot_since is None:
            member.hot_since = now
        member.report(beat, asked)
        self._forget_ended_calls(member)
        return frozenset(self._recognized(member, now))

    def _recognized(self, member: Member, now: float) -> Iterator[str]:
        """Believe the highest generation of each stream that a worker holds; yield strangers."""
        for stream, held in member.holds.items():
            self._highest = max(self._highest, held)
            place = self._places.get(stream)
            if held <= self._removed.get(stream, -1):
                continue
            if place is None:
                yield stream
            elif held < self._newest.get(stream, 0):
                continue
            elif held > place.generation or (held == place.generation and not place.worker):
                self._adopt(place, member, held, now)

    def _adopt(self, place: Place, member: Member, generation: int, now: float) -> None:
        place.worker, place.generation, place.waiting = member.name, generation, ""
        place.carried = generation
        place.placed, place.failures = now, 0
        self._counts["adoptions"] += 1
        self._changed()

    def learn(
        self,
        worker: str,
        specs: Iterable[StreamSpec],
        thresholds: Mapping[str, EngineSettings],
        now: float,
    ) -> None:
        """Take in streams that a worker holds and nobody knew here.

        Args:
            worker: its name.
            specs: of its streams; known ones are passed over.
            thresholds: what streams are judged by where it is not as all others, by id.
            now: monotonic seconds.
        """
        member = self._member(worker)
        for spec in specs:
            held = member.holds.get(spec.id)
            if held is None or spec.id in self._places or held <= self._removed.get(spec.id, -1):
                continue
            kept = not spec.source.url.is_call
            place = Place(spec, kept, thresholds=thresholds.get(spec.id))
            self._places[spec.id] = place
            if held < self._newest.get(spec.id, 0):
                self._await_newest(place, held, now)
            elif member.alive:
                self._adopt(place, member, held, now)

    def heed(self, newest: Mapping[str, int], now: float) -> None:
        """Take in the newest generation of streams that the store has seen.

        Who holds a stream under a lower one is no owner, however alone: what it says is not heard.
        The newest owner is waited for as long as a worker may be silent, then another one is found.
        """
        self._highest = max(self._highest, *newest.values(), 0)
        self._newest = dict(newest)
        for stream, place in tuple(self._places.items()):
            if 0 < place.generation < newest.get(stream, 0):
                self._await_newest(place, place.generation, now)

    def _await_newest(self, place: Place, held: int, now: float) -> None:
        """Leave a stream without an owner that is held under an older generation than the newest.

        A stream that a call has made is ended there: whoever called has called again since.
        """
        if place.kept:
            place.worker, place.waiting = "", "its newest owner does not answer"
            place.generation = self._newest[place.spec.id]
            place.rests = now + self._settings.lost_s
        else:
            del self._places[place.spec.id]
            self._bar(place.spec.id, held)
        self._changed()

    def lost(
        self, worker: str, why: str, now: float, details: Mapping[str, str] | None = None
    ) -> None:
        """Count a worker as gone; its streams wait for another one."""
        member = self._member(worker)
        if not member.alive:
            return
        member.alive, member.hot_since = False, None
        member.details = details or {"worker": why}
        if not member.draining or self._owned_by(worker):  # else whoever drained it has ended it
            self._counts["deaths"] += 1
        self._orders.drop(worker)
        self._chooser.lost(worker)
        for place in self._owned_by(worker):
            if place.kept:
                place.worker, place.waiting = "", f"worker {worker!r} {why}"
                place.rests = now
            else:
                del self._places[place.spec.id]
        self._changed()

    def left(self, worker: str) -> None:
        """Forget a worker that was lost and is not expected back."""
        if not self._member(worker).alive:
            del self._members[worker]
            self._changed()

    def drain(self, worker: str, *, draining: bool, why: str = "", force: bool = False) -> None:
        """Have a worker's streams moved away, or take that back; see `DirectorHandle.drain`.

        One that is drained and gone may be taken back, too.
        """
        if worker not in self.drained or draining:
            self._member(worker)
        before = dict(self.drained)
        if draining:
            self.drained.setdefault(worker, why)
        else:
            self.drained.pop(worker, None)
        member = self._members.get(worker)
        if member is not None:
            member.forced = draining and force
            self._heed_drain(member)
        if before != self.drained:
            self._changed()

    def remember(self, drained: Mapping[str, str]) -> None:
        """Take in who was drained when the last director ended, and by whom."""
        self.drained |= drained
        for member in self._members.values():
            self._heed_drain(member)
        self._changed()

    def _heed_drain(self, member: Member) -> None:
        member.draining = member.name in self.drained

    def inherited(self, count: int) -> None:
        """Count what was taken over from workers that are gone."""
        self._counts["inherited"] += count

    def living(self) -> list[str]:
        """Return the workers that count as alive."""
        return sorted(name for name, member in self._members.items() if member.alive)

    def quiet(self, now: float) -> dict[str, float]:
        """Return for each worker that counts as alive how long it has said nothing, seconds."""
        return {name: now - m.heard for name, m in self._members.items() if m.alive}

    # --- streams ------------------------------------------------------------------------------

    def add(self, spec: StreamSpec, now: float) -> str:
        """Give a new stream to a worker, and return the worker's name.

        Raises what `DirectorHandle.add` raises; nothing has changed then.
        """
        if spec.id in self._places:
            raise StreamExists(spec.id)
        member = self._choice(spec, now)
        place = self._places[spec.id] = Place(spec)
        self._give(place, member, now)
        return member.name

    def want(self, spec: StreamSpec) -> None:
        """Have a stream that waits if need be; one that exists stays as it is."""
        place = self._places.get(spec.id)
        if place is None:
            self._places[spec.id] = Place(spec, waiting="no worker has taken it yet")
            self._changed()
        else:
            place.kept = True

    def change(self, spec: StreamSpec) -> str:
        """Take other settings of a stream, and return the worker that is to be told of them.

        It is empty where the stream is started with them by an order.

        Raises:
            StreamUnknown: there is no such stream.
            PlacementImpossible: no worker has the labels that it asks for.
        """
        place = self._place(spec.id)
        fitting = [member for member in self._members.values() if member.has(spec.placement)]
        if self._members and not fitting:
            raise PlacementImpossible(spec.id, spec.placement)
        place.spec, place.kept = spec, True
        self._changed()
        owner = self._members.get(place.worker)
        if owner is None or not owner.has(spec.placement):
            return ""
        if owner.holds.get(spec.id) == place.generation:
            return owner.name
        place.generation = self.number()  # whatever it is being told has the settings of before
        return ""

    def remove(self, stream: str) -> None:
        """Forget a stream; whoever holds it is told to stop. Raises StreamUnknown."""
        place = self._place(stream)
        del self._places[stream]
        self._chooser.unclaim(stream)
        self._bar(stream, max(place.generation, self._highest))
        self._changed()

    def _bar(self, stream: str, generation: int) -> None:
        """Have a stream stopped wherever it is held up to a generation."""
        self._removed.pop(stream, None)
        self._removed[stream] = generation
        while len(self._removed) > MAX_REMOVED:
            del self._removed[next(iter(self._removed))]

    def retune(self, thresholds: EngineSettings, stream: str | None) -> tuple[str, ...]:
        """Keep what a stream, or all, are judged by; return the workers to be told.

        Raises StreamUnknown.
        """
        if stream is None:
            self.thresholds = thresholds
            told = tuple(member.name for member in self._members.values() if member.alive)
        else:
            place = self._place(stream)
            place.thresholds = thresholds
            told = (place.worker,) if place.worker else ()
        self._changed()
        return told

    def tuned(self, stream: str) -> EngineSettings | None:
        """Return what a stream is judged by where that was changed."""
        place = self._places.get(stream)
        return place.thresholds if place else None

    def claim(self, stream: str, now: float, publisher: Publisher = ANYBODY) -> str:
        """Return the worker for a call: the stream's owner, or the one that is to create it.

        Raises what `add` raises, PublisherFull, and WorkerGone while a stream that exists has no
        owner.
        """
        worker = self._worker_for_call(stream, now)
        held = [member.holders for member in self._members.values() if member.alive]
        self._publishers.claim(stream, publisher, held, now)
        return worker

    def _worker_for_call(self, stream: str, now: float) -> str:
        place = self._places.get(stream)
        if place is not None:
            if not place.worker:
                raise WorkerGone("")
            return place.worker
        worker = self._chooser.claimed(stream, now)
        if not worker:
            worker = self._choice(None, now).name
            self._chooser.claim(stream, worker, now)
        return worker

    def owner(self, stream: str) -> str:
        """Return a stream's owner, empty while it has none. Raises StreamUnknown."""
        return self._place(stream).worker

    def newest(self, stream: str) -> int:
        """Return the newest generation of a stream; 0 if there is none."""
        place = self._places.get(stream)
        return place.generation if place else 0

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings as they were given. Raises StreamUnknown."""
        return self._place(stream).spec

    # --- orders -------------------------------------------------------------------------------

    def decide(self, now: float, *, hold: bool = False) -> tuple[Order, ...]:
        """Return what is to be done now; each order is returned once, until it is settled.

        Args:
            now: monotonic seconds.
            hold: let streams that were never run wait, because further workers are to come.
        """
        self._place_waiting(now, hold=hold)
        self._move_misplaced(now)
        self._balance(now)
        return self._orders.give(self._members, self._places, self._removed, now)

    def done(self, order: Order, now: float) -> None:
        """Note that a worker has carried an order out."""
        if not self._orders.settle(order):
            return
        member = self._members[order.worker]
        member.settled[order.stream] = now
        if isinstance(order, Own):
            member.holds[order.stream] = order.generation
            place = self._places.get(order.stream)
            if place is not None and place.generation == order.generation:
                place.failures, place.carried = 0, order.generation
                self._changed()
        elif member.holds.get(order.stream, order.generation + 1) <= order.generation:
            del member.holds[order.stream]
            self._changed()

    def failed(self, order: Order, why: str, now: float, *, refused: bool = False) -> None:
        """Note that a worker has not carried an order out.

        Args:
            order: which.
            why: in words.
            now: monotonic seconds.
            refused: it has no room, so another worker is tried at once.
        """
        again = now + AGAIN_S if isinstance(order, Disown) else None
        if not self._orders.settle(order, again):
            return
        if refused:
            self._members[order.worker].refuses = True
            self._counts["refusals"] += 1
        place = self._places.get(order.stream)
        if isinstance(order, Disown) or place is None or place.generation != order.generation:
            return
        place.failures += 1
        at_once = refused and place.failures == 1
        longest = MAX_REFUSED_S if refused else MAX_REST_S
        place.rests = now if at_once else now + min(2.0 ** min(place.failures, 16), longest)
        place.worker, place.waiting = "", why
        self._changed()

    # --- owners -------------------------------------------------------------------------------

    def _place_waiting(self, now: float, *, hold: bool) -> None:
        waiting = [
            place
            for place in self._places.values()
            if not place.worker and place.rests <= now and not (hold and place.generation == 0)
        ]
        for place in sorted(waiting, key=lambda place: place.spec.priority is Priority.LOW):
            member = self._chooser.taker(place, now)
            if member is not None:
                self._give(place, member, now)
            elif place.waiting != (why := self._why(place.spec)):
                place.waiting = why
                self._changed()

    def _why(self, spec: StreamSpec) -> str:
        """Say why a stream waits."""
        living = [member for member in self._members.values() if member.alive]
        if not living:
            return "no worker answers"
        if not any(member.has(spec.placement) for member in living):
            return str(PlacementImpossible(spec.id, spec.placement))
        return "every worker is full or draining"

    def _move_misplaced(self, now: float) -> None:
        """Move streams of workers that drain, or that lack a label, as far as others take them.

        A stream that a call has made stays: it ends with the call. So does one of the configuration
        while it is being called, unless the drain is forced.
        """
        for place in self._places.values():
            owner = self._members.get(place.worker)
            if owner is None or owner.takes(place.spec) or place.rests > now or owner.keeps(place):
                continue
            member = self._chooser.taker(place, now)
            if member is not None:
                self._give(place, member, now)
                self._counts["moves"] += 1

    def fill(self, worker: str, now: float) -> int:
        """Give a worker its share of the others' streams; see `DirectorHandle.fill`."""
        member, moved = self._member(worker), 0
        moves = even(member, self._members, self._chooser.owned(), self._settings, now)
        for place in moves:
            if member in self._chooser.with_room(place.spec):
                self._give(place, member, now)
                self._counts["moves"] += 1
                moved += 1
        return moved

    def _balance(self, now: float) -> None:
        """Move one stream from a worker that is too busy to one that is not."""
        settings = self._settings
        if len(self._moves) == self._moves.maxlen and now - self._moves[0] < _MINUTE_S:
            return
        if settings.moves_per_minute == 0:
            return
        for member in sorted(self._members.values(), key=lambda member: -member.busy):
            if member.hot_since is None or now - member.hot_since < settings.high_for_s:
                continue
            if self._relieve(member, now):
                return

    def _relieve(self, member: Member, now: float) -> bool:
        """Move one stream away from a worker; say whether one could go."""
        owned = self._chooser.owned()
        for place in leaves(owned[member.name], now):
            idle = [
                other
                for other in self._chooser.with_room(place.spec)
                if load(other, owned[other.name], self._settings, now) < self._settings.low
            ]
            target = self._chooser.least_busy(idle, now)
            if target is not None and target is not member:
                self._give(place, target, now)
                place.moved, member.hot_since = now, now
                self._moves.append(now)
                self._counts["moves"] += 1
                return True
        return False

    def _give(self, place: Place, member: Member, now: float) -> None:
        """Make a worker the owner of a stream."""
        place.worker, place.generation = member.name, self.number()
        place.placed, place.waiting = now, ""
        self._changed()

    # --- small ones ---------------------------------------------------------------------------

    def _choice(self, spec: StreamSpec | None, now: float) -> Member:
        """Return the worker for a new stream, None for a call's; see `Chooser.choice`."""
        try:
            return self._chooser.choice(spec, now)
        except (TooManyStreams, Overloaded):
            self._counts["refusals"] += 1
            raise

    def _owned_by(self, worker: str) -> list[Place]:
        return [place for place in self._places.values() if place.worker == worker]

    def _forget_ended_calls(self, member: Member) -> None:
        for place in self._owned_by(member.name):
            if not place.kept and place.spec.id not in member.holds:
                del self._places[place.spec.id]
                self._changed()

    # --- views --------------------------------------------------------------------------------

    def table(self, now: float) -> Table:
        """Return everything that is known."""
        owned = self._chooser.owned()
        workers = {
            name: member.view(now, (place.spec.id for place in owned[name]))
            for name, member in sorted(self._members.items())
        }
        streams = {id: place.view() for id, place in sorted(self._places.items())}
        counts, drained = dict(self._counts), dict(self.drained)
        return Table(self.version, workers, streams, counts, self.thresholds, drained=drained)

    def _changed(self) -> None:
        self.version += 1

    def _member(self, worker: str) -> Member:
        if worker not in self._members:
            raise WorkerUnknown(worker)
        return self._members[worker]

    def _place(self, stream: str) -> Place:
        if stream not in self._places:
            raise StreamUnknown(stream)
        return self._places[stream]
