"""Makes the pictures of incidents and alerts in `docs/images`, from a real analyzer and cameras.

Run it after the page has changed: `python -m tests.support.incident_screenshots docs/images`. The
cameras show the demo's scene, which is our own making; the analyzer takes every face for
synthesised, so the scores are no statement of the model. The wall is scripted.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.async_api import Browser, Page, expect

from stream.clock import SystemClock
from stream.events import Verdict
from stream.ingest.demo_scene import Scene
from tests.support.alerts import SECRET, receiver
from tests.support.browser import chromium
from tests.support.media import encode
from tests.support.rtsp import Media, RtspServer
from tests.support.server import Server
from tests.support.suspicious import suspicious_config
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served

WIDTH = 1280
HEIGHTS = {
    "incident-mark": 760,
    "incidents": 520,
    "incident": 1124,
    "incident-points-at": 860,
    "alerts": 580,
}
PAST_S = 300.0
SIZE, FPS, SECONDS = (640, 360), 25, 12
CAMERAS = (("gate", "Gate"), ("counter", "Counter"), ("lobby", "Lobby"))
DETECTOR = {
    "name": "styleflow-live",
    "calibration": {"scale": 0.25, "bias": 2.6, "spread": 0.35},
}


def film(folder: Path, seed: int) -> Media:
    """Return a camera's video: a face that is made anew in every frame."""
    scene = Scene(SIZE, FPS, seed)
    pictures = (scene.tampered(index) for index in range(FPS * SECONDS))
    return Media(encode(folder / f"{seed}.mp4", pictures, "h264", fps=FPS, gop=12))


def alerts(hook: str) -> dict[str, Any]:
    """Return channels of which one works, and a rule."""
    return {
        "channels": {
            "webhook": [
                {
                    "name": "control-room",
                    "url": hook,
                    "secret": SECRET,
                    "allow_networks": ["127.0.0.0/8"],
                }
            ],
            "email": [
                {
                    "name": "night-shift",
                    "host": "127.0.0.1",
                    "port": 9,
                    "security": "none",
                    "sender": "styleflow@example.org",
                    "to": ["security@example.org"],
                }
            ],
        },
        "rules": [{"name": "everything", "channels": ["control-room"], "severity": "hint"}],
    }


NIGHT = {
    "channels": ["control-room", "night-shift"],
    "streams": ["gate", "lobby-*"],
    "severity": "low",
    "min_s": 3,
    "most": 4,
    "quiet": [{"start": "07:00", "end": "07:30", "zone": "Europe/Berlin", "days": ["mon", "tue"]}],
}


class Night:
    """What happens before the pictures are taken."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.http = httpx.Client(base_url=server.url, timeout=20)

    async def add(self, id: str, name: str, camera: RtspServer) -> None:
        """Have a camera watched, as soon as the machine has time for it."""
        body = {"id": id, "name": name, "source": {"url": camera.url("/face")}}
        for _ in range(60):
            answer = self.http.post("/api/v1/streams", json=body)
            if answer.status_code != 429:
                break
            await asyncio.sleep(1.0)
        answer.raise_for_status()

    async def until(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Return the first incident that is wanted, once there is one."""
        for _ in range(240):
            found = self.http.get("/api/v1/incidents").json()["incidents"]
            for incident in found:
                if wanted(incident):
                    return dict(incident)
            await asyncio.sleep(0.5)
        raise TimeoutError(f"{what}: {found}")

    def change(self, incident: dict[str, Any], **change: Any) -> None:
        """Say something of an incident."""
        path = f"/api/v1/incidents/{incident['id']}"
        self.http.patch(path, json=change).raise_for_status()


