"""Placement, whatever happens: one owner at the highest generation, and nobody is lost for ever.

A cluster of imagined workers is killed, restarted, cut off, healed, drained and filled, in any
order. Answers of workers arrive late, orders are carried out without anybody hearing of it, or not
at all. Where it then becomes quiet, everything is where it belongs.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stream.cluster.orders import Disown, Order, Own
from stream.cluster.placement import MAX_REST_S, Placement
from stream.cluster.protocol import Beat, WorkerCard
from stream.cluster.settings import ClusterSettings
from stream.errors import StreamError
from tests.support.workers import beat, card, spec

WORKERS: Mapping[str, Mapping[str, str]] = {
    "a": {"site": "north"},
    "b": {"site": "north"},
    "c": {"site": "south"},
}
ROOM = 3
STREAMS = tuple(f"s{number}" for number in range(6))
DEMANDS: tuple[dict[str, str], ...] = ({}, {"site": "north"}, {"site": "south"})
MOVES = 2

names = st.sampled_from(sorted(WORKERS))
streams = st.sampled_from(STREAMS)


@dataclass
class Worker:
    """An imagined worker."""

    card: WorkerCard
    holds: dict[str, int] = field(default_factory=dict)
    running: bool = True
    reached: bool = True
    busy: float = 0.0
    specs: set[str] = field(default_factory=set)


class PlacementMachine(RuleBasedStateMachine):
    """A director's placement, and a cluster that does to it what clusters do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.numbers = itertools.count(1)
        self.restarts = itertools.count(2)
        self.settings = ClusterSettings(moves_per_minute=MOVES, high_for_s=5.0)
        self.placement = self.fresh()
        self.workers = {name: Worker(card(name, "", WORKERS[name], ROOM)) for name in WORKERS}
        self.wanted: dict[str, dict[str, str]] = {}
        self.calls: set[str] = set()
        self.draining: set[str] = set()
        self.orders: list[Order] = []
        self.answers: list[tuple[str, Beat, float]] = []
        self.highest: dict[str, int] = defaultdict(int)
        self.told: dict[str, int] = defaultdict(int)
        self.owners: dict[tuple[str, int], str] = {}
        self.moves: list[float] = []
        self.hidden: set[str] = set()
        for name in self.workers:
            self.hear(name)

    def fresh(self) -> Placement:
        return Placement(self.settings, lambda: next(self.numbers))

    # --- what workers say and do ------------------------------------------------------------------

    def hear(self, name: str, answer: Beat | None = None, asked: float | None = None) -> None:
        """Have an answer of a worker arrive, the newest one when none is given."""
        worker = self.workers[name]
        answer = answer or self.answer(worker)
        if not self.placement.knows(name, answer.incarnation):
            if answer.incarnation != worker.card.incarnation:
                return  # of a process that is not there any more
            self.draining.discard(name)
            self.placement.joined(worker.card, self.now)
        strangers = self.placement.beat(
            name, answer, self.now if asked is None else asked, self.now
        )
        told = [self.spec(stream) for stream in strangers if stream in worker.holds]
        self.placement.learn(name, told, {}, self.now)

    def answer(self, worker: Worker) -> Beat:
        return beat(worker.card, dict(worker.holds), worker.busy)

    def spec(self, stream: str):  # type: ignore[no-untyped-def]
        url = "whip://" if stream in self.calls else "demo://authentic"
        return spec(stream, self.wanted.get(stream, {}), url=url)

    def carry_out(self, order: Order) -> None:
        """Have a worker do as it is told."""
        holds = self.workers[order.worker].holds
        if isinstance(order, Own):
            if holds.get(order.stream, -1) < order.generation:
                holds[order.stream] = order.generation
        elif holds.get(order.stream, order.generation + 1) <= order.generation:
            del holds[order.stream]

    def reaches(self, order: Order) -> bool:
        worker = self.workers[order.worker]
        return worker.running and worker.reached

    def decide(self) -> None:
        before = self.counted("moves")
        drained = self.misplaced()
        orders = self.placement.decide(self.now)
        self.moves += [self.now] * max(self.counted("moves") - before - drained, 0)
        for order in orders:
            if isinstance(order, Own):
                self.check_own(order)
            else:
                self.check_disown(order)
        self.orders += orders

    def misplaced(self) -> int:
        """Return how many streams may move because their worker drains."""
        table = self.placement.table(self.now)
        return sum(
            bool(owned.worker) and table.workers[owned.worker].draining
            for owned in table.streams.values()
        )

    def counted(self, what: str) -> int:
        return self.placement.table(self.now).counts[what]

    def check_own(self, order: Own) -> None:
        """Generations only rise, and each has one owner for ever."""
        assert order.generation >= self.highest[order.stream]
        self.highest[order.stream] = order.generation
        owner = self.placement.table(self.now).workers[order.worker].card.incarnation
        assert self.owners.setdefault((order.stream, order.generation), owner) == owner

    def check_disown(self, order: Disown) -> None:
        """Nobody is told to let go of what it owns."""
        owned = self.placement.table(self.now).streams.get(order.stream)
        if owned is not None:
            assert owned.worker != order.worker
            assert order.generation <= max(owned.generation, self.highest[order.stream])

    # --- what happens -----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0, 20.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def something_is_decided(self) -> None:
        self.decide()

    @rule(name=names)
    def a_worker_is_asked_and_answers(self, name: str) -> None:
        worker = self.workers[name]
        if worker.running and worker.reached:
            self.hear(name)

    @rule(name=names)
    def a_worker_answers_and_it_takes_long(self, name: str) -> None:
        worker = self.workers[name]
        if worker.running and worker.reached:
            self.answers.append((name, self.answer(worker), self.now))

    @rule()
    def a_late_answer_arrives(self) -> None:
        if self.answers:
            name, answer, asked = self.answers.pop(0)
            self.hear(name, answer, asked)

    @rule(which=st.integers(0, 5), ends=st.sampled_from(["well", "unheard", "badly", "refused"]))
    def an_order_ends(self, which: int, ends: str) -> None:
        if not self.orders:
            return
        order = self.orders.pop(which % len(self.orders))
        if not self.reaches(order):
            self.placement.failed(order, "is gone", self.now)
            return
        if ends in ("well", "unheard"):
            self.carry_out(order)
        if ends == "well":
            self.placement.done(order, self.now)
        else:
            self.placement.failed(order, ends, self.now, refused=ends == "refused")

    @rule(stream=streams, demands=st.sampled_from(DEMANDS))
    def a_stream_is_added(self, stream: str, demands: dict[str, str]) -> None:
        if stream in self.calls:
            return
        try:
            self.placement.add(spec(stream, demands), self.now)
        except StreamError:
            return
        self.wanted[stream] = demands

    @rule(stream=streams, demands=st.sampled_from(DEMANDS))
    def a_stream_is_wanted(self, stream: str, demands: dict[str, str]) -> None:
        if stream not in self.calls:
            self.placement.want(spec(stream, demands))
            self.wanted.setdefault(stream, demands)

    @rule(stream=streams, demands=st.sampled_from(DEMANDS))
    def a_stream_is_changed(self, stream: str, demands: dict[str, str]) -> None:
        if stream not in self.wanted:
            return
        try:
            self.placement.change(spec(stream, demands))
        except StreamError:
            return
        self.wanted[stream] = demands

    @rule(stream=streams)
    def a_stream_is_removed(self, stream: str) -> None:
        if stream in self.wanted:
            del self.wanted[stream]
            self.placement.remove(stream)

    @rule(stream=st.sampled_from(["call-1", "call-2"]))
    def somebody_calls(self, stream: str) -> None:
        if any(stream in worker.holds for worker in self.workers.values()):
            return
        try:
            worker = self.workers[self.placement.claim(stream, self.now)]
        except StreamError:
            return
        if worker.running:
            self.calls.add(stream)
            worker.holds[stream] = self.placement.number()

    @rule(stream=st.sampled_from(["call-1", "call-2"]))
    def somebody_hangs_up(self, stream: str) -> None:
        for worker in self.workers.values():
            worker.holds.pop(stream, None)

    @rule(name=names)
    def a_worker_is_killed(self, name: str) -> None:
        worker = self.workers[name]
        worker.running = False
        worker.holds.clear()

    @rule(name=names)
    def a_worker_is_started_again(self, name: str) -> None:
        worker = self.workers[name]
        if not worker.running:
            fresh = card(name, f"{name}-{next(self.restarts)}", WORKERS[name], ROOM)
            self.workers[name] = Worker(fresh, busy=worker.busy)

    @rule(name=names, reached=st.booleans())
    def a_worker_is_cut_off_or_reached(self, name: str, reached: bool) -> None:
        self.workers[name].reached = reached

    @rule(name=names)
    def a_worker_is_counted_lost(self, name: str) -> None:
        """Also one that is well: nobody can tell a slow worker from a dead one."""
        self.placement.lost(name, "does not answer", self.now)

    @rule(name=names, draining=st.booleans())
    def a_worker_is_drained(self, name: str, draining: bool) -> None:
        self.placement.drain(name, draining=draining)
        (self.draining.add if draining else self.draining.discard)(name)

    @rule(name=names, busy=st.sampled_from([0.0, 0.3, 0.7, 0.95]))
    def a_worker_is_busy(self, name: str, busy: float) -> None:
        self.workers[name].busy = busy

    @rule()
    def the_director_is_restarted(self) -> None:
        """A new one learns everything from the workers that it reaches."""
        self.placement = self.fresh()
        self.orders, self.answers = [], []
        self.draining = set()
        self.moves = []
        for name, worker in self.workers.items():
            if worker.running and worker.reached:
                self.hear(name)
                continue
            if worker.running:
                self.hidden |= set(worker.holds)  # nobody remembers which of these were removed
            self.placement.joined(worker.card, self.now)
            self.placement.lost(name, "does not answer", self.now)
        for stream, demands in self.wanted.items():
            self.placement.want(spec(stream, demands))
        self.told.clear()  # the newest owner may be one that is not reached
        known = self.placement.table(self.now).streams
        self.wanted |= {s: dict(known[s].spec.placement) for s in STREAMS if s in known}

    @rule()
    def it_becomes_quiet(self) -> None:
        """Everybody who lives is reached and does as told: everything is where it belongs."""
        for _ in range(12):
            self.now += MAX_REST_S + 1
            for worker in self.workers.values():
                worker.reached = True
                worker.busy = 0.0
            self.round()
        self.everything_is_in_place()

    def round(self) -> None:
        while self.answers:
            self.a_late_answer_arrives()
        for name, worker in self.workers.items():
            if worker.running:
                self.hear(name)
            else:
                self.placement.lost(name, "does not answer", self.now)
        self.decide()
        while self.orders:
            order = self.orders.pop(0)
            if self.reaches(order):
                self.carry_out(order)
                self.placement.done(order, self.now)
            else:
                self.placement.failed(order, "is gone", self.now)

    def everything_is_in_place(self) -> None:
        table = self.placement.table(self.now)
        running = {name for name, worker in self.workers.items() if worker.running}
        assert {name for name, view in table.workers.items() if view.alive} == running
        assert set(self.wanted) <= set(table.streams)
        assert set(table.streams) <= set(self.wanted) | self.calls | self.hidden
        for stream, owned in table.streams.items():
            holders = {name for name in running if stream in self.workers[name].holds}
            if owned.worker:
                assert holders == {owned.worker}
                assert self.workers[owned.worker].holds[stream] == owned.generation
            else:
                assert holders == set()
                assert owned.waiting
                assert not self.has_room(owned.spec.placement)
        for name in running & self.draining:
            for stream in self.workers[name].holds:
                owned = table.streams[stream]
                assert stream in self.calls or not self.has_room(owned.spec.placement)
        for name in running:
            assert set(self.workers[name].holds) <= set(table.streams)

    def has_room(self, labels: Mapping[str, str]) -> bool:
        return any(
            worker.running
            and name not in self.draining
            and labels.items() <= worker.card.labels.items()
            and len(worker.holds) < ROOM
            for name, worker in self.workers.items()
        )

    # --- what holds always ------------------------------------------------------------------------

    @invariant()
    def each_generation_of_a_stream_has_one_worker(self) -> None:
        seen: dict[tuple[str, int], str] = {}
        for name, worker in self.workers.items():
            for stream, held in worker.holds.items():
                assert seen.setdefault((stream, held), name) == name

    @invariant()
    def generations_never_fall(self) -> None:
        for stream, owned in self.placement.table(self.now).streams.items():
            if owned.generation:
                assert owned.generation >= self.told[stream]
                self.told[stream] = owned.generation

    @invariant()
    def owners_are_alive(self) -> None:
        table = self.placement.table(self.now)
        for owned in table.streams.values():
            assert not owned.worker or table.workers[owned.worker].alive

    @invariant()
    def moves_for_balance_are_rare(self) -> None:
        assert sum(self.now - at < 60.0 for at in self.moves) <= MOVES


PlacementMachine.TestCase.settings = settings(stateful_step_count=40)
test_placement_whatever_happens = PlacementMachine.TestCase
