"""Services behind the routes: what the web asks of the parts beside the analyzer.

The parts of one process answer most of it at once; those of workers elsewhere have to be asked, so
every answer may be one to wait for: `settled` takes either.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

from stream.alerts.alerts import ChannelStatus, RuleStatus, TrialResult
from stream.alerts.settings import Rule
from stream.baseline.baseline import Baseline
from stream.baseline.book import Kept
from stream.baseline.making import Said
from stream.baseline.service import Stretch
from stream.baseline.settings import BaselineSettings
from stream.canaries.records import Report
from stream.compliance import Challenge, Task
from stream.drift.watch import DriftState
from stream.evidence.explained import ExplainedMoment
from stream.incident import Incident, Snooze
from stream.incidents.labels import Manifest
from stream.incidents.records import Cursor, Wanted
from stream.incidents.service import Change, Page, Story

T = TypeVar("T")


async def settled(answer: T | Awaitable[T]) -> T:
    """Return an answer that may have to be waited for."""
    return await cast("Awaitable[T]", answer) if inspect.isawaitable(answer) else answer


class IncidentService(Protocol):
    """What was found suspect, and what operators say of it; see `stream.incidents.service`."""

    @property
    def snoozes(self) -> tuple[Snooze, ...] | Awaitable[tuple[Snooze, ...]]:
        """Streams that open no incidents now."""
        ...

    async def page(self, wanted: Wanted, limit: int, after: Cursor | None = None) -> Page:
        """Return incidents, newest first."""
        ...

    async def find(self, name: str) -> Incident:
        """Return an incident."""
        ...

    async def story(self, name: str) -> Story:
        """Return an incident with comments and audit."""
        ...

    async def labels(self, split: str = "") -> Manifest:
        """Return what operators found."""
        ...

    async def change(self, name: str, change: Change, by: str) -> Incident:
        """Do what an operator asks."""
        ...

    def snooze(
        self, stream: str, reason: str, minutes: float, by: str
    ) -> Snooze | Awaitable[Snooze]:
        """Have a stream open no incidents for a while."""
        ...

    def wake(self, stream: str, by: str) -> Awaitable[None] | None:
        """End a stream's snooze before its time."""
        ...


class EvidenceService(Protocol):
    """Files of incidents; see `stream.evidence.recorder`."""

    async def file(self, incident: str, which: Literal["clip", "picture"]) -> Path:
        """Return the clip of an incident, or the picture of its peak."""
        ...


class ExplainedService(Protocol):
    """Explained moments of incidents; see `stream.evidence.explained`."""

    async def find(self, incident: Incident) -> ExplainedMoment | str:
        """Return the explained moment of an incident, or why there is none."""
        ...


class BaselineService(Protocol):
    """Known-real video of streams; see `stream.baseline.service`."""

    settings: BaselineSettings

    @property
    def decides(self) -> bool:
        """Whether baselines are used."""
        ...

    def all(self) -> tuple[Kept, ...] | Awaitable[tuple[Kept, ...]]:
        """Return every baseline, ordered by stream."""
        ...

    def get(self, stream: str) -> Kept | Awaitable[Kept | None] | None:
        """Return a stream's baseline."""
        ...

    def advice(self, baseline: Baseline) -> str | Awaitable[str]:
        """Return what is worth a second look in a baseline."""
        ...

    def recent_minutes(self, stream: str, minutes: float) -> float | Awaitable[float]:
        """Return how many minutes of evidence there are in a stream's last so many minutes."""
        ...

    async def add_recent(self, said: Said, minutes: float) -> Baseline:
        """Keep a stream's last minutes as its baseline."""
        ...

    async def add_stretch(self, said: Said, stretch: Stretch) -> Baseline:
        """Keep a stored stretch as a stream's baseline."""
        ...

    async def remove(self, stream: str, by: str) -> None:
        """Forget a stream's baseline."""
        ...


class DriftService(Protocol):
    """How streams have changed; see `stream.drift.watch`."""

    def state(self, stream: str) -> DriftState | Awaitable[DriftState]:
        """Return how a stream has changed."""
        ...


class CanaryService(Protocol):
    """Known clips; see `stream.canaries.service`."""

    @property
    def age_s(self) -> float | Awaitable[float]:
        """Seconds since the last round."""
        ...

    def report(self) -> Report | Awaitable[Report]:
        """Return how the detector fares."""
        ...

    def learn_anew(self) -> Awaitable[None] | None:
        """Forget what is expected."""
        ...


class ChallengeService(Protocol):
    """What people in streams are asked; see `stream.challenge.service`."""

    def ask(self, stream: str, task: Task, by: str) -> Challenge | Awaitable[Challenge]:
        """Have the person in a stream asked for something."""
        ...

    def of(self, stream: str) -> tuple[Challenge, ...] | Awaitable[tuple[Challenge, ...]]:
        """Return the challenges of a stream that are in memory."""
        ...

    def has_page(self, stream: str) -> bool | Awaitable[bool]:
        """Say whether a stream's caller has a page open that shows prompts."""
        ...

    def find(self, stream: str, name: str) -> Challenge | Awaitable[Challenge]:
        """Return a challenge that is in memory."""
        ...


class AlertService(Protocol):
    """Rules and channels of alerts; see `stream.alerts.alerts`."""

    def rules(self) -> Sequence[RuleStatus] | Awaitable[Sequence[RuleStatus]]:
        """Return every rule."""
        ...

    def channels(self) -> Sequence[ChannelStatus] | Awaitable[Sequence[ChannelStatus]]:
        """Return every channel."""
        ...

    async def put_rule(self, rule: Rule, by: str) -> RuleStatus:
        """Make or replace a rule of the page."""
        ...

    async def remove_rule(self, name: str, by: str) -> None:
        """Remove a rule of the page."""
        ...

    async def test(self, name: str) -> Sequence[TrialResult]:
        """Send a test message through every channel of a rule."""
        ...
