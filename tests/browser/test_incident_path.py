"""From a real camera to somebody who looks: Chromium, a real analyzer, and a restart between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.media import encode, face_pictures
from tests.support.rtsp import Media, RtspServer
from tests.support.server import Server
from tests.support.suspicious import suspicious_config

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[RtspServer]:
    media = Media(encode(tmp_path / "face.mp4", face_pictures(150), "h264", gop=12))
    with RtspServer({"/door": media}) as running:
        yield running


async def test_an_incident_is_seen_played_explained_acknowledged_and_still_there_after_a_restart(
    page: Page, tmp_path: Path, camera: RtspServer
) -> None:
    config = suspicious_config(tmp_path)
    row = page.locator(".row")
    with Server(config) as server:
        await page.goto(f"{server.url}/incidents")
        assert server.add("door", camera.url("/door", "viewer", "pass-word")).is_success
        await expect(row).to_have_count(1, timeout=90_000)
        await expect(row.locator("h2")).to_have_text("door")
        await row.locator(".row-link").click()
        pointing = page.get_by_role("button", name="What the detector points at", exact=True)
        await expect(pointing).to_be_visible(timeout=30_000)
        camera.kill()
        video = page.locator(".stage video")
        await expect(video).to_be_visible(timeout=90_000)
        await plays(page)

        await pointing.click()
        await expect(page.locator(".pointed .regions .edge").first).to_be_attached()
        await expect(page.locator(".pointed image")).to_be_attached()
        await expect(page.locator(".pointed-words")).to_contain_text("not a finding")
        await pointing.click()

        await page.get_by_role("button", name="Acknowledge", exact=True).click()
        await expect(page.locator(".incident-head .standing")).to_contain_text("Acknowledged")
        address = page.url.removeprefix(server.url)
    with Server(config) as server:
        await page.goto(f"{server.url}{address}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("door")
        await expect(page.locator(".incident-head .standing")).to_contain_text("Acknowledged")
        await plays(page)
        await pointing.click()
        await expect(page.locator(".pointed .regions .edge").first).to_be_attached()
        await page.get_by_role("link", name="All incidents", exact=True).click()
        await expect(row).to_have_count(1)


async def plays(page: Page) -> None:
    """Play the clip, and see that pictures come and time passes."""
    video = page.locator(".stage video")
    await expect(video).to_be_visible()
    await video.evaluate("(video) => { video.muted = true; return video.play(); }")
    await page.wait_for_function(
        "() => { const video = document.querySelector('.stage video');"
        " return video.currentTime > 1 && video.videoWidth > 0; }"
    )
    size = await video.evaluate("(video) => [video.videoWidth, video.videoHeight]")
    assert min(size) > 100
