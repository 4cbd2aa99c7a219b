"""Services of workers, as a gateway asks for them: a closed table, and an object for each.

`ASKABLE` is everything that a worker answers. The objects have the methods that the web calls of
the parts of one process, and know whom to ask: the owner of a stream, every worker, or any. What is
in the store they read there themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stream.alerts.alerts import ChannelStatus, RuleStatus, TrialResult
from stream.alerts.outbox import ChannelCounts
from stream.alerts.settings import Rule
from stream.baseline.baseline import Baseline
from stream.baseline.book import Kept
from stream.baseline.making import Said
from stream.baseline.service import Stretch
from stream.baseline.settings import BaselineSettings
from stream.canaries.records import Report, State
from stream.cluster.gateway import Gateway
from stream.compliance import Challenge, Task
from stream.drift.watch import DriftState
from stream.errors import IncidentUnknown, WorkerGone
from stream.evidence.explained import ExplainedMoment
from stream.incident import Incident, Snooze

ASKABLE: Mapping[str, frozenset[str]] = {
    "control": frozenset(
        (
            *("specs", "status", "thresholds", "retune", "change", "picture", "pointers"),
            *("call", "etag", "trickle", "hang_up"),
        )
    ),
    "incidents": frozenset(("find", "change", "snoozes", "snooze", "wake", "heed")),
    "explained": frozenset(("find",)),
    "baselines": frozenset(
        ("all", "get", "advice", "recent_minutes", "add_recent", "add_stretch", "remove", "look")
    ),
    "drift": frozenset(("state",)),
    "canaries": frozenset(("report", "age_s", "learn_anew")),
    "challenges": frozenset(("ask", "of", "has_page", "find")),
    "alerts": frozenset(
        ("rules", "channels", "put_rule", "remove_rule", "test", "reread", "inherit")
    ),
    "evidence": frozenset(("inherit",)),
}
"""Methods and values that workers answer, by service."""

GRAVEST = (
    State.FAILING,
    State.LATE,
    State.DOUBTFUL,
    State.LEARNING,
    State.WAITING,
    State.OK,
    State.OFF,
)
"""States of canaries; one worker's trouble is everybody's."""


class _Asked:
    """A service of workers."""

    service: str

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def _owner(self, stream: str, method: str, *args: Any) -> Any:
        """Ask a stream's owner. Raises StreamUnknown or WorkerGone, and what the method raises."""
        return await self._gateway.ask_owner(stream, self.service, method, *args)

    async def _first(self, method: str, *args: Any) -> tuple[str, Any]:
        """Ask the first worker that answers; return its name, too.

        Raises WorkerGone, and what the method raises.
        """
        for name in self._gateway.alive:
            try:
                return name, await self._gateway.ask(name, self.service, method, *args)
            except WorkerGone:
                continue
        raise WorkerGone("any")

    async def _any(self, method: str, *args: Any) -> Any:
        """Ask the first worker that answers. Raises WorkerGone, and what the method raises."""
        return (await self._first(method, *args))[1]

    async def _owner_or_any(self, stream: str, method: str, *args: Any) -> Any:
        """Ask a stream's owner, or any worker about a stream that is gone."""
        known = self._gateway.table is not None and stream in self._gateway.table.streams
        return await (self._owner(stream, method, *args) if known else self._any(method, *args))

    async def _all(self, method: str, *args: Any) -> dict[str, Any]:
        """Ask every worker that lives; return the answers by its name."""
        return await self._gateway.ask_all(self.service, method, *args)


