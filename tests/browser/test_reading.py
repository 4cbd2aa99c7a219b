"""The page in Chromium for somebody who reads it: waiting rooms, scores, help, access."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.async_api import BrowserContext, Page, expect

from stream.events import AbstainReason, ConnectionState, ReasonCode, Verdict
from styleflow.cards import TrainingStatus
from tests.support.wall import PlayedStream, PlayedWall, cameras, untrained
from tests.support.wire import CARD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web/dashboard/node_modules/axe-core/axe.min.js"
SHIPPED = json.loads((ROOT / "styleflow/measured.json").read_text(encoding="utf-8"))


async def scripted(wall: PlayedWall) -> None:
    """Add streams in every kind of trouble, and one that waits for a call."""
    for camera in cameras(4):
        await wall.add(camera, ago=5)
    wall.past(5)
    wall.streams["cam-1"].level, wall.streams["cam-1"].verdict = 0.93, Verdict.SUSPECT
    wall.streams["cam-2"].verdict = Verdict.PENDING
    wall.streams["cam-2"].reasons = (AbstainReason.BLURRED,)
    wall.connection("cam-3", ConnectionState.FAILED, ReasonCode.AUTH, "wants a password")
    await wall.add(untrained(PlayedStream("dark", "Dark", url="demo://authentic")))
    await wall.wait_for_call("door", "Front door")


async def test_a_waiting_room_gives_its_address_to_copy_and_to_scan(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await wall.wait_for_call("door", "Front door")
    await page.goto(address)
    tile = page.locator(".tile")
    await expect(tile.locator(".state")).to_have_text("Waiting for a call")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("link", name="Front door", exact=True).click()
    await expect(page.get_by_role("heading", name="Waiting for a call", exact=True)).to_be_visible()
    wanted = f"{address}/whip/door"
    await expect(page.locator(".whip-address code")).to_have_text(wanted)
    await page.get_by_role("button", name="Copy address", exact=True).click()
    await expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == wanted
    taken = await page.get_by_role("img", name="QR code of the address", exact=True).screenshot()
    image = cv2.imdecode(np.frombuffer(taken, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert cv2.QRCodeDetector().detectAndDecode(image)[0] == wanted


async def test_a_call_that_was_hung_up_says_so_and_may_be_made_again(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await wall.wait_for_call("door", "Front door")
    wall.connection("door", ConnectionState.LIVE)
    wall.connection("door", ConnectionState.ENDED, ReasonCode.ENDED, "the peer has hung up")
    wall.beat()
    await page.goto(f"{address}/streams/door")
    await expect(page.locator(".stream-head .state")).to_have_text("Hung up")
    await expect(
        page.get_by_role("heading", name="Waiting for another call", exact=True)
    ).to_be_visible()
    await expect(page.locator(".whip-address code")).to_have_text(f"{address}/whip/door")


async def test_a_score_is_told_in_a_sentence_on_the_tile_and_on_the_stream_s_page(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await scripted(wall)
    sentence = re.compile(
        r"^0\.9\d leans synthesised: the model reckons that 9\d in 100 such faces"
    )
    async with wall.playing():
        await page.goto(address)
        link = page.get_by_role("link", name="Lobby", exact=True)
        await expect(link).to_have_attribute("title", sentence)
        await link.click()
        await expect(page.locator(".face .meaning")).to_have_text(sentence)
        await expect(page.locator(".face .meaning")).to_contain_text("suspect begins at 0.70")


async def test_help_shows_the_figures_of_the_model_that_runs_and_of_no_other(
    page: Page, wall: PlayedWall, address: str
) -> None:
    ours = replace(CARD, sha256=SHIPPED["sha256"], status=TrainingStatus.EXPERIMENTAL)
    wall.rig.models = (ours, replace(CARD, name="caddm"))
    await page.goto(address)
    await page.get_by_role("link", name="Help", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("How to read this")
    await expect(page).to_have_title("How to read this · StyleFlow Live")
    first, second = page.locator(".model-card").first, page.locator(".model-card").nth(1)
    await expect(first).to_contain_text("a hint to look")
    pairs = round(100 * SHIPPED["auc"]["value"])
    await expect(first).to_contain_text(f"in {pairs} of 100 pairs")
    await expect(first).to_contain_text(f"{SHIPPED['auc']['low']:.2f} to")
    flagged = round(100 * SHIPPED["flagged_at_5"]["value"])
    await expect(first).to_contain_text(f"it flags {flagged} of 100 fakes")
    await expect(first).to_contain_text("These clips chose the model, so count on less.")
    once = round(100 * SHIPPED["once"]["auc"]["value"])
    await expect(first).to_contain_text(f"looked at once, it was {once} of 100")
    await expect(second).to_contain_text("Nothing was measured of these weights here")


async def test_the_title_and_icon_of_every_view_tell_of_a_suspect(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await scripted(wall)
    icon = page.locator('link[rel="icon"]')
    views = {
        "/": "(1) suspect · StyleFlow Live",
        "/streams/cam-4": "(1) suspect · Clear · Meeting room · StyleFlow Live",
        "/incidents": "(1) suspect · Incidents · StyleFlow Live",
        "/help": "(1) suspect · How to read this · StyleFlow Live",
    }
    async with wall.playing():
        for path, title in views.items():
            await page.goto(address + path)
            await expect(page).to_have_title(title)
            await expect(icon).to_have_attribute("href", f"{address}/static/icon-alarm.svg")


async def test_a_tone_is_off_at_first_and_remembered(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await page.add_init_script(
        """window.tones = 0;
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (at) {
          window.tones += 1;
          start.call(this, at);
        };"""
    )
    for camera in cameras(2):
        await wall.add(camera, ago=5)
    wall.past(5)
    async with wall.playing():
        await page.goto(address)
        switch = page.get_by_role("button", name=re.compile("^Sound( on)?$"))
        await expect(switch).to_have_attribute("aria-pressed", "false")
        wall.streams["cam-1"].level, wall.streams["cam-1"].verdict = 0.93, Verdict.SUSPECT
        await expect(page.locator(".tile.is-suspect")).to_have_count(1)
        assert await page.evaluate("tones") == 0
        await switch.click()
        await expect(page.get_by_role("button", name="Sound on", exact=True)).to_be_visible()
        await page.wait_for_function("tones === 2")  # what it sounds like: two notes
        await page.reload()
        await expect(page.locator(".tile.is-suspect")).to_have_count(1)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Sound on", exact=True)).to_be_visible()
        assert await page.evaluate("tones") == 0, "nothing has turned suspect since"
        wall.streams["cam-2"].level, wall.streams["cam-2"].verdict = 0.93, Verdict.SUSPECT
        await expect(page.locator(".tile.is-suspect")).to_have_count(2)
        await page.wait_for_function("tones === 2")


async def test_a_refused_address_is_told_by_the_form_s_own_label(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await page.goto(address)
    await page.get_by_role("button", name="Add a camera", exact=True).last.click()
    await page.get_by_label("Address", exact=True).fill("rtsp://" + "camera.example/" + "a" * 2050)
    await page.get_by_role("button", name="Add", exact=True).click()
    said = page.locator(".said")
    await expect(said).to_contain_text("Address:")
    await expect(said).not_to_contain_text("source.url")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_escape_disarms_remove(page: Page, wall: PlayedWall, address: str) -> None:
    await scripted(wall)
    await page.goto(f"{address}/streams/cam-1")
    await page.get_by_role("button", name="Remove", exact=True).click()
    await expect(page.get_by_role("button", name="Really remove?", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Remove", exact=True)).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/streams/cam-1", "/incidents", "/help"])
async def test_at_200_percent_the_header_is_small_and_nothing_scrolls_sideways(
    page: Page, wall: PlayedWall, address: str, path: str
) -> None:
    """A window of 1280x720 at 200 % has 640x360 CSS pixels."""
    await scripted(wall)
    await page.set_viewport_size({"width": 640, "height": 360})
    async with wall.playing():
        await page.goto(address + path)
        await expect(page.get_by_role("heading").first).to_be_visible()
        box = await page.locator("header.top").bounding_box()
        assert box is not None
        assert box["height"] <= 72
        assert await page.evaluate("document.documentElement.scrollWidth") <= 640


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in web/dashboard")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "view",
    [
        "/",
        "/streams/cam-1",
        "/streams/door",
        "/incidents",
        "incident",
        "/alerts",
        "empty",
        "dialog",
        "/help",
    ],
)
async def test_axe_finds_nothing_moderate_or_worse(
    context: BrowserContext, wall: PlayedWall, address: str, scheme: Any, view: str
) -> None:
    """Headings, landmarks and contrast: all of axe's rules, its advice on best practice too."""
    if view != "empty":
        await scripted(wall)
    page = await context.new_page()
    await page.emulate_media(color_scheme=scheme)
    async with wall.playing():
        await page.goto(address + (view if view.startswith("/") else "/"))
        if view == "incident":
            await expect(page.locator(".views .badge")).to_be_visible()  # part of the link's name
            await page.get_by_role("link", name=re.compile("^Incidents")).click()
            await page.locator(".row-link").first.click()
        await expect(page.get_by_role("heading", level=1).first).to_be_attached()
        if view == "dialog":
            await page.get_by_role("button", name="Add a camera", exact=True).click()
            await page.get_by_role("button", name="Add", exact=True).click()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run()")
    assert [
        (rule["id"], rule["impact"], [node["html"][:120] for node in rule["nodes"]])
        for rule in found["violations"]
        if rule["impact"] != "minor"
    ] == []
