"""Rolling upgrades over a real director and workers that run nothing; the test is the time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from stream.analyzer.streams import StreamSpec
from stream.cluster.errors import UpgradeStuck
from stream.cluster.protocol import Table
from stream.cluster.upgrade import Phase, Report, Step, Upgrade, UpgradeSettings
from stream.errors import WorkerGone
from tests.support.cluster import LocalHandle
from tests.support.directed import Cluster, PaperNotes, run
from tests.support.workers import PaperWorker, spec

SETTINGS = UpgradeSettings(made_of="new", director="new", drain_s=60.0, ready_s=20.0)


class Killed(BaseException):
    """The upgrade's own process ends, with no time to tidy up."""


class Rig:
    """A cluster, and a crew that replaces its processes; implements director, crew and clock.

    Attributes:
        told: every step, in order.
        killed: where the upgrade is killed: `end` before a successor is started.
        empty: what workers ran when they were ended.
    """

    def __init__(self, *workers: PaperWorker, notes: PaperNotes | None = None) -> None:
        self.cluster = Cluster(*workers, notes=notes or PaperNotes())
        self.told: list[Step] = []
        self.killed = ""
        self.ended: list[tuple[str, list[str]]] = []
        self.gone = False
        self.configured: list[StreamSpec] = []
        for worker in workers:
            worker.made_of = "old"

    # the clock: whoever sleeps lets the cluster go on

    def monotonic(self) -> float:
        """Return seconds."""
        return self.cluster.clock.monotonic()

    def utc(self) -> datetime:
        """Return the time of day."""
        return self.cluster.clock.utc()

    async def sleep(self, seconds: float) -> None:
        """Let the cluster go on."""
        await self.cluster.pass_(seconds)

    # the director

    async def table(self, version: int, wait_s: float) -> Table:
        """Return the table; nobody answers while the director is being replaced."""
        if self.gone:
            self.gone = False
            raise WorkerGone("styleflow-director")
        await self.want()  # as every gateway does when the director is another one
        return await self.cluster.asked(self.cluster.director.table(version, 0.0))

    async def drain(
        self, worker: str, *, draining: bool, why: str = "", force: bool = False
    ) -> None:
        """Drain a worker, or take that back."""
        asked = self.cluster.director.drain(worker, draining=draining, why=why, force=force)
        await self.cluster.asked(asked)

    async def fill(self, worker: str) -> int:
        """Give a worker its share."""
        return await self.cluster.asked(self.cluster.director.fill(worker))

    # the crew

    async def replace_director(self) -> None:
        """Have another director begin."""
        self.cluster.made_of = "new"
        self.cluster.director = self.cluster.begin()
        self.gone = True

    async def replace(self, worker: str) -> None:
        """Have another process come in a worker's place."""
        made = self.cluster.workers[worker]
        self.ended.append((worker, sorted(made.owned)))
        if (handle := self.cluster.handles.pop(worker, None)) is not None:
            handle.dead = True
        await self.cluster.pass_(3.0)
        if self.killed == "end":
            raise Killed
        made.restart()
        made.made_of = "new"
        self.cluster.handles[worker] = LocalHandle(made, worker)

    async def want(self) -> None:
        """Have the configured streams."""
        await self.cluster.asked(self.cluster.director.want(self.configured))

    async def door(self) -> str:
        """Have a configured stream that peers call; return its owner."""
        self.configured = [spec("door", url="whip://")]
        await self.cluster.pass_()
        await self.want()
        await self.cluster.pass_(1.0)
        [owner] = (await self.cluster.owners()).values()
        return owner

    async def called(self, *streams: str) -> None:
        """Have peers send these streams."""
        for worker in self.cluster.workers.values():
            worker.called = frozenset(streams)
        await self.sleep(1.0)

    async def streams(self, count: int, url: str = "demo://authentic") -> None:
        """Add streams, and let them be measured."""
        await self.cluster.pass_()
        for number in range(count):
            await self.cluster.asked(self.cluster.director.add(spec(f"s{number}", url=url)))
        await self.cluster.pass_(1.0)

    async def upgrade(self, settings: UpgradeSettings = SETTINGS) -> Report:
        """Make a round."""
        report = await Upgrade(self, self, settings, self, self.told.append).run()
        await self.cluster.pass_(1.0)
        return report

    async def per_worker(self) -> Counter[str]:
        """Return how many streams each worker owns, all of which it also runs, alone."""
        owners, holders = await self.cluster.owners(), await self.cluster.holders()
        assert holders == {stream: [worker] for stream, worker in owners.items()}
        return Counter(owners.values())


def test_every_worker_is_replaced_while_it_runs_nothing_and_has_its_share_afterwards() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"), PaperWorker("c"))
        await rig.streams(9)
        report = await rig.upgrade()
        assert report.replaced == ["a", "b", "c"]
        assert report.director
        assert rig.ended == [("a", []), ("b", []), ("c", [])]
        assert await rig.per_worker() == {"a": 3, "b": 3, "c": 3}
        table = await rig.cluster.table()
        assert table.drained == {}
        assert {worker.card.made_of for worker in table.workers.values()} == {"new"}

    run(test())


