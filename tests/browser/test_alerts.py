"""Rules and channels of alerts on the page, in Chromium against the real application."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, WebSocketRoute, expect

from stream.alerts.alerts import Alerts
from stream.alerts.errors import AlertUndelivered
from stream.alerts.settings import AlertsSettings
from stream.clock import SystemClock
from stream.event_log.event_log import StampedEvent
from tests.support.alerts import PlayedChannel, changed, rule, store
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

pytestmark = pytest.mark.browser

VIEWER = "viewers-know-this-one"
AXE = Path(__file__).parents[2] / "web/dashboard/node_modules/axe-core/axe.min.js"


class Desk:
    """The page's application with one configured rule and two played channels."""

    def __init__(self, folder: Path, settings: WebSettings | None = None) -> None:
        self.clock = SystemClock()
        self.hook = PlayedChannel("hook", "webhook")
        self.mail = PlayedChannel("night-shift", "email")
        self.alerts = Alerts(
            [self.hook, self.mail],
            AlertsSettings(rules=(rule(name="all", channels=("hook",)),)),
            store(folder / "store.sqlite"),
            self.clock,
        )
        self.wall = PlayedWall(WebRig(settings, clock=self.clock, alerts=self.alerts))

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[str]:
        """Serve it with three cameras; yields the address of the alerts."""
        for camera in cameras(3):
            await self.wall.add(camera)
        async with self.wall.playing(), served(self.wall.rig.app) as port:
            yield f"http://127.0.0.1:{port}/alerts"

    async def fail(self) -> None:
        """Have the webhook refuse a message."""
        self.hook.error = AlertUndelivered("the receiver answered 503")
        self.hook.refusals = 1
        await self.tell("i1")

    async def tell(self, incident: str) -> None:
        """Have an incident open, and the webhook told of it."""
        self.alerts.accept(StampedEvent(1, 0.0, self.clock.utc(), changed(id=incident)))
        await self.alerts.step("hook")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_rule_is_made_changed_tried_and_removed_with_the_keyboard(
    page: Page, desk: Desk
) -> None:
    async with desk.shown() as address:
        await page.goto(address)
        await page.get_by_role("button", name="New rule", exact=True).focus()
        await page.keyboard.press("Enter")
        form = page.get_by_role("dialog", name="New rule", exact=True)
        await expect(form.get_by_label("Name", exact=True)).to_be_focused()
        await page.keyboard.type("doors")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Control+a")
        await page.keyboard.type("cam-1, cam-3")
        await expect(form.get_by_text("Now: Lobby, Counter")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(form.get_by_role("alert")).to_contain_text(
            "Send through: choose at least one channel"
        )
        await form.get_by_label("hook", exact=True).press("Space")
        await form.get_by_label("night-shift", exact=True).press("Space")
        await form.get_by_label("Severity").select_option("medium")
        await form.get_by_role("button", name="Add quiet hours", exact=True).press("Enter")
        await form.get_by_label("Mon", exact=True).press("Space")
        await form.get_by_role("button", name="Save", exact=True).press("Enter")
        row = page.get_by_role("listitem", name="doors", exact=True)
        await expect(row).to_contain_text("cam-1, cam-3: severity medium or above")
        await expect(row).to_contain_text("22:00 to 06:00")
        made = desk.alerts.rule("doors").rule
        assert made.channels == ("hook", "night-shift")
        assert made.quiet[0].days == ("tue", "wed", "thu", "fri", "sat", "sun")

        desk.mail.refusals = 1
        await row.get_by_role("button", name="Send a test").press("Enter")
        await expect(row.get_by_role("status")).to_contain_text("Test sent through hook")
        await expect(row.get_by_role("status")).to_contain_text(
            "Not sent through night-shift: Nobody is there"
        )

        await row.get_by_role("button", name="Change doors", exact=True).press("Enter")
        form = page.get_by_role("dialog", name="Change doors", exact=True)
        await form.get_by_label("Suspect for at least").fill("7")
        await form.get_by_role("button", name="Save", exact=True).press("Enter")
        await expect(row).to_contain_text("suspect for 7 s or more")

        remove = row.get_by_role("button", name="emove doors")
        await remove.press("Enter")
        await expect(remove).to_have_text("Really remove?")
        await remove.press("Escape")
        await expect(remove).to_have_text("Remove")
        await remove.press("Enter")
        await remove.press("Enter")
        await expect(row).to_have_count(0)
        assert [status.rule.name for status in desk.alerts.rules()] == ["all"]


async def test_a_configured_rule_says_so_and_can_only_be_tried(page: Page, desk: Desk) -> None:
    async with desk.shown() as address:
        await page.goto(address)
        row = page.get_by_role("listitem", name="all", exact=True)
        await expect(row).to_contain_text("From the configuration")
        await expect(row.get_by_role("button", name="Change")).to_have_count(0)
        await expect(row.get_by_role("button", name="Remove")).to_have_count(0)
        await expect(row.get_by_role("button", name="Send a test")).to_be_visible()


async def test_a_failing_channel_says_why_and_recovers_on_the_page(page: Page, desk: Desk) -> None:
    await desk.fail()
    async with desk.shown() as address:
        await page.goto(address)
        row = page.get_by_role("listitem", name="hook", exact=True)
        await expect(row).to_contain_text("Failing")
        await expect(row).to_contain_text("The receiver answered 503. What waits is tried again")
        idle = page.get_by_role("listitem", name="night-shift", exact=True)
        await expect(idle).to_contain_text("Nothing sent yet")
        await desk.tell("i2")
        await expect(row).to_contain_text("Sending")  # the first one is tried again later
        await expect(row).not_to_contain_text("503")


async def test_a_form_that_is_open_before_the_streams_are_known_stays_open(
    page: Page, desk: Desk
) -> None:
    known = asyncio.Event()

    async def held(socket: WebSocketRoute) -> None:
        await known.wait()
        socket.connect_to_server()

    async with desk.shown() as address:
        await page.route_web_socket(re.compile("/api/v1/scores"), held)
        await page.goto(address)
        await page.get_by_role("button", name="New rule", exact=True).click()
        form = page.get_by_role("dialog")
        await form.get_by_label("Name", exact=True).fill("nights")
        known.set()
        await expect(page.locator("p.link")).to_have_text("Live")
        await page.wait_for_timeout(200)  # for the first snapshots, which come after "Live"
        await form.get_by_label("hook", exact=True).check()
        await expect(form.get_by_label("Name", exact=True)).to_have_value("nights")


async def test_what_the_server_refuses_stays_in_the_form_in_its_own_words(
    page: Page, desk: Desk
) -> None:
    async with desk.shown() as address:
        await page.goto(address)
        await page.get_by_role("button", name="New rule", exact=True).click()
        form = page.get_by_role("dialog")
        await form.get_by_label("Name", exact=True).fill("nights")
        await form.get_by_label("hook", exact=True).check()
        await form.get_by_role("button", name="Add quiet hours", exact=True).click()
        await form.get_by_label("Time zone", exact=True).fill("Atlantis")
        await form.get_by_role("button", name="Save", exact=True).click()
        await expect(form.get_by_role("alert")).to_contain_text("Europe/Berlin")
        await expect(form.get_by_label("Name", exact=True)).to_have_value("nights")
        await page.keyboard.press("Escape")
        await expect(form).to_have_count(0)


async def test_a_viewer_sees_rules_and_is_offered_no_change(page: Page, tmp_path: Path) -> None:
    settings = WebSettings(tokens=(Token(TokenDigest(VIEWER), Role.VIEWER),))
    async with Desk(tmp_path, settings).shown() as address:
        await page.goto(address)
        await page.get_by_role("textbox", name="Token", exact=True).fill(VIEWER)
        await page.get_by_role("button", name="Connect", exact=True).click()
        row = page.get_by_role("listitem", name="all", exact=True)
        await expect(row).to_contain_text("Every stream")
        await expect(page.get_by_role("listitem", name="hook", exact=True)).to_be_visible()
        await expect(page.locator(".alerts button")).to_have_count(0)


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in web/dashboard")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("form", [False, True])
async def test_axe_finds_nothing(
    context: BrowserContext, desk: Desk, scheme: str, form: bool
) -> None:
    await desk.fail()
    page = await context.new_page()
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    async with desk.shown() as address:
        await page.goto(address)
        await expect(page.get_by_role("listitem", name="hook", exact=True)).to_contain_text(
            "Failing"
        )
        if form:
            await page.get_by_role("button", name="New rule", exact=True).click()
            await page.get_by_role("button", name="Add quiet hours", exact=True).click()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run()")
    assert [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found["violations"]
    ] == []
