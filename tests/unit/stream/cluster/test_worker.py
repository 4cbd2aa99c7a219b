"""A worker over a real analyzer, whose threads run only when the test says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from stream.analyzer.analyzer import Analyzer
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import StreamSpec
from stream.clock import ManualClock
from stream.cluster.protocol import EPOCHS_PER_GENERATION, Told, WorkerCard, WorkerHandle
from stream.cluster.worker import StreamWorker
from stream.errors import OfferRefused, StreamUnknown, TooManyStreams
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds, block_of
from stream.events import (
    ConnectionState,
    EpochStarted,
    StreamAdded,
    StreamChanged,
    StreamRemoved,
    StreamReport,
)
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Hub
from stream.scheduling.degradation import Work
from stream.webrtc.calls import Publisher
from tests.support.media import encode, moving_pictures
from tests.support.offers import only
from tests.support.path import toy_pipeline
from tests.support.threads import SteppedThreads

ALLOWED = {
    "control": ("status", "models", "retune", "picture", "specs", "call"),
    "drift": ("sentences",),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "disc.mp4", moving_pictures(10), gop=5)


class Drift:
    """A part beside the analyzer."""

    def sentences(self, stream: str) -> tuple[str, ...]:
        """Return one."""
        return (f"{stream} is darker",)


class Rig:
    """A worker whose threads and clock are in the test's hands."""

    def __init__(self, clip: Path, max_streams: int = 4) -> None:
        clock = ManualClock(start=100.0)
        self.clip = clip
        self.threads = SteppedThreads()
        self.ids = EventIds()
        self.blocks = iter(range(5000, 6000))
        self.fenced: list[tuple[str, int]] = []
        self.taken: list[str] = []
        self.analyzer = Analyzer(
            toy_pipeline(),
            Hub(clock),
            Metrics(CollectorRegistry()),
            clock,
            AnalyzerSettings(max_streams=max_streams, stop_s=0.001),
            seed=1,
            events=EventLog(clock, self.ids),
            start_thread=self.threads,
        )
        card = WorkerCard(
            "worker-1", "here", 1, "0", {}, "cpu", max_streams, self.analyzer.models, "me"
        )
        self.worker = StreamWorker(
            card,
            self.analyzer,
            {"drift": Drift()},
            ALLOWED,
            lambda: "styleflow_streams 0.0\n",
            ids=self.ids,
            block=self.block,
            fence=lambda stream, generation: self.fenced.append((stream, generation)),
            taken=self.take,
            stored=self.store,
        )
        self.stored = asyncio.Event()
        self.stored.set()
        self.waits = asyncio.Event()

    async def store(self) -> None:
        """Wait for the store."""
        self.waits.set()
        await self.stored.wait()

    async def take(self, stream: str) -> None:
        """Note what was taken, and fail; the stream does not suffer from it."""
        self.taken.append(stream)
        raise OSError("no store")

    async def block(self) -> int:
        """Return the next block."""
        await asyncio.sleep(0)
        return next(self.blocks)

    def spec(self, stream: str) -> StreamSpec:
        """Return settings that play the clip as fast as possible."""
        source = SourceSettings(SourceUrl.parse(str(self.clip)), pace=Pace.FAST)
        return StreamSpec(stream, source)

    def play(self, stream: str) -> None:
        """Read a stream's source to its end."""
        self.threads.named(f"ingest-{stream}").run()
        self.analyzer.drain()

    async def told(self) -> tuple[Told, ...]:
        """Return the whole feed."""
        return (await self.worker.feed(0, "me", 0.0)).told


def handle(worker: StreamWorker) -> WorkerHandle:
    """Return a worker as others call it; the type checker has to agree."""
    return worker


