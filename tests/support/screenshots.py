"""Makes the pictures of the dashboard in `docs/images`, from scripted streams.

Run it after the page has changed: `python -m tests.support.screenshots docs/images`. Nobody who is
watched appears in them: the face is scikit-image's public-domain portrait.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, expect

from stream.clock import SystemClock
from stream.drift.comparison import FigureChange
from stream.drift.sketch import Figure
from stream.drift.words import sentence
from stream.events import AbstainReason, ConnectionState, ReasonCode, SecondLook, Verdict
from styleflow.cards import TrainingStatus
from styleflow.overlay import PointsAt
from styleflow.weights import checkpoint as weights
from tests.support.browser import chromium
from tests.support.canaries import pair
from tests.support.challenge_screenshots import asked
from tests.support.machines import two_machines
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served
from tests.support.wire import CARD

WIDE = (1280, 800)
DESK = (1600, 900)
PHONE = (390, 844)
TALL = (1280, 1360)
SQUARE = (1280, 1080)
PAST_S = 300.0

Shot = tuple[
    Callable[[PlayedWall], Awaitable[None]],
    str,
    tuple[int, int],
    Callable[[Page], Awaitable[Page | None]] | None,
]
"""Who fills the wall, the view, the window's size, what is done before; that may name the page."""

READY = {
    "/incidents": ".row",
    "/help": ".model-card",
    "/streams/front-door": ".qr",
    "/machines": ".worker",
}
"""What must be there before a picture is made, where that is not a live one."""


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


async def drifted(wall: PlayedWall) -> None:
    """Add one stream that has become darker than it was in its last seven days."""
    camera = replace(cameras(1)[0], tint=(0.6, 0.6, 0.6), shift=90.0, level=0.34)
    change = FigureChange(Figure.BRIGHTNESS, 0.83, 0.5, 0.31, 0.52, changed=True, lower=True)
    camera.drift = (sentence(change),)
    await wall.add(camera, ago=PAST_S)
    wall.past(PAST_S, 60)


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


async def door(wall: PlayedWall) -> None:
    """Add a stream that waits for a call."""
    await wall.wait_for_call("front-door", "Front door")


async def shipped(wall: PlayedWall) -> None:
    """Have the shipped weights score streams, of which two turn suspect."""
    ours = weights.shipped().card
    wall.rig.models = (ours,)
    for camera in cameras(4):
        camera.model = ours
        await wall.add(camera, ago=30.0)
    wall.past(30.0, 15.0)
    wall.streams["cam-3"].level, wall.streams["cam-3"].verdict = 0.91, Verdict.SUSPECT
    hindered = wall.streams["cam-4"]
    hindered.verdict, hindered.reasons = Verdict.PENDING, (AbstainReason.BLURRED,)
    wall.past(15.0)
    wall.connection("cam-2", ConnectionState.BACKING_OFF, ReasonCode.TIMEOUT, "no packets for 2 s")


async def blind(wall: PlayedWall) -> None:
    """Have the detector checked with known clips, of which half the pictures are lost lately."""
    await shipped(wall)
    assert wall.rig.canaries is not None
    for _ in range(6):
        wall.rig.canaries.conclude(pair(-0.55, 0.7))
    for _ in range(2):
        wall.rig.canaries.conclude(pair(-0.55, 0.7, fps=12.5))


async def canaries(page: Page) -> None:
    """Show the known clips."""
    await page.get_by_role("button", name="Show canaries").click()


async def call(wall: PlayedWall) -> None:
    """Have three people in one call, of whom one is suspect."""
    camera = replace(cameras(1)[0], name="Call with Dr Weber", faces=3, face_px=130.0, shift=0.0)
    await wall.add(camera, ago=30.0)
    wall.past(30.0, 15.0)
    camera.level, camera.verdict = 0.88, Verdict.SUSPECT
    wall.past(15.0)


async def known_camera(wall: PlayedWall) -> None:
    """Add one stream whose last ten minutes may be said to be real."""
    camera = replace(cameras(1)[0], face_px=150.0)
    await wall.add(camera, ago=600.0)
    wall.past(600.0)