class SnoozesAndChanges(_Asked):
    """What operators do to incidents: their owner does it, and writes it.

    Reading is `stream.cluster.incidents`, which has no need to ask.
    """

    service = "incidents"

    async def change(self, incident: Incident, change: Any, by: str) -> Incident:
        """Change an incident where its stream is, or anywhere if that is gone."""
        changed: Incident = await self._owner_or_any(
            incident.stream, "change", incident.id, change, by
        )
        return changed

    async def find(self, name: str) -> Incident:
        """Return an incident that some worker has in memory. Raises IncidentUnknown."""
        for worker in self._gateway.alive:
            try:
                found: Incident = await self._gateway.ask(worker, self.service, "find", name)
            except (IncidentUnknown, WorkerGone):
                continue
            return found
        raise IncidentUnknown(name)

    async def snoozes(self) -> tuple[Snooze, ...]:
        """Return every snooze, in the order in which they were set."""
        found: dict[str, Snooze] = {}
        for snoozes in (await self._all("snoozes")).values():
            for snooze in snoozes:
                known = found.get(snooze.stream)
                if known is None or known.set.at < snooze.set.at:
                    found[snooze.stream] = snooze
        return tuple(sorted(found.values(), key=lambda each: each.set.at))

    async def snooze(self, stream: str, reason: str, minutes: float, by: str) -> Snooze:
        """Snooze a stream at its owner, and have the others know in case it moves."""
        set_: Snooze = await self._owner(stream, "snooze", stream, reason, minutes, by)
        await self._all("heed", stream, set_)
        return set_

    async def wake(self, stream: str, by: str) -> None:
        """End a snooze everywhere."""
        await self._owner_or_any(stream, "wake", stream, by)
        await self._all("heed", stream, None)


class AskedExplained(_Asked):
    """Explained moments: in the memory of the worker that found them, later in the folder."""

    service = "explained"

    async def find(self, incident: Incident) -> ExplainedMoment | str:
        """Return the explained moment of an incident, or why there is none."""
        answers = await self._all("find", incident)
        moments = [found for found in answers.values() if isinstance(found, ExplainedMoment)]
        if moments:
            return moments[0]
        words = list(answers.values())
        return next((word for word in words if word != "none"), "none")


class AskedBaselines(_Asked):
    """Baselines, asked of the owner of a stream; workers share the folder that they are kept in.

    Args:
        gateway: asks.
        settings: those of every worker.
        decides: whether a budget decides, so that baselines are used.
    """

    service = "baselines"

    def __init__(self, gateway: Gateway, settings: BaselineSettings, *, decides: bool) -> None:
        super().__init__(gateway)
        self.settings = settings
        self.decides = decides

    async def all(self) -> tuple[Kept, ...]:
        """Return every baseline, ordered by stream; the newest where workers differ."""
        found: dict[str, Kept] = {}
        for baselines in (await self._all("all")).values():
            for kept in baselines:
                known = found.get(kept.baseline.stream)
                if known is None or known.baseline.made < kept.baseline.made:
                    found[kept.baseline.stream] = kept
        return tuple(found[stream] for stream in sorted(found))

    async def get(self, stream: str) -> Kept | None:
        """Return a stream's baseline."""
        kept: Kept | None = await self._owner_or_any(stream, "get", stream)
        return kept

    async def advice(self, baseline: Baseline) -> str:
        """Return what is worth a second look in a baseline."""
        words: str = await self._any("advice", baseline)
        return words

    async def recent_minutes(self, stream: str, minutes: float) -> float:
        """Return how many minutes of evidence there are in a stream's last so many minutes."""
        found: float = await self._owner(stream, "recent_minutes", stream, minutes)
        return found

    async def add_recent(self, said: Said, minutes: float) -> Baseline:
        """Keep a stream's last minutes as its baseline."""
        return await self._added(said, "add_recent", minutes)

    async def add_stretch(self, said: Said, stretch: Stretch) -> Baseline:
        """Keep a stored stretch as a stream's baseline."""
        return await self._added(said, "add_stretch", stretch)

    async def _added(self, said: Said, method: str, span: Any) -> Baseline:
        made: Baseline = await self._owner(said.stream, method, said, span)
        await self._all("look")
        return made

    async def remove(self, stream: str, by: str) -> None:
        """Forget a stream's baseline."""
        await self._owner_or_any(stream, "remove", stream, by)
        await self._all("look")


class AskedDrift(_Asked):
    """How streams have changed, asked of their owners."""

    service = "drift"

    async def state(self, stream: str) -> DriftState:
        """Return how a stream has changed."""
        state: DriftState = await self._owner(stream, "state", stream)
        return state


