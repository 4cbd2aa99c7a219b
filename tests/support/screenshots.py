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
from tests.support.wall import PlayedStream, PlayedWall, cameras, untrained
from tests.support.web import WebRig, served
from tests.support.wire import CARD

WIDE = (1280, 800)
PHONE = (390, 844)
PAST_S = 300.0


async def eight(wall: PlayedWall) -> None:
    """Add eight streams, of which one is suspect, one lost, one hindered and one a demo."""
    for camera in cameras(6):
        await wall.add(camera, ago=PAST_S)
    demo = PlayedStream("demo", "Demo", url="demo://tampered", level=0.86, verdict=Verdict.SUSPECT)
    await wall.add(demo, ago=PAST_S)
    await wall.add(untrained(PlayedStream("test", "Test rig", shift=30)), ago=PAST_S)
    wall.past(PAST_S, 60)
    wall.streams["cam-5"].level = 0.91
    wall.streams["cam-5"].verdict = Verdict.SUSPECT
    hindered = wall.streams["cam-4"]
    hindered.verdict, hindered.reasons = Verdict.PENDING, (AbstainReason.BLURRED,)
    wall.past(60)
    wall.connection("cam-2", ConnectionState.BACKING_OFF, ReasonCode.TIMEOUT, "no packets for 2 s")


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


async def point(page: Page) -> None:
    """Turn an overlay on, and wait until it is there."""
    await page.get_by_role("combobox", name="Detector").select_option("caddm-efficientnet-b4")
    await page.get_by_role("button", name="caddm-efficientnet-b4").click()
    await expect(page.locator(".overlay .regions .edge").first).to_be_attached()


SHOTS = {
    "dashboard-wall": (eight, "/", WIDE, None),
    "dashboard-stream": (several, "/streams/cam-1", WIDE, None),
    "dashboard-overlay": (several, "/streams/cam-1", WIDE, point),
    "dashboard-overlay-phone": (several, "/streams/cam-1", PHONE, point),
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
        await expect(page.locator(".picture canvas").first).to_be_visible(timeout=60_000)
        if then is not None:
            await then(page)
        await wall.rig.clock.sleep(3.0)  # until every tile has its picture
        taken = await page.screenshot(full_page=height == PHONE[1])
        whole = Image.open(io.BytesIO(taken)).convert("RGB")
        colours = whole.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        colours.save(folder / f"{name}.png", optimize=True)
    await context.close()


async def main(folder: Path, names: list[str]) -> None:
    """Make all pictures, or those that are named."""
    async with chromium() as browser:
        for name in names or SHOTS:
            await shoot(browser, folder, name)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