async def known_real(page: Page) -> None:
    """Say that the last ten minutes were real, and look at what came of it."""
    await page.get_by_role("button", name="These ten minutes were real").click()
    panel = page.get_by_role("region", name="Baseline: Lobby")
    await expect(panel).to_contain_text("Faces are compared with it")
    await panel.scroll_into_view_if_needed()


async def looked_at_twice(wall: PlayedWall) -> None:
    """Have two faces that a heavier detector was shown: it agrees on one, and not on the other."""
    camera = replace(cameras(1)[0], faces=2, face_px=150.0, shift=90.0)
    heavier = SecondLook("gend-pe-l", 0.93, 80.0, agrees=True, status=TrainingStatus.TRAINED)
    await wall.add(camera, ago=PAST_S)
    wall.past(PAST_S, 90)
    camera.level, camera.verdict = 0.92, Verdict.SUSPECT
    wall.past(90, 70)
    camera.second = {1: heavier, 2: replace(heavier, score=0.81, at=95.0, agrees=False)}
    wall.past(70)


async def glance(page: Page) -> Page:
    """Open the small window."""
    async with page.context.expect_page() as awaited:
        await page.get_by_role("button", name="Small window").click()
    small = await awaited.value
    await small.set_viewport_size({"width": 340, "height": 400})
    await expect(small.locator(".glance-card").first).to_be_visible()
    return small


async def spread(wall: PlayedWall) -> None:
    """Add the streams of four workers on two machines, see `two_machines`."""
    for camera in cameras(12):
        await wall.add(camera, ago=20.0)
    wall.past(20.0)


SHOTS: dict[str, Shot] = {
    "dashboard-wall": (fifteen, "/", DESK, None),
    "dashboard-wall-phone": (fifteen, "/", PHONE, None),
    "dashboard-stream": (several, "/streams/cam-1", WIDE, None),
    "second-look": (looked_at_twice, "/streams/cam-1", WIDE, None),
    "dashboard-overlay": (several, "/streams/cam-1", WIDE, point),
    "dashboard-overlay-phone": (several, "/streams/cam-1", PHONE, point),
    "drift": (drifted, "/streams/cam-1", WIDE, None),
    "challenge": (asked, "/streams/cam-1", TALL, None),
    "dashboard-crowd": (crowd, "/", WIDE, None),
    "dashboard-phone": (shipped, "/", PHONE, None),
    "waiting-room": (door, "/streams/front-door", WIDE, None),
    "waiting-room-phone": (door, "/streams/front-door", PHONE, None),
    "how-to-read": (shipped, "/help", WIDE, None),
    "how-to-read-phone": (shipped, "/help", PHONE, None),
    "stream-phone": (call, "/streams/cam-1", PHONE, None),
    "baseline-panel": (known_camera, "/streams/cam-1", WIDE, known_real),
    "canaries": (blind, "/", WIDE, canaries),
    "machines": (spread, "/machines", SQUARE, None),
    "machines-phone": (spread, "/machines", PHONE, None),
    "small-window": (shipped, "/", WIDE, glance),
    "small-window-call": (call, "/streams/cam-1", WIDE, glance),
}


async def shoot(browser: Browser, folder: Path, name: str) -> None:
    """Make one picture."""
    fill, path, (width, height), then = SHOTS[name]
    kept = Path(tempfile.mkdtemp(prefix="styleflow-baselines-"))
    machines = two_machines() if fill is spread else None
    known = fill is blind
    rig = WebRig(clock=SystemClock(), baselines_in=kept, canaries=known, machines=machines)
    wall = PlayedWall(rig)
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
        ready = READY.get(path, ".picture canvas")
        await expect(page.locator(ready).first).to_be_visible(timeout=60_000)
        shown = (await then(page) if then is not None else None) or page
        await wall.rig.clock.sleep(3.0)  # until every tile has its picture
        taken = await shown.screenshot(full_page=height == PHONE[1] and path != "/")
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