async def test_a_stream_begins_at_its_generation(clip: Path) -> None:
    rig = Rig(clip)
    status = await handle(rig.worker).own(rig.spec("a"), 3)
    base = 3 * EPOCHS_PER_GENERATION
    assert (status.epoch, status.state) == (base, ConnectionState.CONNECTING)
    rig.play("a")
    told = await rig.told()
    assert isinstance(told[0].stamped.event, StreamAdded)
    assert {t.generation for t in told} == {3}
    epochs = {
        kind: {t.stamped.event.epoch for t in told if isinstance(t.stamped.event, kind)}
        for kind in (StreamAdded, EpochStarted, StreamChanged, StreamReport)
    }
    assert epochs[StreamAdded] == {base}
    assert epochs[EpochStarted] == {base + 1}
    assert epochs[StreamChanged] | epochs[StreamReport] == {base, base + 1}
    assert rig.fenced == [("a", 3)]
    await asyncio.sleep(0)
    assert rig.taken == ["a"]


async def test_beats_say_what_is_owned(clip: Path) -> None:
    rig = Rig(clip, max_streams=1)
    assert not (await rig.worker.beat()).refuses
    await rig.worker.own(rig.spec("a"), 3)
    beat = await rig.worker.beat()
    assert (beat.owned, beat.refuses, beat.sent) == ({"a": 3}, True, 1)
    with pytest.raises(TooManyStreams):
        await rig.worker.own(rig.spec("b"), 1)
    assert (await rig.worker.beat()).owned == {"a": 3}


async def test_a_stream_that_is_given_is_not_refused_for_overload(clip: Path) -> None:
    """It may have run elsewhere until now; the director refuses new ones."""
    rig = Rig(clip)
    for second in range(30):
        rig.analyzer.weigh(100.0 + second, Work(busy_s=float(second)))
    assert (await rig.worker.beat()).refuses
    await rig.worker.own(rig.spec("a"), 1)
    assert (await rig.worker.beat()).owned == {"a": 1}


async def test_a_stream_that_ended_by_itself_is_not_owned(clip: Path) -> None:
    rig = Rig(clip)
    await rig.worker.own(rig.spec("a"), 1)
    await rig.analyzer.remove("a")
    assert (await rig.worker.beat()).owned == {}
    await rig.worker.disown("a", 1, moved=False)


async def test_a_stream_that_moves_is_given_up_only_when_all_of_it_is_stored(clip: Path) -> None:
    """Else the next owner's first row bars what this one still has to write."""
    rig = Rig(clip)
    await rig.worker.own(rig.spec("a"), 1)
    rig.stored.clear()
    moving = asyncio.ensure_future(rig.worker.disown("a", 1, moved=True))
    await rig.waits.wait()
    assert (await rig.worker.beat()).owned == {}
    assert not moving.done()
    rig.stored.set()
    await moving


async def test_a_move_tells_nobody_and_a_removal_does(clip: Path) -> None:
    rig = Rig(clip)
    await rig.worker.own(rig.spec("a"), 1)
    await rig.worker.own(rig.spec("b"), 2)
    await rig.worker.disown("a", 1, moved=True)
    await rig.worker.disown("b", 2, moved=False)
    removed = [t for t in await rig.told() if isinstance(t.stamped.event, StreamRemoved)]
    assert [(t.generation, t.stamped.event.stream) for t in removed] == [(2, "b")]
    assert (await rig.worker.beat()).owned == {}
    assert (await rig.worker.feed(None, "", 0.0)).told == ()


async def test_a_newer_ownership_outlives_an_older_disowning(clip: Path) -> None:
    rig = Rig(clip)
    await rig.worker.own(rig.spec("a"), 5)
    await rig.worker.disown("a", 4, moved=True)
    assert (await rig.worker.beat()).owned == {"a": 5}


async def test_owning_again_restarts_only_for_a_higher_generation(clip: Path) -> None:
    rig = Rig(clip)
    await rig.worker.own(rig.spec("a"), 1)
    for generation, restarts in ((1, 1), (2, 2)):
        await rig.worker.own(rig.spec("a"), generation)
        added = [t for t in await rig.told() if isinstance(t.stamped.event, StreamAdded)]
        assert len(added) == restarts
    assert not any(isinstance(t.stamped.event, StreamRemoved) for t in await rig.told())


