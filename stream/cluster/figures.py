"""Figures of a cluster, under the names that Prometheus knows. Read when it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum

from stream.cluster.protocol import Table, WorkerView
from stream.cluster.relay import RelayCounts
from stream.monitoring.metrics import Figure

_COUNTS = {
    "moves": "stream_moves_total",
    "deaths": "worker_deaths_total",
    "adoptions": "streams_adopted_total",
    "refusals": "placements_refused_total",
    "inherited": "estate_inherited_total",
}
"""Metrics by the director's own words for what it has done."""


class WorkerState(Enum):
    """What may be expected of a worker; each is in one state."""

    SERVING = "serving"
    FULL = "full"
    DRAINING = "draining"
    GONE = "gone"

    @classmethod
    def of(cls, worker: WorkerView) -> WorkerState:
        """Return a worker's state; that it is gone outweighs all, then that it is drained."""
        if not worker.alive:
            return cls.GONE
        if worker.draining:
            return cls.DRAINING
        return cls.FULL if worker.full else cls.SERVING


def cluster_figures(table: Table, missed: Mapping[str, int]) -> Iterator[Figure]:
    """Yield how many workers there are, and what the director has done with them.

    Args:
        table: what the director told last.
        missed: by worker, how often its metrics did not come in time.
    """
    states = Counter(WorkerState.of(worker) for worker in table.workers.values())
    for state in WorkerState:
        yield Figure("workers", states[state], (state.value,))
    waiting = sum(1 for owned in table.streams.values() if not owned.worker)
    yield Figure("streams_waiting", waiting)
    for count, name in _COUNTS.items():
        yield Figure(name, table.counts.get(count, 0))
    for worker in sorted({*table.workers, *missed}):
        yield Figure("worker_metrics_missed_total", missed.get(worker, 0), (worker,))


def relay_figures(done: RelayCounts, fenced: int) -> Iterator[Figure]:
    """Yield which events of workers a gateway passed on, and which it did not.

    Args:
        done: what its relay has done.
        fenced: events of streams that had another owner by then.
    """
    yield Figure("relay_events_total", done.relayed)
    yield Figure("relay_events_lost_total", done.lost)
    yield Figure("relay_events_strayed_total", done.strays)
    yield Figure("relay_failures_total", done.failures)
    yield Figure("fenced_events_total", fenced)
