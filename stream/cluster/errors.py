"""Errors of clusters as a whole; those of single workers are in `stream.errors`.

StreamError
├── RayMissing          workers are wanted, and the extra is not installed
├── ClusterUnreachable  Ray cannot be started here, or does not answer
└── UpgradeStuck        a rolling upgrade does not get any further with a worker
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import StreamError


class RayMissing(StreamError):
    """Workers or a cluster are wanted, and Ray is not installed."""

    code = "ray_missing"
    title = "Ray is not installed"
    hint = "Install it with `pip install styleflow-live[cluster]`, or serve in one process"
    exit_code = 2

    def __str__(self) -> str:
        return "workers and clusters need the extra `cluster`, which is not installed"


@dataclass(eq=False)
class ClusterUnreachable(StreamError):
    """Ray cannot be started on this machine, or does not answer at an address."""

    code = "cluster_unreachable"
    title = "The cluster cannot be reached"
    hint = "Check the address, and that `ray start` runs on this machine too, with the same token"

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(eq=False)
class UpgradeStuck(StreamError):
    """A rolling upgrade does not get any further with a worker."""

    code = "upgrade_stuck"
    title = "The upgrade has stopped"
    hint = "Workers before it are done; see to this one, and run the same command again to go on"

    worker: str
    why: str

    def __str__(self) -> str:
        return f"{self.worker}: {self.why}"