def test_generations_of_every_stream_only_rise_during_an_upgrade() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        await rig.streams(4)
        await rig.upgrade()
        owned: dict[str, list[int]] = {}
        for worker in rig.cluster.workers.values():
            for what, stream, generation in worker.told:
                if what == "own":
                    owned.setdefault(stream, []).append(generation)
        for generations in owned.values():
            assert len(set(generations)) == len(generations)
        newest = {id: at.generation for id, at in (await rig.cluster.table()).streams.items()}
        assert newest == {stream: max(generations) for stream, generations in owned.items()}

    run(test())


def test_who_is_up_to_date_is_passed_over_unless_all_are_meant() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        rig.cluster.workers["a"].made_of = "new"
        await rig.streams(2)
        report = await rig.upgrade()
        assert (report.passed_over, report.replaced) == (["a"], ["b"])
        again = await rig.upgrade()
        assert (again.passed_over, again.replaced, again.director) == (["a", "b"], [], False)
        everybody = await rig.upgrade(replace(SETTINGS, everybody=True))
        assert (everybody.passed_over, everybody.replaced) == ([], ["a", "b"])

    run(test())


def test_workers_of_another_name_are_left_alone() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("gpu-1"), PaperWorker("worker-1"))
        await rig.streams(2)
        report = await rig.upgrade(replace(SETTINGS, name="worker"))
        assert (report.passed_over, report.replaced) == ([], ["worker-1"])

    run(test())


def test_it_says_how_far_it_is() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        rig.cluster.workers["b"].made_of = "new"
        await rig.streams(2)
        await rig.upgrade()
        phases = list(dict.fromkeys((step.worker, step.phase) for step in rig.told))
        assert phases == [
            ("", Phase.RESTARTING),
            ("", Phase.DONE),
            ("b", Phase.PASSED_OVER),
            ("a", Phase.DRAINING),
            ("a", Phase.RESTARTING),
            ("a", Phase.FILLING),
            ("a", Phase.DONE),
        ]
        assert {(step.number, step.of) for step in rig.told if step.worker == "a"} == {(1, 1)}

    run(test())


def test_who_was_drained_before_is_replaced_and_stays_drained() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        await rig.streams(2)
        await rig.drain("a", draining=True)
        await rig.sleep(2.0)
        rig.cluster.workers["b"].made_of = "new"
        report = await rig.upgrade()
        assert report.replaced == ["a"]
        assert (await rig.cluster.table()).drained == {"a": ""}
        assert await rig.per_worker() == {"b": 2}

    run(test())


async def interrupted(rig: Rig, when: Callable[[Step], bool]) -> None:
    """Begin a round, and interrupt it at a step."""
    reached, tell = asyncio.Event(), rig.told.append

    def told(step: Step) -> None:
        tell(step)
        if when(step):
            reached.set()

    task = asyncio.create_task(Upgrade(rig, rig, SETTINGS, rig, told).run())
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def test_an_upgrade_that_is_interrupted_while_it_drains_leaves_the_worker_as_it_was() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        owner = await rig.door()
        await rig.called("door")
        await interrupted(rig, lambda step: step.called > 0)
        assert (await rig.cluster.table()).drained == {}
        assert (await rig.cluster.owners())["door"] == owner
        await rig.called()
        assert sorted((await rig.upgrade()).replaced)[-1] == "b"

    run(test())


def test_an_upgrade_that_was_killed_between_two_processes_is_gone_on_with() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        await rig.streams(4)
        rig.killed = "end"
        with pytest.raises(Killed):
            await rig.upgrade()
        await rig.sleep(5.0)
        table = await rig.cluster.table()
        assert (list(table.workers), table.drained) == (["b"], {"a": "upgrade"})
        assert await rig.per_worker() == {"b": 4}
        rig.killed = ""
        report = await rig.upgrade()
        assert report.replaced == ["a", "b"]
        assert await rig.per_worker() == {"a": 2, "b": 2}
        assert (await rig.cluster.table()).drained == {}

    run(test())


def test_a_call_is_waited_for_and_cut_only_by_force() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        owner = await rig.door()
        await rig.called("door")
        with pytest.raises(UpgradeStuck) as stuck:
            await rig.upgrade()
        assert (stuck.value.worker, "door" in stuck.value.why) == (owner, True)
        assert (await rig.cluster.owners())["door"] == owner
        assert (await rig.cluster.table()).drained == {}
        report = await rig.upgrade(replace(SETTINGS, force=True))
        assert owner in report.replaced

    run(test())


def test_the_only_worker_is_not_drained_of_its_streams() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"))
        await rig.streams(1)
        with pytest.raises(UpgradeStuck) as stuck:
            await rig.upgrade()
        assert stuck.value.worker == "a"
        assert await rig.per_worker() == {"a": 1}
        assert rig.ended == []

    run(test())


def test_a_successor_that_does_not_answer_stops_the_round_before_the_next_worker() -> None:
    async def test() -> None:
        rig = Rig(PaperWorker("a"), PaperWorker("b"))
        await rig.streams(4)
        replaced = rig.replace

        async def replace_and_cut(worker: str) -> None:
            await replaced(worker)
            rig.cluster.handles[worker].dead = True

        rig.replace = replace_and_cut  # type: ignore[method-assign]
        with pytest.raises(UpgradeStuck) as stuck:
            await rig.upgrade()
        assert stuck.value.worker == "a"
        assert await rig.per_worker() == {"b": 4}

    run(test())
