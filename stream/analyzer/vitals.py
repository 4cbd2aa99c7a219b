"""Vitals of an analyzer: its health and its figures, read from the parts that know them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stream.analyzer.device_worker import DeviceWorker
from stream.analyzer.outbox import Outbox
from stream.analyzer.running_stream import RunningStream
from stream.analyzer.streams import Health
from stream.canary import is_canary
from stream.clock import Clock
from stream.device.device import Device
from stream.explain.pictures import Pictures
from stream.ingest import sockets
from stream.monitoring import figures
from stream.monitoring.metrics import Figure
from stream.problems import DEGRADATION_WORDS
from stream.publish.hub import Hub
from stream.scheduling.degradation import Degradation
from stream.second_look.second_looks import SecondLooks
from stream.webrtc.sessions import Sessions, StreamTotals
from styleflow.graph_pool import process_pool


@dataclass(slots=True, eq=False)
class Vitals:
    """Reads the parts of one analyzer; on the event loop.

    Attributes:
        streams: the running ones, by id.
        worker: the device worker.
        devices: one for each detector.
        degradation: how much work is left out.
        outbox: events on their way to the loop.
        sessions: WebRTC peers.
        hub: subscribers.
        pictures: kept for people.
        clock: where time comes from.
        second: a heavier detector beside the others.
        abandoned: threads of removed streams that were given up.
        remarks: return how parts beside the analyzer are doing, a short sentence each.
    """

    streams: Mapping[str, RunningStream]
    worker: DeviceWorker
    devices: Sequence[Device]
    degradation: Degradation
    outbox: Outbox
    sessions: Sessions
    hub: Hub
    pictures: Pictures
    clock: Clock
    second: SecondLooks | None = None
    abandoned: int = 0
    remarks: list[Callable[[], Mapping[str, str]]] = field(default_factory=list)

    def health(self, now: float) -> Health:
        """Return whether the process is live and ready at monotonic time `now`."""
        turns, answers = self.worker.turns(now), self.worker.healthy
        streams, level = list(self._watched().values()), self.degradation.level
        up = sum(stream.is_live for stream in streams)
        abandoned = self.abandoned + sum(stream.worker.abandoned for stream in streams)
        used = (f"{d.stats.used} of {d.stats.slots} in use" for d in self.devices)
        busy = f"device thread {self.degradation.busy:.0%} busy"
        return Health(
            live=turns and answers,
            ready=turns and answers,
            details={
                "device_thread": "turning"
                if turns
                else f"silent for {self.worker.silence_s(now):.0f} s",
                "device": "answers" if answers else "fails; restart this process",
                "streams": f"{up} of {len(streams)} live",
                "slots": "; ".join(used),
                "overload": f"{DEGRADATION_WORDS[level]} ({level.word}), {busy}",
                "calls": f"{len(self.sessions)} of {self.sessions.settings.max_peers}",
                "events_dropped": str(self.outbox.dropped),
                "threads_abandoned": str(abandoned),
                **{name: said for remark in self.remarks for name, said in remark().items()},
            },
        )

    @property
    def slots_full(self) -> bool:
        """Whether a detector has no slot left for a further face."""
        return any(device.stats.used >= device.stats.slots for device in self.devices)

    def _watched(self) -> dict[str, RunningStream]:
        """Return the streams that somebody wants watched: all but canaries."""
        return {id: stream for id, stream in self.streams.items() if not is_canary(id)}

    def figures(self) -> Iterator[Figure]:
        """Yield what parts count for themselves; read at every scrape."""
        now, utc = self.clock.monotonic(), self.clock.utc()
        watched = self._watched()
        yield Figure("streams", len(watched))
        for id, stream in watched.items():
            counters = stream.worker.counters
            yield from figures.ingest_figures(id, counters)
            yield from figures.age_figures(id, counters.newest, now, utc)
            yield from figures.dropped_figures(id, self.worker.dropped(id))
            called = StreamTotals() if stream.spec.source.url.is_call else None
            yield from figures.call_figures(id, self.sessions.totals(id) or called)
        yield from figures.socket_figures(sockets.ended())
        yield from figures.device_figures(self.worker.batching, self.devices)
        yield from figures.graph_figures(process_pool().counts)
        yield from figures.degradation_figures(self.degradation)
        if self.second is not None:
            yield from figures.second_look_figures(self.second)
        yield from figures.viewer_figures(self.hub, self.pictures)
        yield from figures.session_figures(self.sessions)
