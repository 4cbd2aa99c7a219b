"""Machines and their workers on the page, in Chromium against the real application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from stream.clock import SystemClock
from tests.support.machines import PlayedMachines, table, two_machines, worker
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "web/dashboard/node_modules/axe-core/axe.min.js"


@asynccontextmanager
async def shown(machines: PlayedMachines | None, count: int = 3) -> AsyncIterator[str]:
    """Serve some cameras; yields the address of the wall."""
    wall = PlayedWall(WebRig(clock=SystemClock(), machines=machines))
    for camera in cameras(count):
        await wall.add(camera)
    async with wall.playing(), served(wall.rig.app) as port:
        yield f"http://127.0.0.1:{port}"


async def test_a_worker_is_drained_and_taken_back_with_the_keyboard(page: Page) -> None:
    machines = PlayedMachines(table(worker("worker-1", "cam-1", "cam-2"), worker("worker-2")))
    async with shown(machines) as address:
        await page.goto(address)
        await page.get_by_role("link", name="Machines", exact=True).press("Enter")
        row = page.get_by_role("listitem", name="worker-1", exact=True)
        await expect(row).to_contain_text("Serving")
        drain = row.get_by_role("button", name="rain worker-1")
        await drain.press("Enter")
        await expect(drain).to_have_text("Really drain?")
        await expect(row).to_contain_text("Its 2 streams move to others")
        await drain.press("Escape")
        await expect(drain).to_have_text("Drain")
        assert machines.drained == []
        await drain.press("Enter")
        await drain.press("Enter")
        await expect(row).to_contain_text("Its 2 streams are being moved to others")
        machines.put(replace(machines.now.workers["worker-1"], streams=()))
        await expect(row).to_contain_text("it can be stopped or upgraded")
        await row.get_by_role("button", name="Take back worker-1").press("Enter")
        await expect(row).to_contain_text("Serving")
        assert machines.drained == [("worker-1", True), ("worker-1", False)]


async def test_a_worker_that_dies_while_somebody_looks_says_so_and_its_stream_where_it_is(
    page: Page,
) -> None:
    machines = PlayedMachines(table(worker("worker-1", "cam-1"), worker("worker-2")))
    async with shown(machines) as address:
        await page.goto(f"{address}/machines")
        row = page.get_by_role("listitem", name="worker-1", exact=True)
        await expect(row).to_contain_text("25 % busy")
        machines.put(replace(machines.now.workers["worker-1"], alive=False, quiet_s=4.0))
        await expect(row).to_contain_text("Its stream is being given to others")
        machines.put(replace(machines.now.workers["worker-1"], streams=()))
        machines.put(replace(machines.now.workers["worker-2"], streams=("cam-1",)))
        other = page.get_by_role("listitem", name="worker-2", exact=True)
        await other.get_by_role("link", name="Lobby", exact=True).click()
        await page.get_by_role("link", name="on worker-2", exact=True).click()
        await expect(page.get_by_role("heading", name="Machines", exact=True)).to_be_visible()


async def test_one_process_says_how_there_could_be_more(page: Page) -> None:
    async with shown(None) as address:
        await page.goto(f"{address}/machines")
        await expect(page.get_by_text("serve --workers auto")).to_be_visible()
        row = page.get_by_role("listitem", name="this process", exact=True)
        await expect(row.get_by_role("link")).to_have_count(3)
        await expect(row.get_by_role("button")).to_have_count(0)
        await page.get_by_role("link", name="Alerts", exact=True).click()
        await expect(page.get_by_role("link", name="Machines", exact=True)).to_have_count(0)


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in web/dashboard")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
async def test_axe_finds_nothing_and_nothing_is_cut(
    context: BrowserContext, scheme: str, width: int
) -> None:
    page = await context.new_page()
    await page.set_viewport_size({"width": width, "height": 720})
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    async with shown(two_machines(), 12) as address:
        await page.goto(f"{address}/machines")
        row = page.get_by_role("listitem", name="worker-2", exact=True)
        await row.get_by_role("button", name="Take back worker-2").focus()
        first = page.get_by_role("button", name="rain worker-1")
        await first.press("Enter")
        await expect(first).to_have_text("Really drain?")
        wide = await page.evaluate("document.documentElement.scrollWidth")
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run()")
    assert wide <= width
    assert [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found["violations"]
    ] == []
