"""Metrics of several processes in one text."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.machines import PlayedMachines, table, worker
from web.exposition import Part, exposition


def registry(streams: int, *names: str) -> CollectorRegistry:
    """Return the metrics of a process."""
    made = CollectorRegistry()
    Gauge("styleflow_streams", "Streams.", registry=made).set(streams)
    counter = Counter("styleflow_scores", "Scores.", ["stream"], registry=made)
    seconds = Histogram("styleflow_seconds", "Time.", registry=made, buckets=(1, 2))
    for name in names:
        counter.labels(name).inc(5)
        seconds.observe(1.5)
    return made


def text(streams: int, *names: str) -> str:
    """Return what a process says."""
    return generate_latest(registry(streams, *names)).decode()


async def test_a_worker_s_series_carry_its_name_and_ours_do_not() -> None:
    machines = PlayedMachines(table(worker("worker-1"), worker("worker-2")))
    machines.workers["worker-1"].text = text(1, 'odd"name\\')
    machines.workers["worker-2"].text = text(2, "lobby")
    said = (await exposition(registry(0), machines)).decode()
    families = {each.name: each for each in text_string_to_metric_families(said)}
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert found["styleflow_streams",] == 0
    assert found["styleflow_streams", ("worker", "worker-1")] == 1
    assert found["styleflow_streams", ("worker", "worker-2")] == 2
    odd = (("stream", 'odd"name\\'), ("worker", "worker-1"))
    assert found["styleflow_scores_total", *odd] == 5
    assert found["styleflow_seconds_bucket", ("le", "2.0"), ("worker", "worker-2")] == 1
    assert said.count("# TYPE styleflow_streams gauge") == 1
    assert families["styleflow_scores"].type == "counter"


async def test_without_workers_the_text_is_what_it_was() -> None:
    ours = registry(3, "lobby")
    assert await exposition(ours, PlayedMachines(table())) == generate_latest(ours)


async def test_a_worker_that_talks_nonsense_is_left_out_and_counted() -> None:
    machines = PlayedMachines(table(worker("worker-1"), worker("worker-2")))
    machines.workers["worker-1"].text = "nonsense {{{ x"
    machines.workers["worker-2"].text = text(2)
    said = (await exposition(registry(0), machines)).decode()
    assert 'worker="worker-2"' in said
    assert 'worker="worker-1"' not in said
    assert machines.missed == {"worker-1": 1}


async def test_several_gateways_count_a_worker_once_where_workers_are_scraped_apart() -> None:
    """Each of two gateways tells its own series, and any one of them those of all workers."""
    machines = PlayedMachines(table(worker("worker-1")))
    machines.workers["worker-1"].text = text(1, "lobby")
    gateways = [registry(0), registry(0)]
    own = [(await exposition(each, machines, Part.GATEWAY)).decode() for each in gateways]
    theirs = (await exposition(gateways[0], machines, Part.WORKERS)).decode()
    told = [sample for part in (*own, theirs) for sample in samples(part)]
    assert told.count(("styleflow_scores_total", "lobby", "worker-1")) == 1
    assert told.count(("styleflow_streams", "", "")) == 2


def samples(said: str) -> list[tuple[str, str, str]]:
    """Return which series a text has, by name, stream and worker."""
    return [
        (sample.name, sample.labels.get("stream", ""), sample.labels.get("worker", ""))
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    ]
