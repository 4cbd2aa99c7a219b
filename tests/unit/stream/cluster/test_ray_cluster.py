"""Handles and actors without a Ray that runs: what its errors mean, and when an actor answers."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from stream.cluster.ray_cluster import (
    RayDirectorHandle,
    RayWorkerHandle,
    Whereabouts,
    WorkerActor,
)
from stream.errors import StreamUnknown, WorkerGone

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")

Answer = Callable[..., Awaitable[Any]]


@dataclass
class FakeActor:
    """An actor as Ray shows it: `actor.method.remote(…)` is awaited."""

    answer: Answer
    asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, method: str) -> Any:
        def remote(*args: Any, **named: Any) -> Awaitable[Any]:
            self.asked.append((method, args, named))
            return self.answer()

        return SimpleNamespace(remote=remote)


@pytest.fixture
def actors(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeActor]:
    """Return the actors that Ray knows, by name."""
    known: dict[str, FakeActor] = {}

    def get_actor(name: str, namespace: str) -> FakeActor:
        if name not in known:
            raise ValueError(f"no actor {name}")
        return known[name]

    monkeypatch.setattr(ray, "get_actor", get_actor)
    return known


def raising(error: Exception) -> Answer:
    """Return what raises an error."""

    async def answer() -> Any:
        raise error

    return answer


async def nothing() -> None:
    """Answer."""


async def test_calls_name_the_method_and_its_arguments(actors: dict[str, FakeActor]) -> None:
    actor = actors["worker-1"] = FakeActor(nothing)
    await RayWorkerHandle("worker-1").disown("lobby", 7, moved=True)
    assert actor.asked == [("call", ("disown", "lobby", 7), {"moved": True})]


async def test_our_errors_cross_as_themselves(actors: dict[str, FakeActor]) -> None:
    cause = StreamUnknown("lobby")
    wrapped = ray.exceptions.RayTaskError("call", "trace", cause).as_instanceof_cause()
    actors["worker-1"] = FakeActor(raising(wrapped))
    with pytest.raises(StreamUnknown) as caught:
        await RayWorkerHandle("worker-1").ask("control", "status", "lobby")
    assert type(caught.value) is StreamUnknown


@pytest.mark.parametrize(
    "error",
    [
        ray.exceptions.ActorUnavailableError("it does not answer", b"0" * 16),
        ray.exceptions.ActorDiedError(),
        ray.exceptions.GetTimeoutError("late"),
        TimeoutError(),
    ],
)
async def test_errors_of_ray_mean_that_the_worker_is_gone(
    actors: dict[str, FakeActor], error: Exception
) -> None:
    actors["worker-1"] = FakeActor(raising(error))
    with pytest.raises(WorkerGone) as caught:
        await RayWorkerHandle("worker-1").beat()
    assert caught.value.worker == "worker-1"


async def test_a_worker_that_ray_does_not_know_is_gone_until_it_does(
    actors: dict[str, FakeActor],
) -> None:
    handle = RayWorkerHandle("worker-1")
    with pytest.raises(WorkerGone):
        await handle.disown("lobby", 1, moved=False)
    actors["worker-1"] = FakeActor(nothing)
    await handle.disown("lobby", 1, moved=False)


async def test_a_call_that_never_ends_has_an_end(actors: dict[str, FakeActor]) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    actors["worker-1"] = FakeActor(hang)
    with pytest.raises(WorkerGone):
        await RayWorkerHandle("worker-1").stop(within_s=0.01)


async def test_the_director_is_found_by_its_name(actors: dict[str, FakeActor]) -> None:
    actor = actors["styleflow-director"] = FakeActor(nothing)
    await RayDirectorHandle().drain("worker-1", draining=True)
    named = {"draining": True, "why": "", "force": False}
    assert actor.asked == [("call", ("drain", "worker-1"), named)]


class Running:
    """A worker that says its name."""

    def __init__(self, at: Whereabouts) -> None:
        self.at = at
        self.worker = self

    async def card(self) -> str:
        """Return who it is."""
        return self.at.name

    async def labels(self) -> dict[str, str]:
        """Return those of its machine."""
        return dict(self.at.labels)

    async def lines(self, position: int, wait_s: float) -> tuple[int, tuple[str, ...]]:
        """Return one line."""
        return 1, ("bye\n",)


class Planned:
    """A plan that fails as often as it is told to, and waits for a word before it is done."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.go = asyncio.Event()
        self.ended = False

    def __call__(self, at: Whereabouts, director: Any) -> Any:
        """Return what runs a worker."""
        return self.run(at)

    @asynccontextmanager
    async def run(self, at: Whereabouts) -> AsyncIterator[Running]:
        """Run one."""
        await self.go.wait()
        if self.failures:
            self.failures -= 1
            raise StreamUnknown("x")
        yield Running(at)
        self.ended = True


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ray say on which machine this is."""
    labels = {"site": "north", "ray.io/node-id": "00"}
    made = SimpleNamespace(
        get_node_labels=lambda: labels, get_accelerator_ids=lambda: {"GPU": ["1"]}
    )
    monkeypatch.setattr(ray, "get_runtime_context", lambda: made)


@pytest.mark.usefixtures("context")
async def test_an_actor_answers_once_it_is_built() -> None:
    plan = Planned()
    actor = WorkerActor(plan, "worker-1")
    with pytest.raises(WorkerGone):
        await actor.call("card")
    plan.go.set()
    await actor.ready()
    assert await actor.call("card") == "worker-1"


@pytest.mark.usefixtures("context")
async def test_labels_are_the_machine_s_own_and_not_ray_s() -> None:
    plan = Planned()
    plan.go.set()
    actor = WorkerActor(plan, "worker-1")
    await actor.ready()
    told = await actor.call("labels")
    assert told == {"site": "north"}


@pytest.mark.usefixtures("context")
async def test_who_waits_for_it_is_told_why_it_is_not_built() -> None:
    plan = Planned(failures=1)
    plan.go.set()
    with pytest.raises(StreamUnknown):
        await WorkerActor(plan, "worker-1").ready()


@pytest.mark.usefixtures("context")
async def test_after_the_end_only_the_last_lines_are_told() -> None:
    plan = Planned()
    plan.go.set()
    actor = WorkerActor(plan, "worker-1")
    await actor.ready()
    await actor.stop()
    assert plan.ended
    with pytest.raises(WorkerGone):
        await actor.call("card")
    assert await actor.lines(0, 0.0) == (1, ("bye\n",))


def test_actors_and_handles_show_their_names_only() -> None:
    assert repr(WorkerActor(Planned, "worker-1")) == "worker-1"  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(RayWorkerHandle("worker-1"))).name == "worker-1"
