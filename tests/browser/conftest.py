"""A real headless Chromium that shows the built dashboard of an application played by the test.

Starting Chromium and the program that drives it takes as long as most tests do, so the tests of a
file share one, each in a context of its own. What is shared belongs to one event loop; therefore
the tests here run in their file's loop, and so must every asynchronous fixture of theirs:
`@pytest_asyncio.fixture(loop_scope="module")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from stream.clock import SystemClock
from tests.support.browser import chromium
from tests.support.wall import PlayedWall
from tests.support.web import WebRig, served
from web.routes.pages import NOT_BUILT, is_built

HERE = Path(__file__).parent

expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Have every test of this folder run in the loop of its file."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser with a fake camera whose owner always says yes."""
    if not is_built():
        pytest.skip(NOT_BUILT)
    async with chromium() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filming(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A browser whose camera shows a still texture, 640x480.

    The toy finder sees a face in its middle.
    """
    tiles = np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    picture = tiles.repeat(40, 0).repeat(40, 1)
    film = tmp_path_factory.mktemp("film") / "camera.mjpeg"
    film.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes() * 25)
    async with chromium(film) as made:
        yield made


class Complaints:
    """What a page complained about, besides connections that the test has cut on purpose."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.hosts: set[str] = set()

    def listen(self, page: Page) -> None:
        """Remember what a page says and whom it asks."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _console(self, message: ConsoleMessage) -> None:
        cut = ("WebSocket connection", "Failed to load resource")
        if message.type == "error" and not message.text.startswith(cut):
            self.said.append(message.text)


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A window of 1280x720 that wants no animation."""
    made = await browser.new_context(
        viewport={"width": 1280, "height": 720}, reduced_motion="reduce", locale="en-GB"
    )
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page; the test fails if it complains or asks anybody but this machine."""
    complaints = Complaints()
    made = await context.new_page()
    complaints.listen(made)
    yield made
    assert complaints.said == []
    assert {host.split(":")[0] for host in complaints.hosts} <= {"127.0.0.1"}


@pytest.fixture
def wall() -> PlayedWall:
    """Scripted streams behind a real hub, in real time."""
    return PlayedWall(WebRig(clock=SystemClock()))


@pytest_asyncio.fixture(loop_scope="module")
async def address(wall: PlayedWall) -> AsyncIterator[str]:
    """Where the wall is served."""
    async with served(wall.rig.app) as port:
        yield f"http://127.0.0.1:{port}"
