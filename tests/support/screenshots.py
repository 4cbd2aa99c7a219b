"""Makes the pictures of the dashboard in `docs/images`, from scripted streams.

Run it after the page has changed: `python -m tests.support.screenshots docs/images`. Nobody who is
watched appears in them: the face is scikit-image's public-domain portrait.
"""

from __future__ import annotations

import asyncio
import io
import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, expect

from stream.clock import SystemClock
from stream.events import AbstainReason, ConnectionState, ReasonCode, Verdict
from styleflow.overlay import PointsAt
from tests.support.browser import chromium
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served
from tests.support.wire import CARD

WIDE = (1280, 800)
DESK = (1600, 900)
PHONE = (390, 844)
PAST_S = 300.0


async def fifteen(wall: PlayedWall) -> None:
    """Add fifteen streams of two sites: one is suspect, one lost, one hindered."""
    for n, camera in enumerate(cameras(15)):
        camera.tags = ("Berlin" if n % 3 else "Lisbon", *(("doors",) if n % 4 == 0 else ()))
        await wall.add(camera, ago=PAST_S)
    wall.past(PAST_S, 60)
    wall.streams["cam-5"].level = 0.91
    wall.streams["cam-5"].verdict = Verdict.SUSPECT
    hindered = wall.streams["cam-4"]
    hindered.verdict, hindered.reasons = Verdict.PENDING, (AbstainReason.BLURRED,)
    wall.past(60)
    lost, detail = wall.streams["cam-2"], "the camera did not answer within 2.5 s"
    wall.connection(lost.id, ConnectionState.BACKING_OFF, ReasonCode.TIMEOUT, detail)


async def several(wall: PlayedWall) -> None:
    """Add one stream that four detectors look at, of which three explain their scores."""
    names = ("caddm-efficientnet-b4", "fakestormer-c23", "ensemble")
    camera = replace(cameras(1)[0], faces=2, face_px=150.0, shift=90.0, agreement=0.93)
    camera.others = tuple(replace(CARD, name=name) for name in names)
    pointing = wall.rig.control.pointing
    pointing[CARD.name] = PointsAt.TRACES
    pointing["caddm-efficientnet-b4"] = PointsAt.ARTIFACTS
    pointing["fakestormer-c23"] = PointsAt.VULNERABILITY
    await wall.add(camera, ago=PAST_S)
    wall.past(PAST_S, 90)
    camera.level, camera.verdict = 0.88, Verdict.SUSPECT
    wall.past(90)


async def crowd(wall: PlayedWall) -> None:
    """Add sixty-four streams."""
    for camera in cameras(64):
        await wall.add(camera, ago=20.0)
    wall.streams["cam-40"].level, wall.streams["cam-40"].verdict = 0.9, Verdict.SUSPECT
    wall.past(20.0)


async def night(wall: PlayedWall) -> None:
    """Add six streams, of which three turn suspect one after the other."""
    for camera in cameras(6):
        await wall.add(camera, ago=PAST_S)
    wall.past(PAST_S, 200)
    for id, level, ago in (("cam-5", 0.83, 140.0), ("cam-3", 0.78, 80.0), ("cam-1", 0.94, 0.0)):
        camera = wall.streams[id]
        before = camera.level
        camera.level, camera.verdict = level, Verdict.SUSPECT
        wall.past(ago + 60.0 if ago else 60.0, ago + 20.0 if ago else 0.0)
        if ago:
            camera.level, camera.verdict = before, Verdict.CLEAR
            wall.past(ago + 20.0, ago)


async def newest(page: Page) -> None:
    """Open the newest incident."""
    await page.locator(".row-link").first.click()
    await expect(page.locator(".timeline canvas")).to_be_visible()


async def point(page: Page) -> None:
    """Turn an overlay on, and wait until it is there."""
    await page.get_by_role("combobox", name="Detector").select_option("caddm-efficientnet-b4")
    await page.get_by_role("button", name="caddm-efficientnet-b4").click()
    await expect(page.locator(".overlay .regions .edge").first).to_be_attached()


SHOTS = {
    "dashboard-wall": (fifteen, "/", DESK, None),
    "dashboard-wall-phone": (fifteen, "/", PHONE, None),
    "dashboard-stream": (several, "/streams/cam-1", WIDE, None),
    "dashboard-overlay": (several, "/streams/cam-1", WIDE, point),
    "dashboard-overlay-phone": (several, "/streams/cam-1", PHONE, point),
    "incidents": (night, "/incidents", WIDE, None),
    "incident": (night, "/incidents", WIDE, newest),
    "dashboard-crowd": (crowd, "/", WIDE, None),
}


async def shoot(browser: Browser, folder: Path, name: str) -> None:
    """Make one picture."""
    fill, path, (width, height), then = SHOTS[name]
    wall = PlayedWall(WebRig(clock=SystemClock()))
    await fill(wall)
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        locale="en-GB",
        color_scheme="dark",
    )
    async with wall.playing(), served(wall.rig.app) as port:
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{port}{path}")
        ready = ".row" if path == "/incidents" else ".picture canvas"
        await expect(page.locator(ready).first).to_be_visible(timeout=60_000)
        if then is not None:
            await then(page)
        await wall.rig.clock.sleep(3.0)  # until every tile has its picture
        taken = await page.screenshot(full_page=height == PHONE[1] and path != "/")
        whole = Image.open(io.BytesIO(taken)).convert("RGB")
        if fill is not fifteen:  # whose many pictures need more colours
            whole = whole.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        whole.save(folder / f"{name}.png", optimize=True)
    await context.close()


async def main(folder: Path, names: list[str]) -> None:
    """Make all pictures, or those that are named."""
    async with chromium() as browser:
        for name in names or SHOTS:
            await shoot(browser, folder, name)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
