"""Machines whose director and workers are played by the test."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from stream.analyzer.streams import StreamSpec
from stream.cluster.machines import Cluster
from stream.cluster.protocol import Owned, Table, WorkerCard, WorkerView
from stream.errors import StreamError, WorkerUnknown
from stream.ingest.source import SourceSettings, SourceUrl
from tests.support.wire import UNTRAINED


def worker(
    name: str, *streams: str, node: str = "north-1", version: str = "1.0", made_of: str = "new"
) -> WorkerView:
    """Return a worker that is well."""
    card = WorkerCard(
        name=name,
        node=node,
        pid=4711,
        version=version,
        labels={"site": "north"},
        device="cpu",
        max_streams=16,
        models=(UNTRAINED,),
        incarnation=f"{name}-first",
        made_of=made_of,
    )
    return WorkerView(
        card=card,
        busy=0.25,
        degradation=0,
        full=False,
        draining=False,
        alive=True,
        quiet_s=0.2,
        streams=streams,
        details={"device": "answers"},
    )


def table(*workers: WorkerView, waiting: tuple[str, ...] = ()) -> Table:
    """Return a table of workers, their streams, and streams that nobody has."""
    owners = {stream: view.card.name for view in workers for stream in view.streams}
    streams = {
        stream: Owned(
            StreamSpec(stream, SourceSettings(SourceUrl.parse("demo://authentic"))),
            1,
            owner,
            "" if owner else "every worker is full",
        )
        for stream, owner in {**owners, **dict.fromkeys(waiting, "")}.items()
    }
    counts = {"moves": 3, "deaths": 1, "adoptions": 0, "refusals": 2, "inherited": 4}
    return Table(1, {view.card.name: view for view in workers}, streams, counts)


class PlayedWorker:
    """Answers with the text that the test gives; raises an error, or waits, where it gives that."""

    def __init__(self, text: str = "", error: StreamError | None = None) -> None:
        self.text = text
        self.error = error
        self.hangs = False

    async def metrics(self) -> str:
        """Return the text."""
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.text


class PlayedMachines(Cluster):
    """A cluster whose table is what the test says, and whose drained workers stay as they are.

    Attributes:
        now: what the director says.
        workers: who answers for its figures, by name.
        drained: who was drained, or taken back, in order.
        forced: who was drained by force.
    """

    def __init__(self, now: Table, within_s: float = 30.0) -> None:
        self.now = now
        self.workers = {name: PlayedWorker() for name in now.workers}
        self.drained: list[tuple[str, bool]] = []
        self.forced: list[str] = []
        super().__init__(lambda: self.now, self, lambda name: self.workers[name], within_s, "new")

    async def drain(self, worker: str, *, draining: bool, force: bool = False) -> None:
        """Mark a worker, as the director does before it moves anything."""
        if worker not in self.now.workers:
            raise WorkerUnknown(worker)
        self.drained.append((worker, draining))
        self.forced += [worker] if force else []
        self.put(replace(self.now.workers[worker], draining=draining))

    def put(self, view: WorkerView) -> None:
        """Have a worker be as it is given."""
        workers = {**self.now.workers, view.card.name: view}
        self.now = replace(self.now, version=self.now.version + 1, workers=workers)


def two_machines() -> PlayedMachines:
    """Return five workers on two machines: one busy, one drained, one dead, one left behind."""
    cams = [f"cam-{n + 1}" for n in range(12)]
    first = replace(worker("worker-1", *cams[:4]), busy=0.58)
    drained = replace(worker("worker-2", *cams[4:6]), draining=True)
    busy = replace(worker("worker-3", *cams[6:10], node="north-2"), busy=0.93, degradation=1)
    dead = replace(worker("worker-4", node="north-2"), alive=False, quiet_s=14.0)
    old = replace(worker("worker-5", cams[10], node="north-2", version="0.9"), busy=0.12)
    now = table(first, drained, replace(busy, full=True), dead, old)
    lost = replace(table(waiting=(cams[11],)).streams[cams[11]], waiting="no worker has site=south")
    return PlayedMachines(replace(now, streams={**now.streams, cams[11]: lost}))
