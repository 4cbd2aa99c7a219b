"""Settings of every test run: threads, Hypothesis, and what a test leaves behind."""

import gc
import os
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = ("tests.support.databases",)

# Toy networks gain nothing from a second thread, and on a busy machine waiting for it made the
# device tests six times slower. torch reads this when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test asserts wall time, so Hypothesis must not either: a busy machine is not a wrong result.
# CI tries the full number of examples where a test does not name its own.
settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", parent=settings.get_profile("ci"), max_examples=30)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish() -> None:
    """Exempt what was imported from garbage collection: it stays until the end.

    torch alone has so many objects that a test which collects after every example took 33 s
    instead of one.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's data directory out of it, in this process and those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Undo what a command does to its process: logging, and how the thread rounds tiny numbers."""
    yield
    structlog.reset_defaults()
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)
