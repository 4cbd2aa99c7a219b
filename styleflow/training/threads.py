"""Threads of training whose bits must repeat.

Sums of convolutions and matrix products are rounded in another order by another number of threads.
Whoever trains again must get the same bits, whatever the machine or `OMP_NUM_THREADS` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_THREADS = 2  # of the runs that made what ships


@contextmanager
def always_as_many_threads() -> Iterator[None]:
    """Let torch compute on two threads for a while, whatever was set."""
    before = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)
