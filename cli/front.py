"""Front: what the web of a serving process is made of, whether streams run in it or elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from cli.memory import Memory, restored
from cli.settings import Settings
from cli.station import station
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.remembered_streams import RememberedStreams
from stream.analyzer.streams import StreamSpec
from stream.clock import Clock
from stream.cluster.machines import Load, OneProcess
from stream.monitoring.metrics import Metrics
from stream.publish.history import StreamHistories
from stream.publish.hub import Hub
from styleflow.cards import ModelCard
from web.app import Control

Loading = Callable[[str], AbstractContextManager[object]]
"""Shows people what is waited for."""


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """What the web shows and steers.

    Attributes:
        control: streams and calls.
        hub: tells subscribers.
        histories: the last minutes of every stream.
        metrics: the figures of this process.
        memory: the store.
        editor: through what the API changes streams, if they are remembered.
        detectors: returns the models that score streams.
        services: other parts, as `create_app` calls them.
        streams: starts the configured and stored streams, and is left before everything else.
    """

    control: Control
    hub: Hub
    histories: StreamHistories
    metrics: Metrics
    memory: Memory
    editor: RememberedStreams | None
    detectors: Callable[[], Sequence[ModelCard]]
    services: Mapping[str, Any]
    streams: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


MakeFront = Callable[..., AbstractAsyncContextManager[Front]]
"""Makes a front of the arguments of `alone`."""


@asynccontextmanager
async def alone(
    settings: Settings,
    specs: Sequence[StreamSpec],
    clock: Clock,
    loading: Loading,
    *,
    untrained: bool,
    remember: bool,
) -> AsyncIterator[Front]:
    """Run everything in this process.

    Args:
        settings: of all parts.
        specs: streams of the configuration; `Front.streams` starts them.
        clock: where time comes from.
        loading: entered while the models are loaded.
        untrained: give detectors without weights random ones.
        remember: start stored streams again, and store those that are added.
    """
    histories = StreamHistories()
    running = station(
        settings,
        clock,
        untrained=untrained,
        sinks=(histories,),
        loading=lambda: loading("loading the models"),
    )
    async with running as parts:
        analyzer, memory = parts.analyzer, parts.memory
        configured = [spec.id for spec in specs]
        editor = memory.editor(analyzer, clock, configured) if remember else None

        @asynccontextmanager
        async def streams() -> AsyncIterator[None]:
            for spec in specs:
                await analyzer.add(spec)
            async with restored(editor, clock):
                yield

        yield Front(
            control=analyzer,
            hub=parts.hub,
            histories=histories,
            metrics=parts.metrics,
            memory=memory,
            editor=editor,
            detectors=lambda: analyzer.models,
            services={
                "incidents": parts.incidents,
                "evidence": parts.evidence,
                "explained": parts.explained,
                "alerting": parts.alerts,
                "baselines": parts.baselines,
                "drift": parts.drift,
                "canaries": parts.canaries,
                "challenges": parts.challenges,
                "machines": _this_process(parts.analyzer, settings),
            },
            streams=streams,
        )


def _this_process(analyzer: Analyzer, settings: Settings) -> OneProcess:
    return OneProcess(
        analyzer,
        lambda: analyzer.models,
        version("styleflow-live"),
        settings.model.device,
        settings.analyzer.max_streams,
        lambda: Load(analyzer.degradation.busy, analyzer.degradation.level),
    )