class AskedCanaries(_Asked):
    """Canaries: every worker has its own; the worker that fares worst is told of."""

    service = "canaries"

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._shown = ""

    async def report(self) -> Report:
        """Return the report of the worker whose canaries fare worst."""
        reports: dict[str, Report] = await self._all("report")
        self._shown = min(reports, key=lambda name: (GRAVEST.index(reports[name].state), name))
        return reports[self._shown]

    @property
    def age_s(self) -> Any:
        """Seconds since the last round of that worker, to be awaited."""
        return self._age_s()

    async def _age_s(self) -> float:
        ages: dict[str, float] = await self._all("age_s")
        return ages.get(self._shown, max(ages.values()))

    async def learn_anew(self) -> None:
        """Have every worker forget what it expects."""
        await self._all("learn_anew")


class AskedChallenges(_Asked):
    """Challenges, asked of the owner of the stream that has the caller."""

    service = "challenges"

    async def ask(self, stream: str, task: Task, by: str) -> Challenge:
        """Have the person in a stream asked for something."""
        challenge: Challenge = await self._owner(stream, "ask", stream, task, by)
        return challenge

    async def of(self, stream: str) -> tuple[Challenge, ...]:
        """Return the challenges of a stream that are in memory; none of a stream that is gone."""
        if not self._is_there(stream):
            return ()
        found: tuple[Challenge, ...] = await self._owner(stream, "of", stream)
        return found

    async def has_page(self, stream: str) -> bool:
        """Say whether a stream's caller has a page open that shows prompts."""
        return self._is_there(stream) and bool(await self._owner(stream, "has_page", stream))

    async def find(self, stream: str, name: str) -> Challenge:
        """Return a challenge that is in memory."""
        challenge: Challenge = await self._owner_or_any(stream, "find", stream, name)
        return challenge

    def _is_there(self, stream: str) -> bool:
        return self._gateway.table is not None and stream in self._gateway.table.streams


class AskedAlerts(_Asked):
    """Alerts: every worker sends those of its streams, by the rules that all have."""

    service = "alerts"

    async def rules(self) -> list[RuleStatus]:
        """Return every rule; what was held back is that of all workers together."""
        found: dict[str, RuleStatus] = {}
        for rules in (await self._all("rules")).values():
            for status in rules:
                known = found.get(status.rule.name)
                found[status.rule.name] = (
                    status
                    if known is None
                    else replace(
                        known,
                        held_quiet=known.held_quiet + status.held_quiet,
                        held_rate=known.held_rate + status.held_rate,
                    )
                )
        return list(found.values())

    async def channels(self) -> list[ChannelStatus]:
        """Return every channel; counts are those of all workers together."""
        found: dict[str, ChannelStatus] = {}
        for channels in (await self._all("channels")).values():
            for status in channels:
                known = found.get(status.name)
                found[status.name] = status if known is None else _together(known, status)
        return list(found.values())

    async def put_rule(self, rule: Rule, by: str) -> RuleStatus:
        """Make or replace a rule everywhere; one worker writes it."""
        return await self._everywhere("put_rule", rule, by)  # type: ignore[no-any-return]

    async def remove_rule(self, name: str, by: str) -> None:
        """Remove a rule everywhere; one worker writes that."""
        await self._everywhere("remove_rule", name, by)

    async def _everywhere(self, method: str, *args: Any) -> Any:
        """Have the first worker do something, and the others read it; without a store, do it."""
        first, answer = await self._first(method, *args)
        for name, has_read in (await self._all("reread")).items():
            if not has_read and name != first:
                await self._gateway.ask(name, self.service, method, *args)
        return answer

    async def test(self, name: str) -> list[TrialResult]:
        """Have one worker send a test message through every channel of a rule."""
        results: list[TrialResult] = await self._any("test", name)
        return results


def _together(one: ChannelStatus, other: ChannelStatus) -> ChannelStatus:
    """Return one channel of two workers as one; of two errors, the newer one's."""
    newest = max((one, other), key=lambda each: each.last_at.timestamp() if each.last_at else 0.0)
    mine, theirs = one.counts, other.counts
    return replace(
        newest,
        waiting=one.waiting + other.waiting,
        counts=ChannelCounts(
            mine.delivered + theirs.delivered,
            mine.failed + theirs.failed,
            mine.given_up + theirs.given_up,
            mine.dropped + theirs.dropped,
        ),
        last_error=newest.last_error or one.last_error or other.last_error,
    )
