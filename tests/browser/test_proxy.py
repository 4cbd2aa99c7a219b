"""The page behind nginx, with TLS, below a prefix: as people meet it at their company's address."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from playwright.async_api import ConsoleMessage, Page, expect

from tests.support.browser import chromium
from tests.support.nginx import HOST, PREFIX, Nginx
from tests.support.server import Server
from web.routes.pages import NOT_BUILT, is_built

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not is_built(), reason=NOT_BUILT),
]

OPERATOR = "an operator's long token"
SETTINGS = f"""\
web:
  root_path: {PREFIX}
  allowed_hosts: [{HOST}]
  tokens: [{{token: "{OPERATOR}", role: operator}}]
webrtc: {{bind: [127.0.0.1]}}
overload: {{enabled: false}}
streams: [{{id: demo, source: {{url: demo://tampered}}, name: Demo}}]
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    config = folder / "analyzer.yaml"
    config.write_text(SETTINGS)
    with Server(config) as server, Nginx(folder, server.port) as running:
        yield running


class Seen:
    """What a page asked for, and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.asked: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.add(request.url))
        page.on("websocket", lambda socket: self.asked.add(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location})")


@pytest.mark.parametrize("door", ["stripping", "handing_on"])
async def test_the_page_works_below_a_prefix(nginx: Nginx, door: str) -> None:
    """The wall, a stream's page, a shared link, and this browser's own camera until it stops."""
    origin = getattr(nginx, door).origin
    async with chromium(resolve={HOST: "127.0.0.1"}) as browser:
        context = await browser.new_context(ignore_https_errors=True, locale="en-GB")
        page = await context.new_page()
        seen = Seen(page)
        await page.goto(f"{origin}{PREFIX}/")
        await page.get_by_role("textbox", name="Token", exact=True).fill(OPERATOR)
        await page.get_by_role("textbox", name="Token", exact=True).press("Enter")
        tile = page.locator(".tile").filter(has_text="Demo")
        await expect(tile).to_be_visible()
        await expect(tile.get_by_role("img", name="Demo", exact=True)).to_be_visible(timeout=30_000)
        await tile.get_by_role("link", name="Demo", exact=True).click()
        await expect(page).to_have_url(f"{origin}{PREFIX}/streams/demo")
        await page.reload()  # as whoever is sent the link
        await expect(page.get_by_role("heading", name="Demo", exact=True)).to_be_visible()
        await page.get_by_role("link", name="All streams", exact=True).click()
        await expect(page).to_have_url(f"{origin}{PREFIX}/")
        async with page.expect_response(lambda r: r.request.method == "POST") as awaited:
            await page.get_by_role("button", name="Analyze my camera", exact=True).click()
        location = (await (await awaited.value).all_headers())["location"]
        assert re.fullmatch(rf"{PREFIX}/whip/my-camera-\w+/[\w-]+", location)
        await expect(page).to_have_url(re.compile(f"{PREFIX}/streams/my-camera-"))
        await page.get_by_role("button", name="Stop", exact=True).click()
        async with asyncio.timeout(30):
            while nginx.answers("DELETE", location) != [200]:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.1)
        await page.goto(f"{origin}{PREFIX}/docs")
        await expect(page.locator(".operation").first).to_be_visible()
    assert seen.complaints == []
    wss = origin.replace("https:", "wss:")
    below = (f"{origin}{PREFIX}/", f"{wss}{PREFIX}/", f"blob:{origin}/")
    assert [url for url in seen.asked if not url.startswith(below)] == []
    assert f"{wss}{PREFIX}/api/v1/scores" in seen.asked
