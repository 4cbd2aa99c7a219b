"""Work on many things in several processes: the one place where `styleflow` starts any.

Only a few jobs are under way at a time, so that neither jobs nor results pile up. An interrupt
lets every process end the job it has begun, starts no other, and leaves no process behind.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.synchronize import Event
from typing import TypeVar

from styleflow.errors import WorkersLost

Job = TypeVar("Job")
Result = TypeVar("Result")

_AHEAD = 2  # jobs per process that are handed over before a result is awaited


def in_processes(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int,
    settle: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Yield the result of every job, in the jobs' order.

    Args:
        work: what is done to each; it, the jobs and the results must be picklable.
        jobs: what it is done to.
        processes: how many work at a time; 1 works right here and starts none.
        settle: called once in every new process, for example to make it one thread.

    Raises:
        WorkersLost: a process ended on its own, as they do when memory runs out.
    """
    if processes <= 1 or len(jobs) <= 1:
        yield from map(work, jobs)
        return
    # Forked processes would inherit locks of other libraries' threads in whatever state.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, _begin, (stop, settle))
    try:
        yield from _in_order(pool, partial(_unless_stopped, work), jobs, processes * _AHEAD)
    except BrokenProcessPool as error:
        raise WorkersLost(processes) from error
    finally:
        stop.set()  # the pool has handed over more jobs than have begun, and cannot call them back
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, work: Callable[[Job], Result], jobs: Sequence[Job], ahead: int
) -> Iterator[Result]:
    under_way: deque[Future[Result]] = deque()
    for job in jobs:
        under_way.append(pool.submit(work, job))
        if len(under_way) >= ahead:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


_stop: Event | None = None
"""Set in a working process when its parent wants no more results."""


def _begin(stop: Event, settle: Callable[[], None] | None) -> None:
    """Make a new process leave interrupts to its parent, which then says when to stop."""
    global _stop  # a pool's initializer has no other way to its jobs
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if settle is not None:
        settle()


def _unless_stopped(work: Callable[[Job], Result], job: Job) -> Result:
    if _stop is not None and _stop.is_set():
        raise KeyboardInterrupt
    return work(job)
