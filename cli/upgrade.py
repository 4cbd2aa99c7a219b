"""`styleflow cluster upgrade`: a rolling upgrade of a Ray cluster's workers, told step by step."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from contextlib import closing, redirect_stdout
from dataclasses import replace
from typing import Any

from rich.console import Console

from cli import logs
from cli.cluster import ControlPlan, WorkerPlan, digest, on_gpu
from cli.settings import Settings
from cli.validation import validate
from stream.clock import SystemClock
from stream.cluster.ray_cluster import RayCluster
from stream.cluster.upgrade import Phase, Report, Step, Upgrade, UpgradeSettings


class RayCrew:
    """Replaces actors of a Ray cluster; implements `stream.cluster.upgrade.Crew`.

    Args:
        ray: the cluster.
        settings: that the new actors are started with.
        untrained: give detectors without weights random ones.
    """

    def __init__(self, ray: RayCluster, settings: Settings, *, untrained: bool) -> None:
        self._ray = ray
        self._settings = settings
        self._plan = WorkerPlan(settings, 1, untrained)

    async def replace_director(self) -> None:
        """End the director's process and start another one."""
        await self._ray.replace_director(ControlPlan(self._settings))

    async def replace(self, worker: str) -> None:
        """End a worker's process and start another one in its place."""
        await self._ray.replace_worker(worker, self._plan, gpu=float(on_gpu(self._settings)))


class Teller:
    """Writes what an upgrade does, a line whenever that is something else.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""

    def __call__(self, step: Step) -> None:
        """Tell a step."""
        text = words(step)
        if text != self._said:
            self._said = text
            self._console.print(text, markup=False, highlight=False)


def words(step: Step) -> str:
    """Return a step in words."""
    if not step.worker:
        return "director: " + ("replaced" if step.phase is Phase.DONE else "being replaced")
    match step.phase:
        case Phase.PASSED_OVER:
            return f"{step.worker}: up to date"
        case Phase.DRAINING:
            left = f"{step.streams} to move" if step.streams else "empty"
            calls = f", {step.called} of them wait for calls to end" if step.called else ""
            what = f"draining, {left}{calls}"
        case Phase.RESTARTING:
            what = "starting with the present settings"
        case Phase.FILLING:
            what = f"given {step.streams} of the others' streams"
        case Phase.DONE:
            what = "done"
    return f"{step.worker} ({step.number} of {step.of}): {what}"


def run(
    settings: Settings,
    console: Console,
    wanted: Mapping[str, Any],
    *,
    untrained: bool = False,
    origin: str = "configuration",
) -> None:
    """Make a round.

    Args:
        settings: that workers are to be started with.
        console: where it is told.
        wanted: fields of `UpgradeSettings` that are not left as they are.
        untrained: give detectors without weights random ones.
        origin: file that the settings come from.

    Raises:
        ConfigInvalid: what `config check` refuses, too.
        RayMissing: the extra is not installed.
        ClusterUnreachable: nobody answers at the address.
        UpgradeStuck: see `Upgrade.run`.
    """
    validate(settings, origin, untrained=untrained)
    logs.configure("warning", settings.log.format)
    made_of = digest(settings, untrained=untrained)
    how = replace(UpgradeSettings(made_of, digest(settings), settings.cluster.name), **wanted)
    clock = SystemClock()
    with redirect_stdout(io.StringIO()), closing(RayCluster(settings.cluster.address)) as ray:
        crew = RayCrew(ray, settings, untrained=untrained)
        upgrade = Upgrade(ray.director, crew, how, clock, Teller(console))
        try:
            report = asyncio.run(upgrade.run())
        except KeyboardInterrupt:
            console.print("Interrupted. The same command goes on where this one was.")
            raise
    console.print(summary(report), markup=False, highlight=False)


def summary(report: Report) -> str:
    """Return what an upgrade did, in a line."""
    if not report.replaced:
        return "Every worker is up to date."
    names = ", ".join(report.replaced)
    return f"Replaced: {names}. Streams were moved {report.moves} times."
