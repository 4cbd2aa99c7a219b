"""Metrics of this process and of all workers in one text; a worker's series say whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from stream.cluster.machines import Machines


class Part(StrEnum):
    """Whose metrics are told; several gateways tell the same of workers."""

    ALL = "all"
    GATEWAY = "gateway"
    WORKERS = "workers"


async def exposition(
    registry: CollectorRegistry, machines: Machines, part: Part = Part.ALL
) -> bytes:
    """Return metrics in Prometheus's text format.

    A worker whose text is not in that format is left out and counted.

    Args:
        registry: this process's own; its series get no label.
        machines: have the workers' texts, of those that answer in time.
        part: whose are told.
    """
    texts = await machines.metrics() if part is not Part.GATEWAY else {}
    if not texts and part is not Part.WORKERS:
        return generate_latest(registry)
    theirs, odd = await asyncio.to_thread(_parsed, texts)
    for worker, why in odd.items():
        machines.miss(worker, why)
    ours = registry.collect() if part is Part.ALL else ()
    both = [*ours, *theirs]  # ours on the event loop, whose parts they count
    return await asyncio.to_thread(lambda: generate_latest(_Families(both)))


def _parsed(texts: Mapping[str, str]) -> tuple[list[Metric], dict[str, str]]:
    """Return the families of all workers, and why some workers have none."""
    families: list[Metric] = []
    odd: dict[str, str] = {}
    for worker, text in texts.items():
        try:
            families.extend(list(labelled(text, worker)))
        except ValueError as error:
            odd[worker] = str(error)
    return families, odd


def labelled(text: str, worker: str) -> Iterator[Metric]:
    """Yield the families of a worker's metrics, every series with its name.

    Args:
        text: in Prometheus's text format.
        worker: its name.

    Raises:
        ValueError: it is not in that format.
    """
    for family in text_string_to_metric_families(text):
        made = Metric(family.name, family.documentation, family.type)
        for sample in family.samples:
            made.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
        yield made


def together(families: Iterable[Metric]) -> Iterator[Metric]:
    """Yield every family once, with the series of all that have its name."""
    found: dict[str, Metric] = {}
    for family in families:
        known = found.setdefault(family.name, family)
        if known is not family:
            known.samples.extend(family.samples)
    yield from found.values()


class _Families(Collector):
    """Families that several processes have given."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield every family once."""
        return together(self._families)
