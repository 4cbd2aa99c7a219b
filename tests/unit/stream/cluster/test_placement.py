"""Placement: whom a stream is given to, and when it moves."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping

import pytest

from stream.analyzer.streams import Priority
from stream.cluster.balance import REST_S
from stream.cluster.choice import CLAIM_S
from stream.cluster.members import SETTLE_S
from stream.cluster.orders import HANDOVER_S, Disown, Own
from stream.cluster.placement import MAX_REST_S, Placement
from stream.cluster.protocol import WorkerCard
from stream.cluster.publishers import CLAIMED_S
from stream.cluster.settings import ClusterSettings
from stream.errors import (
    Overloaded,
    PlacementImpossible,
    PublisherFull,
    StreamExists,
    StreamUnknown,
    TooManyStreams,
    WorkerGone,
    WorkerUnknown,
)
from stream.webrtc.calls import Publisher
from tests.support.workers import beat, card, spec

HIGH_S = 60.0


class Cluster:
    """Workers that do as they are told, and a placement that hears of it at once."""

    def __init__(self, *cards: WorkerCard, settings: ClusterSettings | None = None) -> None:
        self.now = 100.0
        self.cards = {of.name: of for of in cards}
        self.holds: dict[str, dict[str, int]] = {name: {} for name in self.cards}
        self.busy: dict[str, float] = dict.fromkeys(self.cards, 0.0)
        self.full: set[str] = set()
        self.called: set[str] = set()
        self.holders: dict[str, dict[str, str]] = {name: {} for name in self.cards}
        numbers = itertools.count(1024)
        self.placement = Placement(settings or ClusterSettings(), lambda: next(numbers))
        for of in cards:
            self.placement.joined(of, self.now)
        self.hear()

    def hear(self, *names: str) -> None:
        """Have workers say how they are."""
        for name in names or self.cards:
            refuses = name in self.full
            holds = dict(self.holds[name])
            called = frozenset(self.called & holds.keys())
            said = beat(
                self.cards[name],
                holds,
                self.busy[name],
                refuses=refuses,
                called=called,
                holders=self.holders.get(name),
            )
            self.placement.beat(name, said, self.now, self.now)

    def go(self, seconds: float = 0.0) -> list[Own | Disown]:
        """Let time pass, and orders be carried out until there are none."""
        self.now += seconds
        carried_out: list[Own | Disown] = []
        while orders := self.placement.decide(self.now):
            for order in orders:
                holds = self.holds[order.worker]
                if isinstance(order, Own):
                    holds[order.stream] = order.generation
                else:
                    holds.pop(order.stream, None)
                self.placement.done(order, self.now)
            carried_out += orders
        return carried_out

    def owners(self) -> dict[str, str]:
        """Return the owner of each stream."""
        return {id: at.worker for id, at in self.placement.table(self.now).streams.items()}

    def per_worker(self) -> Mapping[str, int]:
        """Return how many streams each worker owns."""
        return Counter(self.owners().values())

    def count(self, what: str) -> int:
        """Return one of the counts."""
        return self.placement.table(self.now).counts[what]


def full(streams: int, *cards: WorkerCard, settings: ClusterSettings | None = None) -> Cluster:
    """Return a cluster with some streams that were measured long ago."""
    cluster = Cluster(*cards, settings=settings)
    for number in range(streams):
        cluster.placement.add(spec(f"s{number}"), cluster.now)
    cluster.go()
    cluster.now += 2 * SETTLE_S
    cluster.hear()
    return cluster


# --- whom a stream is given to --------------------------------------------------------------------


def test_a_stream_goes_to_the_worker_that_is_least_busy_though_it_has_more_streams() -> None:
    cluster = full(4, card("a"), card("b"))
    cluster.placement.remove("s0" if cluster.owners()["s0"] == "b" else "s1")
    cluster.go()
    assert cluster.per_worker() == {"a": 2, "b": 1}
    cluster.busy |= {"a": 0.2, "b": 0.5}
    cluster.hear()
    assert cluster.placement.add(spec("new"), cluster.now) == "a"


def test_equally_busy_workers_are_given_streams_by_number() -> None:
    cluster = full(5, card("a"), card("b"))
    assert sorted(cluster.per_worker().values()) == [2, 3]
    few = min(cluster.per_worker(), key=lambda name: cluster.per_worker()[name])
    assert cluster.placement.add(spec("new"), cluster.now) == few


def test_a_burst_of_streams_is_spread_though_nothing_is_measured_yet() -> None:
    cluster = Cluster(card("a"), card("b"), card("c"))
    cluster.busy |= {"a": 0.0, "b": 0.16, "c": 0.0}
    cluster.hear()
    for number in range(8):
        cluster.placement.add(spec(f"s{number}"), cluster.now)
    assert cluster.per_worker() == {"a": 3, "b": 2, "c": 3}


def test_a_stream_counts_as_measured_after_a_while() -> None:
    cluster = full(1, card("a"), card("b"))
    cluster.busy |= {"a": 0.05, "b": 0.1}
    cluster.hear()
    assert cluster.placement.add(spec("new"), cluster.now) == "a"


def test_a_burst_of_calls_is_spread() -> None:
    cluster = Cluster(card("a"), card("b"))
    claimed = [cluster.placement.claim(f"call-{number}", cluster.now) for number in range(4)]
    assert Counter(claimed) == {"a": 2, "b": 2}


def test_two_who_ask_where_to_call_are_told_the_same() -> None:
    cluster = Cluster(card("a"), card("b"))
    first = cluster.placement.claim("call", cluster.now)
    cluster.busy[first] = 0.5
    cluster.hear()
    assert cluster.placement.claim("call", cluster.now + CLAIM_S - 1) == first
    assert cluster.placement.claim("call", cluster.now + CLAIM_S) != first


def test_a_publisher_s_limit_holds_for_all_workers_together() -> None:
    cluster = Cluster(card("a"), card("b"))
    ann, ben = Publisher("ann", max_streams=2), Publisher("ben", max_streams=2)
    cluster.holders = {"a": {"one": "ann"}, "b": {"two": "ann", "other": "ben"}}
    cluster.hear()
    with pytest.raises(PublisherFull):
        cluster.placement.claim("three", cluster.now, ann)
    cluster.placement.claim("two", cluster.now, ann)  # what it holds already may be called again
    cluster.placement.claim("three", cluster.now, ben)
    cluster.holders["a"].clear()
    cluster.hear()
    cluster.placement.claim("four", cluster.now, ann)


def test_calls_that_no_worker_knows_of_yet_count_for_their_publisher() -> None:
    cluster = Cluster(card("a"), card("b"))
    ann = Publisher("ann", max_streams=1)
    cluster.placement.claim("one", cluster.now, ann)
    with pytest.raises(PublisherFull):
        cluster.placement.claim("two", cluster.now, ann)
    cluster.placement.claim("one", cluster.now, ann)
    cluster.now += CLAIMED_S  # it came to nothing
    cluster.placement.claim("two", cluster.now, ann)


def test_a_worker_that_is_lost_holds_nothing_for_a_publisher() -> None:
    cluster = Cluster(card("a"), card("b"))
    ann = Publisher("ann", max_streams=1)
    cluster.holders["a"] = {"one": "ann"}
    cluster.hear()
    cluster.placement.lost("a", "is gone", cluster.now)
    assert cluster.placement.claim("two", cluster.now, ann) == "b"


def test_a_call_goes_to_the_owner_of_its_stream() -> None:
    cluster = Cluster(card("a"), card("b"))
    worker = cluster.placement.add(spec("door", url="whip://"), cluster.now)
    cluster.busy[worker] = 0.9
    cluster.hear()
    assert cluster.placement.claim("door", cluster.now) == worker


def test_labels_pin_a_stream() -> None:
    cluster = Cluster(card("a", labels={"site": "north"}), card("b", labels={"site": "south"}))
    cluster.busy["b"] = 0.8
    cluster.hear()
    assert cluster.placement.add(spec("s", {"site": "south"}), cluster.now) == "b"


def test_labels_that_nobody_has_are_impossible() -> None:
    cluster = Cluster(card("a", labels={"site": "north"}))
    with pytest.raises(PlacementImpossible, match="site=south"):
        cluster.placement.add(spec("s", {"site": "south"}), cluster.now)
    assert cluster.owners() == {}


def test_labels_of_a_worker_that_is_lost_are_worth_another_try() -> None:
    cluster = Cluster(card("a", labels={"site": "north"}), card("b"))
    cluster.placement.lost("a", "is gone", cluster.now)
    with pytest.raises(WorkerGone):
        cluster.placement.add(spec("s", {"site": "north"}), cluster.now)


def test_nobody_takes_a_stream_when_all_are_full() -> None:
    cluster = Cluster(card("a"), card("b"))
    cluster.full |= {"a", "b"}
    cluster.hear()
    with pytest.raises(Overloaded) as caught:
        cluster.placement.add(spec("s"), cluster.now)
    assert caught.value.retry_after_s > 0
    assert cluster.count("refusals") == 1


def test_the_limit_of_streams_is_that_of_all_workers_together() -> None:
    cluster = Cluster(card("a", max_streams=1), card("b", max_streams=2))
    for number in range(3):
        cluster.placement.add(spec(f"s{number}"), cluster.now)
    with pytest.raises(TooManyStreams) as caught:
        cluster.placement.add(spec("s3"), cluster.now)
    assert caught.value.limit == 3


def test_a_worker_that_refuses_is_passed_over_and_another_one_tried() -> None:
    cluster = Cluster(card("a"), card("b"))
    worker = cluster.placement.add(spec("s"), cluster.now)
    (order,) = cluster.placement.decide(cluster.now)
    cluster.placement.failed(order, "full", cluster.now, refused=True)
    (again,) = cluster.placement.decide(cluster.now)
    assert isinstance(again, Own)
    assert again.worker != worker
    assert again.generation > order.generation


def test_ids_are_taken_once() -> None:
    cluster = full(1, card("a"))
    with pytest.raises(StreamExists):
        cluster.placement.add(spec("s0"), cluster.now)
    cluster.placement.want(spec("s0"))
    assert cluster.go() == []


# --- streams that wait ----------------------------------------------------------------------------


def test_a_wanted_stream_waits_for_a_worker_and_is_given_to_the_first_that_comes() -> None:
    cluster = Cluster()
    cluster.placement.want(spec("s"))
    cluster.go()
    assert cluster.placement.table(cluster.now).streams["s"].waiting == "no worker answers"
    cluster.cards["a"], cluster.holds["a"], cluster.busy["a"] = card("a"), {}, 0.0
    cluster.placement.joined(cluster.cards["a"], cluster.now)
    (order,) = cluster.go()
    assert (order.worker, order.stream) == ("a", "s")


def test_streams_that_were_never_run_wait_while_further_workers_start() -> None:
    cluster = Cluster(card("a"))
    cluster.placement.want(spec("s"))
    assert cluster.placement.decide(cluster.now, hold=True) == ()
    assert len(cluster.placement.decide(cluster.now)) == 1


def test_a_stream_that_waits_says_which_label_is_missing() -> None:
    cluster = Cluster(card("a"))
    cluster.placement.want(spec("s", {"site": "north"}))
    cluster.go()
    assert "site=north" in cluster.placement.table(cluster.now).streams["s"].waiting


def test_streams_of_low_priority_wait_longest() -> None:
    cluster = Cluster(card("a", max_streams=1))
    cluster.placement.want(spec("low", priority=Priority.LOW))
    cluster.placement.want(spec("normal"))
    cluster.go()
    assert cluster.owners() == {"low": "", "normal": "a"}


def test_a_stream_that_cannot_be_started_is_tried_ever_more_rarely() -> None:
    cluster = Cluster(card("a"))
    cluster.placement.want(spec("s"))
    tried: list[float] = []
    while cluster.now < 400.0:
        for order in cluster.placement.decide(cluster.now):
            tried.append(cluster.now)
            cluster.placement.failed(order, "no such file", cluster.now)
        cluster.now += 0.5
    pauses = [after - before for before, after in itertools.pairwise(tried)]
    assert pauses[0] < pauses[1] < pauses[2]
    assert max(pauses) <= MAX_REST_S + 0.5
    assert cluster.placement.table(cluster.now).streams["s"].waiting == "no such file"


def test_what_ran_already_is_not_refused_for_overload() -> None:
    """Streams of a lost or drained worker waited, though others could have left something out."""
    cluster = full(4, card("a"), card("b"), card("c"))
    cluster.full |= {"a", "b", "c"}
    cluster.hear()
    cluster.placement.lost("a", "is gone", cluster.now)
    cluster.placement.drain("b", draining=True)
    cluster.placement.want(spec("new"))
    cluster.go()
    assert cluster.per_worker() == {"c": 4, "": 1}
    assert cluster.owners()["new"] == ""
    with pytest.raises(Overloaded):
        cluster.placement.add(spec("newer"), cluster.now)


def test_the_limit_of_streams_holds_for_what_ran_already() -> None:
    cluster = full(4, card("a"), card("b", max_streams=3))
    cluster.placement.lost("a", "is gone", cluster.now)
    cluster.go()
    assert cluster.per_worker() == {"b": 3, "": 1}


def test_a_moved_stream_that_was_refused_does_not_wait_long_once_there_is_room() -> None:
    """It waited for up to a minute: nobody scored it, though its next worker had room again."""
    cluster = full(1, card("a"), card("b"))
    cluster.placement.drain(cluster.owners()["s0"], draining=True)
    tried: list[float] = []
    while cluster.now < 220.0:
        for order in cluster.placement.decide(cluster.now):
            if isinstance(order, Own):
                tried.append(cluster.now)
                cluster.placement.failed(order, "full", cluster.now, refused=True)
            else:
                cluster.holds[order.worker].clear()
                cluster.placement.done(order, cluster.now)
        cluster.now += 0.5
        cluster.hear()
    assert max(after - before for before, after in itertools.pairwise(tried)) <= 2.5


# --- workers that are lost ------------------------------------------------------------------------


def test_streams_of_a_lost_worker_are_given_to_others_under_higher_generations() -> None:
    cluster = full(4, card("a"), card("b"))
    before = cluster.placement.table(cluster.now).streams
    cluster.placement.lost("a", "is gone", cluster.now)
    orders = cluster.go()
    assert {order.worker for order in orders} == {"b"}
    assert cluster.per_worker() == {"b": 4}
    for order in orders:
        assert isinstance(order, Own)
        assert order.generation > max(owned.generation for owned in before.values())
    assert cluster.count("deaths") == 1


def test_a_worker_that_was_cut_off_lets_go_of_what_others_own_now() -> None:
    cluster = full(2, card("a"), card("b"))
    kept = next(id for id, worker in cluster.owners().items() if worker == "a")
    old = cluster.holds["a"][kept]
    cluster.placement.lost("a", "is gone", cluster.now)
    cluster.go(5.0)
    cluster.hear("a")
    (order,) = cluster.go()
    assert order == Disown("a", kept, old, moved=True)
    assert cluster.owners()[kept] == "b"


def test_a_worker_that_was_cut_off_keeps_what_nobody_else_could_take() -> None:
    cluster = full(2, card("a"))
    cluster.placement.lost("a", "is gone", cluster.now)
    assert cluster.go() == []
    cluster.hear("a")
    assert cluster.go() == []
    assert cluster.per_worker() == {"a": 2}


def test_a_worker_that_was_cut_off_stops_what_was_removed_meanwhile() -> None:
    cluster = full(1, card("a"), card("b"))
    old = cluster.holds["a"]["s0"]
    cluster.placement.lost("a", "is gone", cluster.now)
    cluster.go()
    cluster.placement.remove("s0")
    cluster.go()
    cluster.hear("a")
    assert cluster.go() == [Disown("a", "s0", old, moved=False)]


def test_another_incarnation_owns_nothing_and_is_given_streams_anew() -> None:
    cluster = full(2, card("a"))
    old = dict(cluster.holds["a"])
    cluster.cards["a"], cluster.holds["a"] = card("a", "a-2"), {}
    assert not cluster.placement.knows("a", "a-2")
    cluster.placement.joined(cluster.cards["a"], cluster.now)
    cluster.hear()
    orders = cluster.go()
    assert len(orders) == 2
    for order in orders:
        assert isinstance(order, Own)
        assert order.generation > old[order.stream]
    assert cluster.count("deaths") == 1


def test_a_worker_whose_device_hangs_is_lost() -> None:
    cluster = full(2, card("a"), card("b"))
    said = beat(cluster.cards["a"], dict(cluster.holds["a"]), live=False)
    cluster.placement.beat("a", said, cluster.now, cluster.now)
    cluster.go()
    assert cluster.per_worker() == {"b": 2}
    view = cluster.placement.table(cluster.now).workers["a"]
    assert not view.alive
    assert view.details == {"device": "hangs"}


def test_an_answer_that_is_older_than_an_order_does_not_undo_it() -> None:
    cluster = Cluster(card("a"))
    asked = cluster.now
    cluster.placement.add(spec("s"), cluster.now)
    cluster.go(0.1)
    old = beat(cluster.cards["a"], {})
    cluster.placement.beat("a", old, asked, cluster.now)
    assert cluster.go() == []


def test_a_stream_that_a_worker_has_lost_is_given_to_it_again() -> None:
    cluster = full(1, card("a"))
    cluster.holds["a"].clear()
    cluster.now += 1.0
    cluster.hear()
    (order,) = cluster.go()
    assert isinstance(order, Own)


def test_generations_rise_though_their_source_begins_anew() -> None:
    numbers = itertools.count(1)
    placement = Placement(ClusterSettings(), lambda: next(numbers))
    placement.joined(card("a"), 0.0)
    strangers = placement.beat("a", beat(card("a"), {"s": 77}), 0.0, 0.0)
    assert strangers == {"s"}
    assert placement.number() == 78


# --- streams that calls have made -----------------------------------------------------------------


def called(cluster: Cluster) -> str:
    """Have somebody call a stream that was not there, and return the worker."""
    worker = cluster.placement.claim("call", cluster.now)
    cluster.holds[worker]["call"] = cluster.placement.number()
    strangers = cluster.placement.beat(
        worker, beat(cluster.cards[worker], dict(cluster.holds[worker])), cluster.now, cluster.now
    )
    assert strangers == {"call"}
    cluster.placement.learn(worker, [spec("call", url="whip://")], {}, cluster.now)
    return worker


def test_a_stream_that_a_call_has_made_is_adopted_and_forgotten_with_the_call() -> None:
    cluster = Cluster(card("a"), card("b"))
    worker = called(cluster)
    assert cluster.owners() == {"call": worker}
    cluster.holds[worker].clear()
    cluster.now += 1.0
    cluster.hear()
    assert cluster.go() == []
    assert cluster.owners() == {}


def test_a_call_is_not_given_to_another_worker_when_its_own_is_lost_or_drained() -> None:
    cluster = Cluster(card("a"), card("b"))
    worker = called(cluster)
    cluster.placement.drain(worker, draining=True)
    assert cluster.go() == []
    assert cluster.owners() == {"call": worker}
    cluster.placement.lost(worker, "is gone", cluster.now)
    assert cluster.go() == []
    assert cluster.owners() == {}


# --- drain ----------------------------------------------------------------------------------------


def test_a_drained_worker_ends_empty_and_is_given_nothing() -> None:
    cluster = full(4, card("a"), card("b"), card("c"))
    cluster.placement.drain("a", draining=True)
    cluster.go()
    assert cluster.holds["a"] == {}
    assert cluster.placement.add(spec("new"), cluster.now) != "a"
    assert cluster.placement.table(cluster.now).workers["a"].draining
    cluster.placement.drain("a", draining=False)
    cluster.hear()
    cluster.now += 2 * SETTLE_S
    assert cluster.placement.add(spec("newer"), cluster.now) == "a"


def test_a_moved_stream_is_owned_by_the_next_only_when_the_last_has_let_go() -> None:
    cluster = full(1, card("a"), card("b"))
    owner = cluster.owners()["s0"]
    cluster.placement.drain(owner, draining=True)
    (disown,) = cluster.placement.decide(cluster.now)
    assert isinstance(disown, Disown)
    assert disown.moved
    assert cluster.placement.decide(cluster.now + 0.2) == ()
    cluster.placement.done(disown, cluster.now + 0.3)
    (own,) = cluster.placement.decide(cluster.now + 0.3)
    assert isinstance(own, Own)
    assert own.generation > disown.generation


def test_a_moved_stream_does_not_wait_long_for_a_worker_that_does_not_let_go() -> None:
    cluster = full(1, card("a"), card("b"))
    cluster.placement.drain(cluster.owners()["s0"], draining=True)
    assert len(cluster.placement.decide(cluster.now)) == 1
    (own,) = cluster.placement.decide(cluster.now + HANDOVER_S)
    assert isinstance(own, Own)


def test_streams_of_a_drained_worker_stay_where_nobody_else_can_take_them() -> None:
    cluster = full(2, card("a", labels={"site": "north"}), card("b", max_streams=0))
    cluster.placement.drain("a", draining=True)
    assert cluster.go() == []
    assert cluster.per_worker() == {"a": 2}


def drained_in_a_call() -> tuple[Cluster, str]:
    """Return a cluster whose configured stream is being called, and its owner, that is drained."""
    cluster = Cluster(card("a"), card("b"))
    cluster.placement.want(spec("door", url="whip://"))
    cluster.go()
    owner = cluster.owners()["door"]
    cluster.called = {"door"}
    cluster.hear()
    cluster.placement.drain(owner, draining=True)
    return cluster, owner


def test_a_configured_stream_that_is_being_called_moves_when_its_call_is_over() -> None:
    cluster, owner = drained_in_a_call()
    assert cluster.go(3600.0) == []
    assert cluster.owners()["door"] == owner
    cluster.called.clear()
    cluster.hear()
    cluster.go()
    assert cluster.owners()["door"] != owner


def test_a_forced_drain_moves_a_configured_stream_that_is_being_called_at_once() -> None:
    cluster, owner = drained_in_a_call()
    cluster.go()
    cluster.placement.drain(owner, draining=True, force=True)
    cluster.go()
    assert cluster.owners()["door"] != owner


def test_a_drained_worker_stays_so_though_it_was_gone_for_a_while() -> None:
    cluster = full(2, card("a"), card("b"))
    cluster.placement.drain("a", draining=True, why="upgrade")
    cluster.go()
    deaths = cluster.count("deaths")
    cluster.placement.lost("a", "is gone", cluster.now)
    cluster.placement.left("a")
    assert cluster.placement.table(cluster.now).drained == {"a": "upgrade"}
    cluster.holds["a"] = {}
    cluster.placement.joined(card("a", "a-2"), cluster.now)
    assert cluster.placement.table(cluster.now).workers["a"].draining
    assert cluster.placement.add(spec("new"), cluster.now) == "b"
    assert cluster.count("deaths") == deaths  # whoever drained it has ended it


def test_a_drained_worker_that_is_gone_can_be_taken_back() -> None:
    cluster = full(2, card("a"), card("b"))
    cluster.placement.drain("a", draining=True)
    cluster.go()
    cluster.placement.lost("a", "is gone", cluster.now)
    cluster.placement.left("a")
    cluster.placement.drain("a", draining=False)
    assert cluster.placement.table(cluster.now).drained == {}
    with pytest.raises(WorkerUnknown):
        cluster.placement.drain("a", draining=False)


# --- filling --------------------------------------------------------------------------------------


def test_a_worker_that_comes_back_is_given_its_share_by_number_where_nothing_is_measured() -> None:
    cluster = full(6, card("a"), card("b"))
    cluster.placement.drain("a", draining=True)
    cluster.go(1.0)
    cluster.placement.drain("a", draining=False)
    cluster.now += 2 * SETTLE_S
    assert cluster.placement.fill("a", cluster.now) == 3
    cluster.go()
    assert cluster.per_worker() == {"a": 3, "b": 3}
    assert cluster.placement.fill("a", cluster.now) == 0


def test_filling_gives_back_first_what_came_last() -> None:
    cluster = full(6, card("a"), card("b"))
    own = {stream for stream, worker in cluster.owners().items() if worker == "a"}
    cluster.placement.drain("a", draining=True)
    cluster.go(1.0)
    cluster.placement.drain("a", draining=False)
    cluster.placement.fill("a", cluster.now)
    cluster.go()
    assert {stream for stream, worker in cluster.owners().items() if worker == "a"} == own


def test_filling_takes_from_the_busiest_by_measured_share() -> None:
    cluster = full(8, card("a"), card("b"), card("c"))
    cluster.placement.drain("a", draining=True)
    cluster.go(1.0)
    cluster.placement.drain("a", draining=False)
    cluster.now += 2 * SETTLE_S
    cluster.busy |= {"a": 0.0, "b": 0.8, "c": 0.2}
    cluster.hear()
    before = cluster.per_worker()
    cluster.placement.fill("a", cluster.now)
    cluster.go()
    assert cluster.per_worker()["c"] == before["c"]
    assert cluster.per_worker()["b"] == before["b"] - 2


def test_filling_leaves_calls_and_labels_alone_and_gives_nothing_to_a_drained_worker() -> None:
    cluster = Cluster(card("a"), card("b", labels={"site": "north"}))
    cluster.placement.drain("a", draining=True)
    for number in range(2):
        cluster.placement.add(spec(f"call{number}", url="whip://"), cluster.now)
        cluster.placement.add(spec(f"north{number}", {"site": "north"}), cluster.now)
    cluster.go()
    assert cluster.placement.fill("a", cluster.now) == 0
    cluster.placement.drain("a", draining=False)
    assert cluster.placement.fill("a", cluster.now) == 0
    with pytest.raises(WorkerUnknown):
        cluster.placement.fill("x", cluster.now)


# --- the newest owner -----------------------------------------------------------------------------


def found(at: Cluster, worker: str, stream: str, generation: int, url: str = "") -> None:
    """Have a worker say that it runs a stream, and its settings be asked for."""
    at.holds[worker] = {stream: generation}
    said = beat(at.cards[worker], at.holds[worker])
    if at.placement.beat(worker, said, at.now, at.now):
        specs = [spec(stream, url=url or "demo://authentic")]
        at.placement.learn(worker, specs, {}, at.now)


def test_an_older_owner_is_not_believed_where_the_store_has_seen_a_newer_one() -> None:
    cluster = Cluster(card("a"), card("b"))
    cluster.placement.heed({"gate": 2000}, cluster.now)
    found(cluster, "a", "gate", 1500)
    assert cluster.owners() == {"gate": ""}
    orders = cluster.go()
    assert [(type(o), o.worker) for o in orders] == [(Disown, "a")]
    found(cluster, "b", "gate", 2000)
    assert cluster.owners() == {"gate": "b"}
    assert cluster.go() == []


def test_a_newest_owner_that_stays_away_is_followed_by_a_newer_one() -> None:
    cluster = Cluster(card("a"), card("b"))
    cluster.placement.heed({"gate": 2000}, cluster.now)
    found(cluster, "a", "gate", 1500)
    cluster.go()
    assert cluster.owners() == {"gate": ""}
    orders = cluster.go(ClusterSettings().lost_s)
    assert [order.generation > 2000 for order in orders] == [True]
    assert cluster.owners()["gate"] in ("a", "b")


def test_what_the_store_has_seen_counts_though_it_is_read_late() -> None:
    cluster = Cluster(card("a"), card("b"))
    found(cluster, "a", "gate", 1500)
    assert cluster.owners() == {"gate": "a"}
    cluster.placement.heed({"gate": 2000, "gone": 3000}, cluster.now)
    assert cluster.owners() == {"gate": ""}
    found(cluster, "b", "gate", 2000)
    assert cluster.owners() == {"gate": "b"}
    assert cluster.placement.number() > 3000


def test_an_older_call_is_ended_where_the_store_has_seen_a_newer_one() -> None:
    cluster = Cluster(card("a"), card("b"))
    cluster.placement.heed({"door": 2000}, cluster.now)
    found(cluster, "a", "door", 1500, url="whip://")
    assert cluster.owners() == {}
    orders = cluster.go()
    assert [(o.worker, o.generation) for o in orders] == [("a", 1500)]
    found(cluster, "b", "door", 2000, url="whip://")
    assert cluster.owners() == {"door": "b"}


def test_only_known_workers_are_drained() -> None:
    with pytest.raises(WorkerUnknown):
        Cluster(card("a")).placement.drain("z", draining=True)


# --- balance --------------------------------------------------------------------------------------


def hot(settings: ClusterSettings | None = None) -> Cluster:
    """Return a cluster whose first worker has become too busy just now."""
    cluster = full(4, card("a"), card("b"), settings=settings)
    cluster.busy |= {"a": 0.9, "b": 0.2}
    cluster.hear()
    return cluster


def test_a_stream_leaves_a_worker_that_was_too_busy_for_a_minute() -> None:
    cluster = hot()
    assert cluster.go(HIGH_S - 1) == []
    cluster.hear()
    orders = cluster.go(1.0)
    assert [type(order) for order in orders] == [Disown, Own]
    assert cluster.per_worker() == {"a": 1, "b": 3}
    assert cluster.count("moves") == 1


def test_a_worker_that_was_less_busy_meanwhile_keeps_its_streams() -> None:
    cluster = hot()
    cluster.go(HIGH_S - 1)
    cluster.busy["a"] = 0.8
    cluster.hear()
    cluster.busy["a"] = 0.9
    cluster.hear()
    assert cluster.go(HIGH_S - 1) == []


def test_no_stream_moves_to_a_worker_that_is_busy_as_well() -> None:
    cluster = hot()
    cluster.busy["b"] = 0.6
    cluster.hear()
    assert cluster.go(HIGH_S) == []


def test_one_stream_moves_in_a_minute() -> None:
    cluster = full(9, card("a"), card("b"), card("c"))
    cluster.busy |= {"a": 0.95, "b": 0.9, "c": 0.1}
    moved: list[float] = []
    for _ in range(400):
        cluster.hear()
        before = cluster.count("moves")
        cluster.go(1.0)
        moved += [cluster.now] * (cluster.count("moves") - before)
    assert len(moved) > 2
    assert all(after - before >= 60.0 for before, after in itertools.pairwise(moved))


def test_a_moved_stream_rests_where_it_is() -> None:
    """Without the rest, a stream that makes every worker too busy would wander for ever."""
    cluster = full(4, card("a"), card("b"))
    moves: Counter[str] = Counter()
    for _ in range(int(REST_S) - 100):
        for name, held in cluster.holds.items():
            cluster.busy[name] = 0.95 if "s0" in held else 0.05
        cluster.hear()
        moves.update(order.stream for order in cluster.go(1.0) if isinstance(order, Own))
    assert max(moves.values()) == 1


def test_the_only_stream_of_a_worker_and_calls_stay() -> None:
    cluster = Cluster(card("a"), card("b"))
    cluster.placement.add(spec("s"), cluster.now)
    cluster.go()
    (owner,) = cluster.per_worker()
    cluster.busy[owner] = 0.99
    for _ in range(200):
        cluster.hear()
        assert cluster.go(1.0) == []


def test_streams_of_low_priority_move_first() -> None:
    cluster = Cluster(card("a"))
    for stream in (spec("s1"), spec("low", priority=Priority.LOW), spec("call", url="whip://")):
        cluster.placement.add(stream, cluster.now)
    cluster.go(2 * SETTLE_S)
    cluster.cards["b"], cluster.holds["b"], cluster.busy["b"] = card("b"), {}, 0.0
    cluster.placement.joined(cluster.cards["b"], cluster.now)
    cluster.busy["a"] = 0.9
    cluster.hear()
    cluster.go(HIGH_S)
    assert cluster.holds["b"].keys() == {"low"}


def test_balance_can_be_turned_off() -> None:
    cluster = hot(ClusterSettings(moves_per_minute=0))
    for _ in range(200):
        cluster.hear()
        assert cluster.go(1.0) == []


# --- changes --------------------------------------------------------------------------------------


def test_a_stream_whose_labels_change_moves_to_a_worker_that_has_them() -> None:
    cluster = Cluster(card("a", labels={"site": "north"}), card("b", labels={"site": "south"}))
    cluster.placement.add(spec("s", {"site": "north"}), cluster.now)
    cluster.go()
    assert cluster.placement.change(spec("s", {"site": "south"})) == ""
    cluster.go()
    assert cluster.holds["a"] == {}
    assert cluster.owners() == {"s": "b"}


def test_the_owner_is_told_of_other_settings() -> None:
    cluster = full(1, card("a"))
    assert cluster.placement.change(spec("s0", url="demo://tampered")) == "a"
    assert cluster.go() == []


def test_labels_that_nobody_has_change_nothing() -> None:
    cluster = full(1, card("a"))
    with pytest.raises(PlacementImpossible):
        cluster.placement.change(spec("s0", {"site": "south"}))
    assert cluster.placement.spec("s0").placement == {}


@pytest.mark.parametrize("method", ["remove", "owner", "spec"])
def test_unknown_streams_are_told(method: str) -> None:
    with pytest.raises(StreamUnknown):
        getattr(Cluster(card("a")).placement, method)("s")


def test_the_version_rises_with_changes_and_not_with_load() -> None:
    cluster = full(2, card("a"), card("b"))
    before = cluster.placement.version
    cluster.busy["a"] = 0.7
    cluster.hear()
    assert cluster.placement.version == before
    cluster.full.add("a")
    cluster.hear()
    assert cluster.placement.version > before