async def test_numbers_go_on_in_the_block_of_the_newest_generation(clip: Path) -> None:
    rig = Rig(clip)
    for stream, generation in (("a", 2000), ("b", 2002), ("c", 2001)):
        await rig.worker.own(rig.spec(stream), generation)
    numbers = [told.stamped.id for told in await rig.told()]
    assert numbers == [block_of(2000).start, block_of(2002).start, block_of(2002).start + 1]


async def test_a_stream_that_a_call_makes_has_a_generation_of_its_own(clip: Path) -> None:
    rig = Rig(clip)
    async with rig.analyzer:
        answer = await rig.worker.ask("control", "call", "guest", only("VP8"), Publisher())
        assert answer.session
        (told,) = (t for t in await rig.told() if isinstance(t.stamped.event, StreamAdded))
        assert (told.generation, told.stamped.event.epoch) == (5000, 5000 * EPOCHS_PER_GENERATION)
        assert (await rig.worker.beat()).owned == {"guest": 5000}
        with pytest.raises(OfferRefused):
            await rig.worker.ask("control", "call", "other", "v=0", Publisher())
        assert (await rig.worker.beat()).owned == {"guest": 5000}


async def test_a_worker_says_who_sends_and_who_holds_streams(clip: Path) -> None:
    rig = Rig(clip)
    async with rig.analyzer:
        await rig.worker.own(rig.spec("a"), 2)
        assert (await rig.worker.beat()).called == frozenset()
        answer = await rig.worker.ask("control", "call", "guest", only("VP8"), Publisher("ann"))
        beat = await rig.worker.beat()
        assert (beat.called, beat.holders) == ({"guest"}, {"guest": "ann"})
        await rig.analyzer.hang_up("guest", answer.session, Publisher("ann"))
        beat = await rig.worker.beat()
        assert (beat.called, beat.holders) == (frozenset(), {"guest": "ann"})  # as it created it


async def test_a_stream_s_epochs_go_on_in_its_generation_after_a_change(clip: Path) -> None:
    rig = Rig(clip)
    await rig.worker.own(rig.spec("a"), 2)
    other = StreamSpec("a", SourceSettings(SourceUrl.parse("demo://authentic")))
    assert (await rig.analyzer.change(other)).epoch == 2 * EPOCHS_PER_GENERATION


async def test_parts_are_asked_by_a_closed_list(clip: Path) -> None:
    rig = Rig(clip)
    await rig.worker.own(rig.spec("a"), 1)
    ask = rig.worker.ask
    assert (await ask("control", "status", "a")).id == "a"
    assert await ask("control", "models") == rig.analyzer.models
    assert await ask("control", "picture", "a", 320) is None
    assert await ask("control", "specs") == (rig.spec("a"),)
    assert await ask("drift", "sentences", stream="a") == ("a is darker",)
    with pytest.raises(StreamUnknown):
        await ask("control", "status", "b")
    for service, method in (("control", "__aexit__"), ("control", "remove"), ("alerts", "tick")):
        with pytest.raises(LookupError, match="answers no"):
            await ask(service, method)


async def test_it_says_who_it_is_and_its_figures(clip: Path) -> None:
    rig = Rig(clip)
    assert (await rig.worker.card()).name == "worker-1"
    assert await rig.worker.metrics() == "styleflow_streams 0.0\n"


async def test_orders_for_one_stream_wait_for_each_other(clip: Path) -> None:
    rig = Rig(clip)
    orders: list[Any] = [
        rig.worker.own(rig.spec("a"), 1),
        rig.worker.disown("a", 1, moved=True),
        rig.worker.own(rig.spec("a"), 2),
    ]
    await asyncio.gather(*orders)
    assert (await rig.worker.beat()).owned == {"a": 2}
