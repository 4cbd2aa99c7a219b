"""Program: workers of a Ray of its own with pretended GPUs, and what each of them sees.

    python -m tests.support.gpu_workers '{"gpus": 3, "shares": [1, 1, 0.5, 0.5, 0]}'

Ray hands out numbers of GPUs and sets what a process may see of CUDA; it needs none for that. A
process of its own, because Ray reads the token of its cluster when it is imported. Prints a JSON
list with one object per worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cli.cluster import labels_of
from cli.settings import load
from stream.cluster.ray_cluster import RayCluster, RayDirectorHandle, Whereabouts

READY_S = 90.0


@dataclass(frozen=True)
class Seeing:
    """A worker that tells what its process sees."""

    at: Whereabouts

    async def ask(self, service: str, method: str) -> dict[str, Any]:
        """Return it."""
        return {
            "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "labels": labels_of(load(None, {}), self.at),
            "pid": os.getpid(),
        }


@dataclass(frozen=True)
class Running:
    """It, in its own process."""

    worker: Seeing

    async def lines(self, position: int, wait_s: float) -> tuple[int, tuple[str, ...]]:
        """Return no log lines."""
        return position, ()


class SeeingPlan:
    """How such a worker is made."""

    def __call__(
        self, at: Whereabouts, director: RayDirectorHandle
    ) -> AbstractAsyncContextManager[Running]:
        """Return what runs it."""
        return _running(at)


@asynccontextmanager
async def _running(at: Whereabouts) -> AsyncIterator[Running]:
    yield Running(Seeing(at))


async def seen(ray: RayCluster, shares: Sequence[float]) -> list[dict[str, Any]]:
    """Return what each of some workers sees that ask for shares of a GPU."""
    handles = [
        ray.start_worker(f"worker-{number}", SeeingPlan(), gpu=share)
        for number, share in enumerate(shares, 1)
    ]
    for handle in handles:
        await handle.ready(READY_S)
    return [await handle.ask("", "") for handle in handles]


def main() -> None:
    """Start them, ask, and end."""
    wanted = json.loads(sys.argv[1])
    shares = wanted["shares"]
    ray = RayCluster("", len(shares), wanted["gpus"])
    try:
        sys.stdout.write(json.dumps(asyncio.run(seen(ray, shares))) + "\n")
    finally:
        ray.close()


if __name__ == "__main__":
    main()
