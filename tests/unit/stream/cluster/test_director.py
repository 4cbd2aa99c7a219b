"""The director over workers that are killed, cut off, paused and drained; time stands unless told.

Everything crosses as a pickle, as between processes; see `LocalHandle`.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from stream.cluster.director import ORDER_S, START_S, STARTING_S
from stream.cluster.estate import MOURN_S
from stream.cluster.orders import HANDOVER_S
from stream.engine.settings import EngineSettings
from stream.errors import (
    Overloaded,
    PlacementImpossible,
    SourceUrlInvalid,
    StreamExists,
    StreamUnknown,
    WorkerGone,
    WorkerUnknown,
)
from tests.support.cluster import LocalHandle
from tests.support.directed import SETTINGS, Cluster, PaperNotes, filled, run
from tests.support.workers import PaperWorker, spec

# --- streams --------------------------------------------------------------------------------------


def test_streams_are_spread_over_workers_and_run_there() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        assert sorted((await cluster.owners()).values()) == ["a", "a", "b", "b"]
        for stream, worker in (await cluster.owners()).items():
            assert (await cluster.holders())[stream] == [worker]

    run(test())


def test_a_stream_is_added_once_and_removed_where_it_runs() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=1)
        with pytest.raises(StreamExists):
            await cluster.asked(cluster.director.add(spec("s0")))
        await cluster.asked(cluster.director.remove("s0"))
        assert cluster.workers["a"].owned == {}
        assert [what for what, _, _ in cluster.workers["a"].told] == ["own", "end"]
        with pytest.raises(StreamUnknown):
            await cluster.asked(cluster.director.remove("s0"))

    run(test())


@pytest.mark.parametrize("error", [SourceUrlInvalid("x", "no host"), Overloaded(5.0)])
def test_what_no_worker_can_start_is_told_and_forgotten(error: Exception) -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=0)
        for worker in cluster.workers.values():
            worker.refuses = error
        with pytest.raises(type(error)):
            await cluster.asked(cluster.director.add(spec("s")))
        assert await cluster.owners() == {}
        assert await cluster.holders() == {}

    run(test())


def test_a_worker_that_is_full_after_all_sends_a_stream_to_the_next() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=0)
        cluster.workers["a"].refuses = Overloaded(5.0)
        assert (await cluster.asked(cluster.director.add(spec("s")))).id == "s"
        assert await cluster.holders() == {"s": ["b"]}

    run(test())


def test_labels_that_nobody_has_are_refused() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a", {"site": "north"}))
        with pytest.raises(PlacementImpossible):
            await cluster.asked(cluster.director.add(spec("s", {"site": "south"})))

    run(test())


def test_a_worker_that_dies_while_it_is_given_a_stream_costs_nothing_but_time() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=0)
        cluster.handles["a"].dead = True
        assert (await cluster.asked(cluster.director.add(spec("s")))).id == "s"
        assert await cluster.holders() == {"s": ["b"]}

    run(test())


def test_whoever_adds_a_stream_is_told_when_no_worker_answers() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=0)
        cluster.handles["a"].pause()
        with pytest.raises(WorkerGone):
            await cluster.asked(cluster.director.add(spec("s")), START_S + 1)
        cluster.handles["a"].resume()
        await cluster.pass_(2.0)
        assert await cluster.owners() == {}
        assert cluster.workers["a"].owned == {}

    run(test())


def test_other_settings_reach_the_owner() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=1)
        changed = replace(spec("s0"), name="Door")
        assert (await cluster.asked(cluster.director.change(changed))).name == "Door"
        assert cluster.workers["a"].owned["s0"][0].name == "Door"

    run(test())


def test_settings_that_the_owner_refuses_are_not_kept() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=1)
        cluster.workers["a"].refuses = SourceUrlInvalid("x", "no host")
        with pytest.raises(SourceUrlInvalid):
            await cluster.asked(cluster.director.change(replace(spec("s0"), name="Door")))
        assert (await cluster.table()).streams["s0"].spec.name == ""

    run(test())


def test_settings_follow_a_stream_whose_owner_dies_when_it_is_told() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=2)
        owner = (await cluster.owners())["s0"]
        cluster.handles[owner].dead = True
        changed = replace(spec("s0"), name="Door")
        assert (await cluster.asked(cluster.director.change(changed))).name == "Door"
        (other,) = set(cluster.workers) - {owner}
        assert cluster.workers[other].owned["s0"][0].name == "Door"

    run(test())


def test_other_labels_move_a_stream() -> None:
    async def test() -> None:
        north, south = PaperWorker("n", {"site": "north"}), PaperWorker("s", {"site": "south"})
        cluster = await filled(north, south, streams=0)
        await cluster.asked(cluster.director.add(spec("cam", {"site": "north"})))
        await cluster.asked(cluster.director.change(spec("cam", {"site": "south"})))
        assert await cluster.holders() == {"cam": ["s"]}

    run(test())


def test_wanted_streams_are_there_once_though_two_gateways_ask_for_them() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=0)
        for _ in range(2):
            await cluster.asked(cluster.director.want([spec("s0"), spec("s1")]))
            await cluster.pass_(1.0)
        assert [stream for _, stream, _ in cluster.workers["a"].told] == ["s0", "s1"]

    run(test())


def test_wanted_streams_are_not_all_given_to_the_worker_that_starts_first() -> None:
    async def test() -> None:
        cluster = Cluster(PaperWorker("a"), PaperWorker("b"))
        cluster.handles["b"].pause()
        await cluster.pass_(SETTINGS.lost_s)
        await cluster.asked(cluster.director.want([spec(f"s{n}") for n in range(4)]))
        await cluster.pass_(5.0)
        assert set((await cluster.owners()).values()) == {""}
        cluster.handles["b"].resume()
        await cluster.pass_(1.0)
        assert sorted((await cluster.owners()).values()) == ["a", "a", "b", "b"]

    run(test())


def test_wanted_streams_do_not_wait_for_ever_for_a_worker_that_does_not_start() -> None:
    async def test() -> None:
        cluster = Cluster(PaperWorker("a"), PaperWorker("b"))
        cluster.handles["b"].pause()
        await cluster.pass_(SETTINGS.lost_s)
        await cluster.asked(cluster.director.want([spec("s")]))
        await cluster.pass_(STARTING_S)
        assert await cluster.owners() == {"s": "a"}

    run(test())


# --- workers that are lost ------------------------------------------------------------------------


def test_streams_of_a_killed_worker_run_elsewhere_at_once() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        old = {s: generation for s, (_, generation) in cluster.workers["a"].owned.items()}
        cluster.handles["a"].dead = True
        await cluster.pass_(SETTINGS.beat_s)
        assert set((await cluster.owners()).values()) == {"b"}
        assert set(cluster.workers["b"].owned) == {"s0", "s1", "s2", "s3"}
        for stream, generation in old.items():
            assert cluster.workers["b"].owned[stream][1] > generation
        table = await cluster.table()
        assert not table.workers["a"].alive
        assert table.counts["deaths"] == 1

    run(test())


def test_a_silent_worker_is_lost_after_a_while_and_delays_nobody_meanwhile() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        cluster.handles["a"].pause()
        await cluster.pass_(SETTINGS.lost_s - 0.5)
        assert (await cluster.table()).workers["a"].alive
        assert (await cluster.table()).workers["b"].quiet_s <= SETTINGS.beat_s
        await cluster.pass_(1.0)
        assert not (await cluster.table()).workers["a"].alive
        assert set((await cluster.owners()).values()) == {"b"}

    run(test())


def test_a_worker_that_speaks_again_lets_go_of_what_others_own_now() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        cluster.handles["a"].pause()
        await cluster.pass_(SETTINGS.lost_s + 1)
        assert len(cluster.workers["a"].owned) == 2
        cluster.handles["a"].resume()
        await cluster.pass_(1.0)
        assert cluster.workers["a"].owned == {}
        assert {what for what, _, _ in cluster.workers["a"].told[2:]} == {"move"}
        assert (await cluster.table()).workers["a"].alive
        assert len(cluster.workers["b"].owned) == 4

    run(test())


def test_a_worker_that_was_cut_off_lets_go_when_the_network_heals() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        cluster.handles["a"].cut = True
        await cluster.pass_(10.0)
        assert set((await cluster.owners()).values()) == {"b"}
        cluster.handles["a"].cut = False
        await cluster.pass_(1.0)
        assert cluster.workers["a"].owned == {}
        assert (await cluster.table()).counts["deaths"] == 1

    run(test())


def test_a_worker_that_is_restarted_between_two_questions_is_given_streams_anew() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=2)
        cluster.workers["a"].restart()
        await cluster.pass_(1.0)
        assert set(cluster.workers["a"].owned) == {"s0", "s1"}
        generations = [generation for _, _, generation in cluster.workers["a"].told]
        assert generations == sorted(set(generations))

    run(test())


def test_a_worker_whose_device_hangs_is_restarted_once() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        cluster.workers["a"].live = False
        await cluster.pass_(3.0)
        assert cluster.restarted == ["a"]
        table = await cluster.table()
        assert table.workers["a"].alive
        assert table.workers["a"].card.incarnation == "a-2"
        assert len(cluster.workers["b"].owned) == 4

    run(test())


def test_streams_wait_when_every_worker_is_lost_and_go_on_with_the_first_that_returns() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        for handle in cluster.handles.values():
            handle.cut = True
        await cluster.pass_(5.0)
        table = await cluster.table()
        assert {owned.waiting for owned in table.streams.values()} == {"no worker answers"}
        cluster.workers["b"].restart()
        cluster.handles["b"].cut = False
        await cluster.pass_(1.0)
        assert len(cluster.workers["b"].owned) == 4

    run(test())


def test_a_worker_that_is_not_listed_any_more_is_forgotten_once_it_is_lost() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        cluster.handles["a"].dead = True
        await cluster.pass_(1.0)
        del cluster.handles["a"]
        await cluster.pass_(2.0)
        assert set((await cluster.table()).workers) == {"b"}

    run(test())


def test_a_worker_that_comes_later_is_given_streams() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a", room=2), streams=2)
        await cluster.asked(cluster.director.want([spec("late")]))
        await cluster.pass_(1.0)
        cluster.workers["b"] = PaperWorker("b")
        cluster.handles["b"] = LocalHandle(cluster.workers["b"], "b")
        await cluster.pass_(2.0)
        assert (await cluster.owners())["late"] == "b"

    run(test())


def test_a_worker_that_does_not_let_go_in_time_holds_up_its_successor_for_a_moment() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=1)
        (owner,) = (await cluster.owners()).values()
        (other,) = set(cluster.workers) - {owner}
        hung = asyncio.Event()

        async def hang(stream: str, generation: int, *, moved: bool) -> None:
            await hung.wait()

        cluster.workers[owner].disown = hang  # type: ignore[method-assign]
        await cluster.asked(cluster.director.drain(owner, draining=True))
        await cluster.pass_(HANDOVER_S - 1.0)
        assert "s0" not in cluster.workers[other].owned
        await cluster.pass_(1.5)
        assert "s0" in cluster.workers[other].owned
        await cluster.pass_(ORDER_S)
        hung.set()

    run(test())


# --- drain, calls, thresholds ---------------------------------------------------------------------


def test_a_drained_worker_ends_empty_and_stays_so_until_that_is_taken_back() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        await cluster.asked(cluster.director.drain("a", draining=True))
        await cluster.pass_(1.0)
        assert cluster.workers["a"].owned == {}
        assert (await cluster.table()).workers["a"].draining
        await cluster.asked(cluster.director.add(spec("new")))
        assert cluster.workers["a"].owned == {}
        cluster.workers["a"].restart()
        await cluster.pass_(1.0)
        assert (await cluster.table()).workers["a"].draining
        assert cluster.workers["a"].owned == {}
        await cluster.asked(cluster.director.drain("a", draining=False))
        await cluster.asked(cluster.director.add(spec("newer")))
        assert set(cluster.workers["a"].owned) == {"newer"}

    run(test())


def test_only_known_workers_are_drained() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"))
        with pytest.raises(WorkerUnknown):
            await cluster.asked(cluster.director.drain("z", draining=True))

    run(test())


def test_a_call_is_sent_to_the_owner_or_to_the_least_busy() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=0)
        cluster.workers["a"].busy = 0.5
        await cluster.pass_(1.0)
        await cluster.asked(cluster.director.add(spec("door", url="whip://")))
        cluster.workers["b"].busy = 0.9
        await cluster.pass_(1.0)
        assert await cluster.asked(cluster.director.claim("door")) == "b"
        assert await cluster.asked(cluster.director.claim("guest")) == "a"

    run(test())


def test_a_stream_that_a_call_has_made_comes_and_goes_with_it() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=0)
        made = spec("guest", url="whip://")
        cluster.workers["a"].owned["guest"] = made, await cluster.director.block()
        await cluster.pass_(1.0)
        assert await cluster.owners() == {"guest": "a"}
        cluster.workers["a"].owned.clear()
        await cluster.pass_(1.0)
        assert await cluster.owners() == {}
        assert cluster.workers["a"].told == []

    run(test())


def test_thresholds_follow_a_stream_to_its_next_owner() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        own = replace(EngineSettings(), enter=0.9)
        every = replace(EngineSettings(), enter=0.8)
        await cluster.asked(cluster.director.retune(every, None))
        await cluster.asked(cluster.director.retune(own, "s0"))
        owner = (await cluster.owners())["s0"]
        cluster.handles[owner].dead = True
        await cluster.pass_(1.0)
        (other,) = set(cluster.workers) - {owner}
        assert cluster.workers[other].thresholds == {"": every, "s0": own}
        table = await cluster.table()
        assert (table.thresholds, table.streams["s0"].thresholds) == (every, own)

    run(test())


def test_a_worker_that_joins_judges_as_the_others() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"))
        every = replace(EngineSettings(), enter=0.8)
        await cluster.asked(cluster.director.retune(every, None))
        cluster.workers["a"].restart()
        await cluster.pass_(1.0)
        assert cluster.workers["a"].thresholds == {"": every}

    run(test())


# --- the director itself --------------------------------------------------------------------------


def test_a_new_director_learns_what_there_is_and_disturbs_nobody() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        own = replace(EngineSettings(), enter=0.9)
        await cluster.asked(cluster.director.retune(own, "s0"))
        before, told = await cluster.table(), [len(w.told) for w in cluster.workers.values()]
        cluster.director = cluster.begin()
        await cluster.asked(cluster.director.want([spec("s0"), spec("s1")]))
        await cluster.pass_(2.0)
        after = await cluster.table()
        assert after.director != before.director
        assert after.version > before.version
        assert dict(after.streams) == dict(before.streams)
        assert [len(worker.told) for worker in cluster.workers.values()] == told

    run(test())


def test_a_new_director_knows_who_was_drained_and_by_whom() -> None:
    async def test() -> None:
        notes = PaperNotes()
        cluster = Cluster(PaperWorker("a"), PaperWorker("b"), notes=notes)
        await cluster.pass_()
        await cluster.asked(cluster.director.drain("a", draining=True, why="upgrade"))
        assert notes.kept == {"a": "upgrade"}
        cluster.director = cluster.begin()
        await cluster.pass_()
        await cluster.asked(cluster.director.add(spec("s0")))
        assert await cluster.owners() == {"s0": "b"}
        assert (await cluster.table()).drained == {"a": "upgrade"}
        await cluster.asked(cluster.director.drain("a", draining=False))
        assert notes.kept == {}

    run(test())


def test_who_is_drained_is_written_when_the_store_is_back() -> None:
    async def test() -> None:
        notes = PaperNotes()
        cluster = Cluster(PaperWorker("a"), PaperWorker("b"), notes=notes)
        await cluster.pass_()
        notes.away = True
        await cluster.asked(cluster.director.drain("a", draining=True))
        assert notes.kept == {}
        assert (await cluster.table()).workers["a"].draining
        notes.away = False
        await cluster.pass_(2.0)
        assert notes.kept == {"a": ""}

    run(test())


def test_a_new_director_does_not_wait_for_a_store_that_is_away() -> None:
    async def test() -> None:
        notes = PaperNotes({"gate": 9000})
        notes.kept, notes.away = {"a": ""}, True
        cluster = Cluster(PaperWorker("a"), PaperWorker("b"), notes=notes)
        cluster.workers["a"].owned["gate"] = spec("gate"), 1500
        await cluster.pass_(SETTINGS.lost_s + 0.5)
        assert await cluster.owners() == {"gate": "a"}
        notes.away = False
        await cluster.pass_(2.0)
        assert (await cluster.table()).workers["a"].draining
        await cluster.pass_(SETTINGS.lost_s + 0.5)
        assert await cluster.owners() == {"gate": "b"}
        assert cluster.workers["b"].owned["gate"][1] > 9000

    run(test())


def test_a_new_director_that_meets_an_older_owner_first_believes_the_newest_one() -> None:
    async def test() -> None:
        cluster = Cluster(PaperWorker("a"), PaperWorker("b"), notes=PaperNotes({"gate": 2000}))
        cluster.workers["a"].owned["gate"] = spec("gate"), 1500
        cluster.workers["b"].owned["gate"] = spec("gate"), 2000
        cluster.handles["b"].cut = True
        await cluster.pass_(1.0)
        assert await cluster.owners() == {"gate": ""}
        assert "gate" not in cluster.workers["a"].owned
        cluster.handles["b"].cut = False
        await cluster.pass_(1.0)
        assert await cluster.owners() == {"gate": "b"}
        assert cluster.workers["b"].owned["gate"][1] == 2000

    run(test())


def test_a_new_director_waits_for_workers_before_it_gives_their_streams_away() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"))
        told = len(cluster.workers["b"].told)
        cluster.handles["a"].pause()
        cluster.director = cluster.begin()
        asking = asyncio.ensure_future(cluster.director.want([spec(f"s{n}") for n in range(4)]))
        await cluster.pass_(SETTINGS.lost_s - 0.5)
        assert not asking.done()
        cluster.handles["a"].resume()
        await cluster.pass_(1.0)
        assert asking.done()
        assert len(cluster.workers["b"].told) == told
        assert sorted((await cluster.owners()).values()) == ["a", "a", "b", "b"]

    run(test())


def test_generations_of_a_new_director_are_above_all_that_workers_hold() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"))
        newest = max(generation for _, generation in cluster.workers["a"].owned.values())
        cluster.numbers = itertools.count(1)
        cluster.director = cluster.begin()
        await cluster.pass_(1.0)
        assert await cluster.director.block() > newest

    run(test())


def test_a_living_worker_is_told_who_lives_once_another_one_is_gone_for_good() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=0)
        cluster.handles["b"].dead = True
        await cluster.pass_(30.0)
        assert cluster.workers["a"].inherits == []  # it may come back
        await cluster.pass_(MOURN_S)
        assert cluster.workers["a"].inherits[-1] == ("a",)
        told = len(cluster.workers["a"].inherits)
        assert (await cluster.table()).counts["inherited"] == told

    run(test())


def test_a_worker_that_is_restarted_meanwhile_keeps_what_is_its_own() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=0)
        await cluster.pass_(MOURN_S)
        cluster.handles["b"].cut = True
        await cluster.pass_(40.0)
        cluster.handles["b"].cut = False
        await cluster.pass_(30.0)
        told = [*cluster.workers["a"].inherits, *cluster.workers["b"].inherits]
        assert told
        assert set(told) == {("a", "b")}

    run(test())


def test_a_drained_worker_is_no_heir_where_there_is_another() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), PaperWorker("b"), streams=0)
        await cluster.asked(cluster.director.drain("a", draining=True))
        await cluster.pass_(2 * MOURN_S)
        assert cluster.workers["a"].inherits == []
        assert cluster.workers["b"].inherits

    run(test())


def test_whoever_waits_for_the_table_is_told_of_a_change() -> None:
    async def test() -> None:
        cluster = await filled(PaperWorker("a"), streams=1)
        now = await cluster.table()
        waiting = asyncio.ensure_future(cluster.director.table(now.version, 30.0))
        await cluster.pass_(2.0)
        assert not waiting.done()
        await cluster.asked(cluster.director.add(spec("new")))
        assert "new" in (await waiting).streams

    run(test())


def test_it_runs_by_itself() -> None:
    async def test() -> None:
        cluster = Cluster(PaperWorker("a"), PaperWorker("b"))
        running = asyncio.ensure_future(cluster.director.run())
        for number in range(4):
            await cluster.director.add(spec(f"s{number}"))
        await cluster.director.remove("s0")
        cluster.handles["a"].dead = True
        version = 0
        while set((await cluster.owners()).values()) != {"b"}:
            version = (await cluster.director.table(version, 1.0)).version
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert len(asyncio.all_tasks()) == 1

    run(test())
