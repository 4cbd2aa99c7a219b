"""Explanations on a stream's page: a switch, and regions that belong to the picture."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, Response, expect

from stream.explain.pictures import Pictures, PictureSettings
from stream.problems import POINTS_AT_WORDS
from styleflow.overlay import PointsAt
from tests.support.calls import call_rig
from tests.support.published import toy_pipeline_of
from tests.support.wall import PlayedWall, cameras
from tests.support.wire import CARD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

AXE = Path(__file__).parents[2] / "web" / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
CADDM = "caddm-resnet34"
REGIONS = ".overlay .regions .edge"


async def test_turning_it_on_shows_the_places_of_a_demo_stream(page: Page) -> None:
    """Off at first; with the keyboard on and off again; asked of the server only meanwhile."""
    asked: list[Response] = []
    page.on("response", lambda got: asked.append(got) if "overlay=" in got.url else None)

    def pipeline() -> Any:
        return toy_pipeline_of("styleflow", CADDM)

    async with call_rig(pipeline=pipeline) as rig:
        address = f"http://127.0.0.1:{rig.port}"
        async with httpx.AsyncClient(base_url=address, timeout=20) as http:
            body = {"id": "demo", "source": {"url": "demo://tampered"}}
            (await http.post("/api/v1/streams", json=body)).raise_for_status()
        await page.goto(f"{address}/streams/demo")
        switch = page.get_by_role("group", name="Show explanation of", exact=True)
        button = switch.get_by_role("button", name=CADDM)
        await expect(switch.get_by_role("button")).to_have_count(1)
        await expect(button).to_have_attribute("aria-pressed", "false")
        await expect(page.locator(".explanation .unable")).to_have_text(
            f"styleflow: {POINTS_AT_WORDS[None]}"
        )
        await expect(page.locator(".overlay .box").first).to_be_attached()
        await expect(page.locator(REGIONS)).to_have_count(0)
        assert asked == []
        await button.focus()
        await page.keyboard.press("Enter")
        await expect(button).to_have_attribute("aria-pressed", "true")
        await expect(page.locator(REGIONS).first).to_be_attached(timeout=20_000)
        await expect(page.locator(".explanation .now")).to_have_text(
            re.compile(r"^\d+ regions? in the frame shown")
        )
        await expect(page.locator(".explanation .meaning")).to_contain_text("not a finding")
        pictures = [got for got in asked if got.status == 200]
        headers = [await got.all_headers() for got in pictures]
        assert {json.loads(h["picture-overlay"])["detector"] for h in headers} == {CADDM}
        await page.keyboard.press("Enter")
        await expect(page.locator(REGIONS)).to_have_count(0)
        await expect(button).to_have_attribute("aria-pressed", "false")


async def test_places_lie_where_their_crop_lies(page: Page, wall: PlayedWall, address: str) -> None:
    """The strong one is below the middle of the face's box and wholly inside it."""
    wall.rig.control.pointing[CADDM] = PointsAt.ARTIFACTS
    await wall.add(replace(cameras(1)[0], others=(replace(CARD, name=CADDM),)))
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-1")
        await page.get_by_role("button", name=CADDM, exact=True).click()
        await expect(page.locator(REGIONS)).to_have_count(2)
        box, strong = await page.evaluate(
            """() => ['.overlay .box .edge', '.overlay .regions .edge.strong'].map((at) => {
                 const place = document.querySelector(at).getBoundingClientRect();
                 return place.toJSON();
               })"""
        )
    slack = 4  # the line's own width, and a beat between the two
    assert box["left"] - slack <= strong["left"] < strong["right"] <= box["right"] + slack
    assert (box["top"] + box["bottom"]) / 2 < strong["top"] < strong["bottom"] < box["bottom"]


async def test_where_no_detector_can_point_there_is_no_switch(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await wall.add(cameras(1)[0])
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-1")
        await expect(page.locator(".explanation .unable")).to_be_visible()
        await expect(page.locator(".explanation button")).to_have_count(0)


async def test_a_refusal_is_told_and_the_picture_goes_on(
    page: Page, wall: PlayedWall, address: str
) -> None:
    wall.rig.control.pictures = Pictures(PictureSettings(overlays=0))
    wall.rig.control.pointing[CARD.name] = PointsAt.TRACES
    await wall.add(cameras(1)[0])
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-1")
        button = page.get_by_role("button", name=CARD.name)
        await button.click()
        await expect(page.locator(".explanation .refused")).to_contain_text("Too many look")
        await expect(button).to_have_attribute("aria-pressed", "false")
        async with page.expect_response(
            lambda r: "picture.jpg" in r.url and r.status == 200
        ) as got:
            pass
        assert "overlay=" not in (await got.value).url


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in web/dashboard")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_wcag_aa_with_places_shown(
    page: Page, wall: PlayedWall, address: str, scheme: Any
) -> None:
    wall.rig.control.pointing[CADDM] = PointsAt.ARTIFACTS
    await wall.add(replace(cameras(1)[0], others=(replace(CARD, name=CADDM),)))
    await page.emulate_media(color_scheme=scheme)
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-1")
        await page.get_by_role("button", name=CADDM, exact=True).click()
        await expect(page.locator(REGIONS).first).to_be_attached()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
        )
    assert [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in found["violations"]] == []


async def test_a_phone_shows_the_switch_without_sideways_scrolling(
    page: Page, wall: PlayedWall, address: str
) -> None:
    others = tuple(replace(CARD, name=n) for n in (CADDM, "fakestormer-c23", "caddm-resnet10"))
    wall.rig.control.pointing |= {card.name: PointsAt.VULNERABILITY for card in others}
    await wall.add(replace(cameras(1)[0], others=others))
    await page.set_viewport_size({"width": 390, "height": 844})
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-1")
        await page.get_by_role("button", name="fakestormer-c23", exact=True).click()
        await expect(page.locator(REGIONS).first).to_be_attached()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