async def pass_by(server: Server, cameras: list[RtspServer]) -> Night:
    """Have one camera after the other turn suspect; the last one still is."""
    night = Night(server)
    night.http.put("/api/v1/alerts/rules/doors-at-night", json=NIGHT).raise_for_status()
    for (id, name), camera in zip(CAMERAS, cameras, strict=True):
        await night.add(id, name, camera)
        await night.until(lambda one, id=id: one["stream"] == id, f"incident of {id}")  # type: ignore[misc]
        await asyncio.sleep(9.0)
        if id != CAMERAS[-1][0]:
            camera.kill()
            kept = await night.until(
                lambda one, id=id: one["stream"] == id and one["evidence"]["state"] == "kept",  # type: ignore[misc]
                f"clip of {id}",
            )
            if id == "gate":
                night.change(kept, note="The badge does not match the face.")
            else:
                night.change(kept, acknowledged=True, label="false")
    return night


async def shoot(page: Page, folder: Path, name: str) -> None:
    """Write what a page shows, with 256 colours that are chosen so that grey has no tint."""
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHTS[name]})
    await page.mouse.move(0, 0)
    await page.evaluate("scrollTo(0, 0)")
    await asyncio.sleep(1.5)  # until pictures are there
    whole = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    fewer = whole.quantize(256, Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
    fewer.save(folder / f"{name}.png", optimize=True)


async def take(browser: Browser, url: str, folder: Path) -> None:
    """Take the three pictures."""
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHTS["incident"]},
        reduced_motion="reduce",
        locale="en-GB",
        color_scheme="dark",
    )
    page = await context.new_page()
    await page.goto(f"{url}/incidents")
    await expect(page.locator(".row")).to_have_count(len(CAMERAS))
    await shoot(page, folder, "incidents")
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHTS["incident"]})
    await page.get_by_role("link", name="Gate").click()
    await expect(page.locator(".stage video")).to_be_visible()
    await page.get_by_role("button", name="Highest score").click()
    await page.wait_for_function("() => document.querySelector('.stage video').readyState >= 2")
    await shoot(page, folder, "incident")
    await page.get_by_role("button", name="What the detector points at").click()
    await shoot(page, folder, "incident-points-at")
    await page.goto(f"{url}/alerts")
    await page.get_by_role("button", name="Send a test by doors-at-night").click()
    await expect(page.locator(".trial li")).to_have_count(2)
    await shoot(page, folder, "alerts")
    await context.close()


async def take_wall(browser: Browser, folder: Path) -> None:
    """Take the picture of a wall on which three scripted streams were suspect."""
    wall = PlayedWall(WebRig(clock=SystemClock()))
    for camera in cameras(6):
        await wall.add(camera, ago=PAST_S)
    wall.past(PAST_S, 200)
    for id, level, ago in (("cam-5", 0.83, 140.0), ("cam-3", 0.78, 80.0), ("cam-2", 0.94, 20.0)):
        camera = wall.streams[id]
        before, camera.level, camera.verdict = camera.level, level, Verdict.SUSPECT
        wall.past(ago + 60.0, ago + 20.0)
        camera.level, camera.verdict = before, Verdict.CLEAR
        wall.past(ago + 20.0, ago)
    wall.past(20.0)
    context = await browser.new_context(
        reduced_motion="reduce", locale="en-GB", color_scheme="dark"
    )
    page = await context.new_page()
    async with wall.playing(), served(wall.rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}")
        await expect(page.locator(".unacknowledged")).to_have_count(3)
        await expect(page.locator(".picture canvas")).to_have_count(6, timeout=20_000)
        await shoot(page, folder, "incident-mark")
    await context.close()


async def main(folder: Path) -> None:
    """Make all pictures."""
    async with chromium() as browser:
        await take_wall(browser, folder)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hook = stack.enter_context(receiver())
        films = [film(scratch, seed) for seed in range(1, len(CAMERAS) + 1)]
        cameras = [stack.enter_context(RtspServer({"/face": media})) for media in films]
        config = suspicious_config(
            scratch,
            detectors=[DETECTOR],
            alerts=alerts(hook.url),
            incidents={"experimental_alarms": True, "quiet_s": 8, "merge_s": 8},
        )
        server = stack.enter_context(Server(config))
        await pass_by(server, cameras)
        async with chromium() as browser:
            await take(browser, server.url, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
