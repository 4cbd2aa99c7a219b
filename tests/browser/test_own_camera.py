"""This browser's own camera and tabs, on their way to the analyzer: aiortc answers the calls."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import aioice.ice
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection, RTCSessionDescription
from playwright.async_api import Page, Request, Route, expect

from tests.support.wall import PlayedStream, PlayedWall

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

DENIED = """
Object.defineProperty(navigator.mediaDevices, 'getUserMedia', {
  value: () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError')),
});
"""


class Answerer:
    """Answers WHIP calls as RFC 9725 says, or refuses them as it is told."""

    def __init__(self) -> None:
        self.offers: list[Request] = []
        self.goodbyes: asyncio.Queue[str] = asyncio.Queue()
        self.frames: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
        self.refusal: tuple[int, dict[str, object]] | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.peers: list[RTCPeerConnection] = []
        self._drains: list[asyncio.Task[None]] = []

    async def handle(self, route: Route) -> None:
        """Answer one request below /whip."""
        request = route.request
        if request.method == "OPTIONS":
            await route.fulfill(status=204, headers={"accept-post": "application/sdp"})
        elif request.method == "DELETE":
            self.goodbyes.put_nowait(request.url)
            await route.fulfill(status=200)
        elif self.refusal is not None:
            status, problem = self.refusal
            await route.fulfill(
                status=status,
                headers={"content-type": "application/problem+json"},
                body=json.dumps(problem),
            )
        else:
            self.offers.append(request)
            await self.answers.wait()
            location = f"/whip/{request.url.rpartition('/')[2]}/secret-{len(self.offers)}"
            headers = {"content-type": "application/sdp", "location": location, "etag": '"1"'}
            await route.fulfill(status=201, headers=headers, body=await self._answer(request))

    async def close(self) -> None:
        """Hang up every call."""
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        await asyncio.gather(*(peer.close() for peer in self.peers))

    async def _answer(self, request: Request) -> str:
        peer = RTCPeerConnection()
        self.peers.append(peer)
        peer.on("track", lambda track: self._drains.append(asyncio.create_task(self._drain(track))))
        await peer.setRemoteDescription(RTCSessionDescription(request.post_data or "", "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return peer.localDescription.sdp

    async def _drain(self, track) -> None:  # type: ignore[no-untyped-def]
        while True:
            frame = await track.recv()
            if self.frames.empty():
                self.frames.put_nowait(frame.width)


@pytest_asyncio.fixture(loop_scope="module")
async def answerer(page: Page, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Answerer]:
    """Takes the calls of the page, on loopback."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    made = Answerer()
    await page.route("**/whip/**", made.handle)
    yield made
    await made.close()


async def call(page: Page, address: str) -> None:
    await page.goto(address)
    await page.get_by_role("button", name="Analyze my camera", exact=True).click()


async def test_my_camera_is_sent_and_its_scores_are_shown(
    page: Page, wall: PlayedWall, address: str, answerer: Answerer
) -> None:
    await call(page, address)
    await expect(page.locator(".own")).to_contain_text("Your camera is being analyzed")
    await expect(page).to_have_url(re.compile(r"/streams/my-camera-[0-9a-f]{4}$"))
    async with asyncio.timeout(20):
        assert await answerer.frames.get() > 0
    offer = answerer.offers[0]
    assert offer.headers["content-type"] == "application/sdp"
    sdp = offer.post_data or ""
    assert "a=sendonly" in sdp
    assert set(re.findall(r"a=rtpmap:\d+ (\w+)/", sdp)) == {"VP8", "H264", "rtx"}
    id = page.url.rpartition("/")[2]
    await wall.add(PlayedStream(id, "My camera"))
    async with wall.playing():
        await expect(page.locator(".face .score")).to_have_text(re.compile(r"0\.\d\d"))


async def test_stopping_says_goodbye_and_frees_the_camera(
    page: Page, answerer: Answerer, address: str
) -> None:
    await call(page, address)
    await expect(page.locator(".own")).to_contain_text("is being analyzed")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect(page.locator(".own")).to_have_count(0)
    async with asyncio.timeout(20):
        assert (await answerer.goodbyes.get()).rpartition("/")[2] == "secret-1"
    await expect(page.get_by_role("button", name="Analyze my camera", exact=True)).to_be_enabled()
    assert answerer.goodbyes.empty()


async def test_a_call_that_breaks_is_made_again(
    page: Page, answerer: Answerer, address: str
) -> None:
    await call(page, address)
    await expect(page.locator(".own")).to_contain_text("is being analyzed")
    answerer.answers.clear()  # what the page says meanwhile would be gone in a second
    await answerer.peers[0].close()
    await expect(page.locator(".own")).to_contain_text("connected again", timeout=30_000)
    answerer.answers.set()
    await expect(page.locator(".own")).to_contain_text("is being analyzed", timeout=30_000)
    first, *later = (offer.url for offer in answerer.offers)
    assert set(later) == {first}


async def test_what_the_server_refuses_is_shown_in_its_words(
    page: Page, answerer: Answerer, address: str
) -> None:
    problem = {
        "title": "No common codec",
        "detail": "Only AV1 was offered",
        "hint": "Offer VP8 or H.264",
    }
    answerer.refusal = 422, {**problem, "status": 422, "code": "codec"}
    await call(page, address)
    said = page.locator('.own[role="alert"]')
    for words in problem.values():
        await expect(said).to_contain_text(words)
    answerer.refusal = None
    await page.get_by_role("button", name="Try again", exact=True).click()
    await expect(page.locator(".own")).to_contain_text("is being analyzed")


async def test_an_analyzer_without_room_is_no_lost_connection(
    page: Page, answerer: Answerer, address: str
) -> None:
    """It says what the matter is, and asks again by itself."""
    problem = {"title": "No further stream is accepted now", "detail": "too much to do"}
    answerer.refusal = 429, {**problem, "status": 429, "code": "overloaded"}
    await call(page, address)
    await expect(page.locator(".own")).to_contain_text("Your camera is not taken yet")
    await expect(page.locator(".own")).to_contain_text("No further stream is accepted now")
    answerer.refusal = None
    await expect(page.locator(".own")).to_contain_text("is being analyzed", timeout=30_000)


async def test_a_browser_that_cannot_share_a_tab_says_so(
    page: Page, answerer: Answerer, address: str
) -> None:
    """On a phone, for example."""
    await page.add_init_script("delete MediaDevices.prototype.getDisplayMedia;")
    await page.goto(address)
    await page.get_by_role("button", name="Analyze a tab", exact=True).click()
    said = page.get_by_role("alert").filter(has_text="This browser cannot share a tab")
    await expect(said).to_be_visible()
    assert answerer.offers == []


async def test_a_camera_that_is_not_allowed_is_explained(
    page: Page, answerer: Answerer, address: str
) -> None:
    await page.add_init_script(DENIED)
    await call(page, address)
    said = page.locator('.own[role="alert"]')
    await expect(said).to_contain_text("The camera was not allowed")
    await expect(said).to_contain_text("Allow the camera in the address bar")
    assert answerer.offers == []


async def test_a_tab_is_sent_too(page: Page, answerer: Answerer, address: str) -> None:
    await page.goto(address)
    await page.get_by_role("button", name="Analyze a tab", exact=True).click()
    await expect(page.locator(".own")).to_contain_text("The tab is being analyzed")
    await expect(page).to_have_url(re.compile(r"/streams/my-tab-[0-9a-f]{4}$"))
