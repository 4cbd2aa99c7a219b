"""A real headless Chromium that shows the built dashboard of an application played by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from stream.clock import SystemClock
from tests.support.browser import chromium
from tests.support.wall import PlayedWall
from tests.support.web import WebRig, served
from web.routes.pages import NOT_BUILT, is_built


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser with a fake camera whose owner always says yes."""
    if not is_built():
        pytest.skip(NOT_BUILT)
    async with chromium() as made:
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


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A window of 1280x720 that wants no animation."""
    made = await browser.new_context(
        viewport={"width": 1280, "height": 720}, reduced_motion="reduce", locale="en-GB"
    )
    yield made
    await made.close()


@pytest.fixture
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


@pytest.fixture
async def address(wall: PlayedWall) -> AsyncIterator[str]:
    """Where the wall is served."""
    async with served(wall.rig.app) as port:
        yield f"http://127.0.0.1:{port}"
