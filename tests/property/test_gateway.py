"""The law of two owners, as a subscriber sees it: after the new one's first score, no old one's."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.analyzer.streams import StreamSpec
from stream.cluster.gateway import Gateway
from stream.cluster.protocol import EPOCHS_PER_GENERATION
from stream.engine.settings import EngineSettings
from stream.event_log.event_log import EventLog, StampedEvent
from stream.ingest.source import SourceSettings, SourceUrl
from stream.publish.hub import Filter, Hub
from tests.support.cluster import LocalCluster
from tests.support.wire import score

SPEC = StreamSpec("a", SourceSettings(SourceUrl.parse("demo://authentic")))
OLD, NEW = "worker-1", "worker-2"

STEPS = ("old", "new", "pause", "resume", "cut", "mend", "bury", "wake", "rest", "rest")
"""The owners speak; the old one is stopped, goes on, is cut off, is within reach again, is taken
for dead, is taken for alive; time passes."""


class Scene:
    """A gateway over two workers, of which the first owns a stream and may lose it."""

    def __init__(self) -> None:
        self.cluster = LocalCluster(2)
        clock = self.cluster.clock
        self.hub = Hub(clock)
        self.told: list[int] = []
        self.follower = self.hub.subscribe(Filter(), lambda: None)
        events = EventLog(clock)
        self.gateway = Gateway(
            self.cluster.director,
            self.cluster.handles.__getitem__,
            events,
            self.hub,
            clock,
            EngineSettings(),
        )
        self.generations: list[int] = []
        events.attach(self)

    def accept(self, stamped: StampedEvent) -> None:
        """Keep the generation of every event that is told."""
        self.told.append(stamped.event.epoch // EPOCHS_PER_GENERATION)

    @property
    def has_moved(self) -> bool:
        """Whether the second worker owns the stream."""
        return self.cluster.director.owned["a"].worker == NEW

    async def step(self, what: str) -> None:
        """Do one of `STEPS`."""
        cluster, old = self.cluster, self.cluster.workers[OLD]
        if what == "old" and "a" in (await old.worker.beat()).owned:
            old.say(score("a", value=0.1))
        elif what == "new" and self.has_moved:
            cluster.workers[NEW].say(score("a", value=0.9))
        elif what == "pause":
            cluster.pause(OLD)
        elif what == "resume":
            cluster.resume(OLD)
        elif what in ("cut", "mend"):
            cluster.cut_off(OLD, cut=what == "cut")
        elif what == "bury" and not self.has_moved:
            await cluster.director.bury(OLD)
        elif what == "wake":
            cluster.director.alive[OLD] = True
            await cluster.director.changed()
        elif what == "rest":
            await asyncio.sleep(0.01)

    async def play(self, steps: list[str]) -> None:
        """Do all steps, and then what brings everybody back; collect the generations of scores."""
        async with self.gateway:
            await self.gateway.add(SPEC)
            self.follower = self.hub.subscribe(Filter(), lambda: None)
            for what in (*steps, "bury", "new", "resume", "mend", "wake", "old", "rest", "new"):
                await self.step(what)
                self.read()
            with suppress(TimeoutError):
                async with asyncio.timeout(30.0):
                    while not self.generations or self.generations[-1] < 5001:
                        await asyncio.sleep(0.01)
                        self.read()

    def read(self) -> None:
        """Take what the subscriber gets; one that is asked to connect again does so."""
        if self.follower.cut is not None:
            self.follower = self.hub.subscribe(Filter(), lambda: None)
        while (text := self.follower.take(self.cluster.clock.monotonic() + 9)) is not None:
            message = json.loads(text)
            if message["type"] == "score":
                self.generations.append(message["epoch"] // EPOCHS_PER_GENERATION)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(STEPS), max_size=25))
def test_no_score_of_the_old_owner_is_seen_after_the_first_of_the_new_one(
    steps: list[str],
) -> None:
    scene = Scene()
    asyncio.run(scene.play(steps))
    seen = scene.generations
    assert seen == sorted(seen)
    assert seen[-1:] == [5001]
    assert scene.told == sorted(scene.told)
