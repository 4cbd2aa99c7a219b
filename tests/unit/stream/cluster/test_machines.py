"""Machines as the web shows them: one process alone, and a view of the director's table."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stream.analyzer.streams import Health, StreamSpec, StreamStatus
from stream.clock import SystemClock
from stream.cluster.figures import WorkerState, relay_figures
from stream.cluster.gateway import Gateway
from stream.cluster.machines import THIS_PROCESS, Cluster, Load, OneProcess
from stream.cluster.relay import RelayCounts
from stream.engine.settings import EngineSettings
from stream.errors import OnlyWorker, WorkerGone, WorkerUnknown
from stream.event_log.event_log import EventLog
from stream.ingest.source import SourceSettings, SourceUrl
from stream.publish.hub import Hub
from tests.support.cluster import LocalCluster
from tests.support.machines import PlayedMachines, PlayedWorker, table, worker
from tests.support.wire import UNTRAINED


class Alone:
    """An analyzer without streams."""

    live = True

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return none."""
        return ()

    def health(self) -> Health:
        """Return what the test has set."""
        return Health(self.live, self.live, {"device": "answers"})


def alone(analyzer: Alone | None = None, degradation: int = 2) -> OneProcess:
    """Return a process that is busy for half of the time."""
    load = Load(0.5, degradation)
    return OneProcess(analyzer or Alone(), lambda: [UNTRAINED], "1.0", "cpu", 4, lambda: load)


async def test_a_single_process_is_its_own_only_worker() -> None:
    machines = alone()
    found = machines.table().workers[THIS_PROCESS]
    assert list(machines.table().workers) == [THIS_PROCESS]
    assert (found.card.version, found.card.models) == ("1.0", (UNTRAINED,))
    assert (found.busy, found.degradation, found.alive) == (0.5, 2, True)
    assert not machines.several
    assert machines.worker_of("lobby") == ""
    assert await machines.metrics() == {}


async def test_a_single_process_cannot_be_drained() -> None:
    machines = alone()
    with pytest.raises(OnlyWorker):
        await machines.drain(THIS_PROCESS, draining=True)
    await machines.drain(THIS_PROCESS, draining=False)  # which it is not
    with pytest.raises(WorkerUnknown):
        await machines.drain("worker-1", draining=True)


def test_a_single_process_whose_device_hangs_is_not_alive() -> None:
    analyzer = Alone()
    analyzer.live = False
    assert not alone(analyzer).table().workers[THIS_PROCESS].alive


@pytest.mark.parametrize(("degradation", "full"), [(3, False), (4, True)])
def test_a_single_process_that_refuses_streams_is_full(degradation: int, full: bool) -> None:
    found = alone(degradation=degradation).table().workers[THIS_PROCESS]
    assert found.full is full


def test_the_table_says_whose_a_stream_is() -> None:
    machines = PlayedMachines(table(worker("worker-1", "lobby"), waiting=("door",)))
    assert machines.worker_of("lobby") == "worker-1"
    assert machines.worker_of("door") == ""
    assert machines.worker_of("never") == ""


def test_before_the_director_has_told_anything_there_is_nobody() -> None:
    machines = Cluster(lambda: None, PlayedMachines(table()), lambda name: PlayedWorker())
    assert machines.table().workers == {}
    assert machines.worker_of("lobby") == ""


async def test_metrics_are_of_all_that_answer_in_time() -> None:
    gone = replace(worker("worker-4"), alive=False)
    machines = PlayedMachines(
        table(worker("worker-1"), worker("worker-2"), worker("worker-3"), gone), within_s=0.01
    )
    machines.workers["worker-1"].text = "up 1\n"
    machines.workers["worker-2"].hangs = True
    machines.workers["worker-3"].error = WorkerGone("worker-3")
    assert await machines.metrics() == {"worker-1": "up 1\n"}
    assert machines.missed == {"worker-2": 1, "worker-3": 1}  # the dead one was not asked


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, WorkerState.SERVING),
        ({"full": True}, WorkerState.FULL),
        ({"full": True, "draining": True}, WorkerState.DRAINING),
        ({"full": True, "draining": True, "alive": False}, WorkerState.GONE),
    ],
)
def test_every_worker_is_in_one_state(change: dict[str, bool], state: WorkerState) -> None:
    machines = PlayedMachines(table(replace(worker("worker-1"), **change)))
    states = {f.labels[0]: f.value for f in machines.figures() if f.name == "workers"}
    assert states == {each.value: float(each is state) for each in WorkerState}


def test_what_the_director_has_done_is_counted_under_its_metrics() -> None:
    machines = PlayedMachines(table(worker("worker-1", "lobby"), waiting=("door",)))
    found = {(figure.name, *figure.labels): figure.value for figure in machines.figures()}
    assert found["stream_moves_total",] == 3
    assert found["worker_deaths_total",] == 1
    assert found["placements_refused_total",] == 2
    assert found["estate_inherited_total",] == 4
    assert found["streams_waiting",] == 1


def test_what_has_not_happened_in_a_cluster_is_counted_as_0() -> None:
    """A series that appears with the first death has no rise that could be alarmed on."""
    machines = PlayedMachines(replace(table(worker("worker-1")), counts={}))
    begun = [*machines.figures(), *relay_figures(RelayCounts(), 0)]
    counters = [figure for figure in begun if figure.name.endswith("_total")]
    assert len(counters) == 11
    assert {figure.value for figure in counters} == {0}
    assert ("worker_metrics_missed_total", ("worker-1",)) in [(f.name, f.labels) for f in begun]


async def test_a_gateway_s_machines_are_those_that_its_director_knows() -> None:
    cluster, clock = LocalCluster(2), SystemClock()
    async with Gateway(
        cluster.director,
        cluster.handles.__getitem__,
        EventLog(clock),
        Hub(clock),
        clock,
        EngineSettings(),
    ) as gateway:
        machines = Cluster(
            lambda: gateway.table, gateway.director, cluster.handles.__getitem__, within_s=0.05
        )
        await gateway.add(StreamSpec("lobby", SourceSettings(SourceUrl.parse("demo://authentic"))))
        assert machines.worker_of("lobby") == "worker-1"
        assert set(await machines.metrics()) == {"worker-1", "worker-2"}
        cluster.handles["worker-2"].cut = True
        assert set(await machines.metrics()) == {"worker-1"}
        assert machines.missed == {"worker-2": 1}
        await machines.drain("worker-1", draining=True)
        async with asyncio.timeout(5):
            while not machines.table().workers["worker-1"].draining:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        with pytest.raises(WorkerUnknown):
            await machines.drain("worker-9", draining=True)
        await gateway.remove("lobby")


def test_only_workers_of_the_gateway_s_own_name_are_outdated_by_its_settings() -> None:
    played = PlayedMachines(table())
    machines = Cluster(lambda: None, played, PlayedWorker, made_of="new", named="worker")
    assert not machines.outdated(worker("worker-1"))
    assert machines.outdated(worker("worker-2", made_of="old"))
    assert not machines.outdated(worker("gpu-1", made_of="old"))
    unknown = Cluster(lambda: None, played, PlayedWorker)
    assert not unknown.outdated(worker("worker-2", made_of="old"))
