"""The dashboard as people meet it: a real Chromium, a real server, scripted streams."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Locator, Page, Route, expect

from stream.clock import SystemClock
from stream.events import AbstainReason, ConnectionState, ReasonCode, Verdict
from styleflow.cards import TrainingStatus
from tests.support.ports import free_port
from tests.support.wall import PlayedStream, PlayedWall, cameras, untrained
from tests.support.web import WebRig, served
from tests.support.wire import CARD
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

AXE = Path(__file__).parents[2] / "web" / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
SECRET = "correct horse battery staple"


async def fill(wall: PlayedWall, count: int, seconds: float = 5.0) -> None:
    for camera in cameras(count):
        await wall.add(camera, ago=seconds)
    wall.past(seconds)


def tiles(page: Page) -> Locator:
    return page.locator(".tile")


async def names(page: Page) -> list[str]:
    return await page.locator(".tile .name").all_inner_texts()


# --- the wall -------------------------------------------------------------------------------


async def test_an_empty_wall_says_how_to_begin(page: Page, address: str) -> None:
    await page.goto(address)
    await expect(
        page.get_by_role("heading", name="Nothing is being watched yet", exact=True)
    ).to_be_visible()
    for name in ("Analyze my camera", "Analyze a tab", "Add a camera"):
        await expect(page.get_by_role("button", name=name)).to_be_enabled()


async def test_a_tile_shows_picture_state_score_and_age(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 2)
    async with wall.playing():
        await page.goto(address)
        tile = tiles(page).filter(has_text="Lobby")
        await expect(tile.locator(".state")).to_have_text("Clear")
        await expect(tile.locator(".score")).to_have_text(re.compile(r"0\.\d\d$"))
        await expect(tile.locator(".age")).to_have_text(re.compile("now"))
        await expect(tile.get_by_role("img", name="Lobby", exact=True)).to_be_visible()
        await expect(tile.locator(".overlay .box.ok")).to_have_count(1)
        assert await tile.locator(".sparkline .lead").get_attribute("d")


async def test_pictures_and_their_boxes_come_from_the_same_frame(
    page: Page, wall: PlayedWall, address: str
) -> None:
    """The answer that brings a picture brings the faces of that very frame."""
    await fill(wall, 1)
    async with wall.playing():
        async with page.expect_response(
            lambda r: "picture.jpg" in r.url and r.status == 200
        ) as awaited:
            await page.goto(address)
        headers = await (await awaited.value).all_headers()
        assert re.fullmatch(r"\d+", headers["picture-slot"])
        assert '"state":"ok"' in headers["picture-faces"]
        assert headers["cache-control"] == "no-store"


async def test_a_suspect_stream_rises_to_the_top(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 9)
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page)).to_have_count(9)
        await expect(tiles(page).first.locator(".name")).to_have_text("Annex")
        wall.streams["cam-7"].verdict = Verdict.SUSPECT
        wall.streams["cam-7"].level = 0.9
        await expect(tiles(page).first.locator(".name")).to_have_text("Studio")
        await expect(tiles(page).first.locator(".state")).to_have_text("Suspect")
        await expect(page).to_have_title("(1) suspect · StyleFlow Live")
        await expect(page.locator(".count.is-suspect")).to_have_text("1 suspect")


async def test_tiles_do_not_move_under_the_pointer(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 6)
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page)).to_have_count(6)
        before = await names(page)
        await tiles(page).nth(2).hover()
        wall.streams["cam-6"].verdict = Verdict.SUSPECT
        wall.streams["cam-6"].level = 0.9
        await expect(page.locator(".held")).to_have_text("Order held while you point here")
        assert await names(page) == before
        await page.mouse.move(5, 5)
        await expect(tiles(page).first.locator(".name")).to_have_text("Helpdesk")


async def test_a_lost_camera_is_told_in_words_and_its_picture_fades(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 3)
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page)).to_have_count(3)
        wall.connection(
            "cam-2", ConnectionState.FAILED, ReasonCode.AUTH, "the camera wants a password"
        )
        first = tiles(page).first
        await expect(first.locator(".state")).to_have_text("Wants a login")
        await expect(first.locator(".why")).to_have_text("the camera wants a password")
        await expect(first.locator(".picture")).to_have_class(re.compile("stale"), timeout=10_000)


async def test_no_verdict_comes_with_its_reason(page: Page, wall: PlayedWall, address: str) -> None:
    await wall.add(
        PlayedStream(
            "gate",
            "Gate",
            verdict=Verdict.PENDING,
            reasons=(AbstainReason.FACE_SMALL,),
            face_px=40,
        )
    )
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page).locator(".state")).to_have_text("Verdict: none yet")
        await expect(tiles(page).locator(".why")).to_have_text("the face is too small")


async def test_untrained_and_demo_scores_cannot_be_taken_for_findings(
    page: Page, wall: PlayedWall, address: str
) -> None:
    demo = PlayedStream("demo", "Demo", url="demo://tampered", verdict=Verdict.SUSPECT, level=0.9)
    await wall.add(demo)
    await wall.add(untrained(cameras(1)[0]))
    async with wall.playing():
        await page.goto(address)
        lobby = tiles(page).filter(has_text="Lobby")
        await expect(lobby.locator(".tag")).to_have_text(["Untrained"])
        await expect(lobby.locator(".score")).to_have_class(re.compile("doubtful"))
        await expect(lobby.locator(".score")).to_have_text(re.compile("Not a finding"))
        shown = tiles(page).filter(has_text="Demo")
        await expect(shown.locator(".tag")).to_have_text(["Demo"])
        await expect(shown.locator(".state")).to_have_text("Demo: suspect")
        await expect(page.locator(".count.is-suspect")).to_have_text("0 suspect")
        await expect(page.locator(".notices")).to_contain_text("Untrained model")
        await expect(page.locator(".notices")).to_contain_text("Demo source: not a finding")


async def test_an_experimental_model_gives_hints_not_findings(
    page: Page, wall: PlayedWall, address: str
) -> None:
    """It still brings the stream to the top: that is what a hint is for. What holds for all is said
    once above them, and of each only when there are others."""
    model = replace(CARD, status=TrainingStatus.EXPERIMENTAL)
    one, two = (replace(camera, model=model) for camera in cameras(2))
    await wall.add(one)
    await wall.add(replace(two, verdict=Verdict.SUSPECT, level=0.9))
    async with wall.playing():
        await page.goto(address)
        first = tiles(page).first
        await expect(first.locator(".state")).to_have_text("Suspect")
        await expect(tiles(page).nth(1).locator(".state")).to_have_text("Clear")
        said = page.locator(".notices p").filter(has_text="Experimental model")
        await expect(said).to_contain_text("only a hint to look")
        await expect(said).to_have_count(1)
        await expect(page.locator(".tile .tag, .tile .why")).to_have_count(0)
        await wall.add(cameras(3)[2])
        await expect(first.locator(".why")).to_have_text(
            "possibly synthesised: a hint to look, not a finding"
        )
        await expect(first.locator(".tag")).to_have_text(["Experimental"])


async def test_a_score_between_the_thresholds_is_undecided(
    page: Page, wall: PlayedWall, address: str
) -> None:
    """Not `gathering evidence`: there may be plenty of it."""
    await wall.add(PlayedStream("gate", "Gate", verdict=Verdict.PENDING, level=0.55))
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page).locator(".state")).to_have_text("Undecided")
        await expect(tiles(page).locator(".why")).to_have_text("it leans neither way so far")


JUMPS = """
window.jumps = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.jumps += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("path", ["/", "/streams/test"])
async def test_nothing_jumps_while_the_page_fills(
    page: Page, wall: PlayedWall, address: str, path: str
) -> None:
    """Chromium's own measure of layout shift; 0.1 is commonly called good."""
    for camera in [*cameras(3), untrained(PlayedStream("test", "Test rig"))]:
        await wall.add(camera, ago=10)
    wall.past(10)
    await page.add_init_script(JUMPS)
    async with wall.playing():
        await page.goto(address + path)
        await expect(page.locator(".picture canvas").first).to_be_visible(timeout=20_000)
        await expect(page.locator(".notices")).to_be_visible()
        await expect(page.locator(".sparkline .lead, .strip .line").first).to_be_attached()
        assert await page.evaluate("window.jumps") < 0.05


async def test_sixty_four_streams_fit_and_scroll(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 64, seconds=1.0)
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page)).to_have_count(64, timeout=20_000)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 1280
        await expect(tiles(page).first.get_by_role("img", name="Annex", exact=True)).to_be_visible()


# --- the server goes and comes back -----------------------------------------------------------


async def test_the_page_recovers_when_the_server_comes_back(page: Page) -> None:
    """It says that it lost the server, keeps what it knew, and goes on by itself."""
    wall = PlayedWall(WebRig(clock=SystemClock()))
    await fill(wall, 2)
    port = free_port()  # for both of them
    async with wall.playing(), served(wall.rig.app, at=port):
        await page.goto(f"http://127.0.0.1:{port}")
        await expect(tiles(page)).to_have_count(2)
        wall.rig.hub.stop()
    outage = page.get_by_role("alert").filter(has_text="No connection to the analyzer")
    await expect(outage).to_be_visible()
    await expect(tiles(page)).to_have_count(2)
    await expect(tiles(page).first.locator(".picture")).to_have_class(re.compile("stale"))
    again = PlayedWall(WebRig(clock=SystemClock()))
    await fill(again, 3)
    async with again.playing(), served(again.rig.app, at=port):
        await expect(page.locator(".link")).to_have_text(re.compile("Back after"), timeout=30_000)
        await expect(outage).to_have_count(0)
        await expect(tiles(page)).to_have_count(3)


# --- one stream -------------------------------------------------------------------------------


async def open_stream(page: Page, address: str, id: str = "cam-1") -> None:
    await page.goto(f"{address}/streams/{id}")
    await expect(page.locator(".stream-head h1")).to_be_visible()


async def test_a_stream_page_shows_the_past_and_the_present(
    page: Page, wall: PlayedWall, address: str
) -> None:
    camera = cameras(1)[0]
    camera.faces = 2
    await wall.add(camera, ago=120)
    wall.past(120, 60)
    wall.connection("cam-1", ConnectionState.BACKING_OFF, ReasonCode.TIMEOUT, "no packets", ago=60)
    wall.past(60, 50)
    wall.connection("cam-1", ConnectionState.LIVE, ago=50)
    wall.past(50)
    async with wall.playing():
        await open_stream(page, address)
        await expect(page.locator(".face")).to_have_count(2)
        await expect(page.locator(".overlay text").first).to_have_text(re.compile(r"#1\s+0\.\d\d"))
        events = page.get_by_role("region", name="Events", exact=True)
        await expect(events.get_by_text("Face 1 appeared").first).to_be_visible()
        connection = page.get_by_role("region", name="Connection", exact=True)
        await expect(connection.get_by_text(re.compile("no packets"))).to_be_visible()
        await expect(page.locator(".timeline canvas")).to_be_visible()
        assert await page.locator(".strip .line").first.get_attribute("d")


async def test_dragging_over_the_timeline_zooms_and_the_link_keeps_it(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 1, seconds=120)
    async with wall.playing():
        await open_stream(page, address)
        over = page.locator(".timeline .u-over")
        await over.scroll_into_view_if_needed()
        box = await over.bounding_box()
        assert box is not None
        y = box["y"] + box["height"] / 2
        await page.mouse.move(box["x"] + box["width"] * 0.7, y)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=4)
        await page.mouse.up()
        await expect(page).to_have_url(re.compile(r"from=.+&to=.+"))
        await page.reload()
        await page.get_by_role("button", name="Live", exact=True).click()
        await expect(page).to_have_url(f"{address}/streams/cam-1")


async def test_the_timeline_is_moved_and_zoomed_with_the_keyboard(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 1, seconds=120)
    async with wall.playing():
        await open_stream(page, address)
        await page.locator(".timeline").focus()
        await page.keyboard.press("+")
        await page.keyboard.press("ArrowLeft")
        await expect(page).to_have_url(re.compile(r"from=.+&to=.+"))
        await page.keyboard.press("Escape")
        await expect(page).to_have_url(f"{address}/streams/cam-1")


@pytest.mark.parametrize(
    ("able", "said"), [("true", "Link copied"), ("false", "See the address bar")]
)
async def test_a_link_is_only_copied_when_it_is(
    page: Page, wall: PlayedWall, address: str, able: str, said: str
) -> None:
    """Browsers keep the clipboard from pages that came over plain HTTP."""
    await page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        f"document.execCommand = () => {able};"
    )
    await fill(wall, 1)
    await open_stream(page, address)
    await page.get_by_role("button", name="Copy link", exact=True).click()
    await expect(page.locator(".share")).to_have_text(said)


async def test_a_removal_that_is_refused_is_told(
    page: Page, wall: PlayedWall, address: str
) -> None:
    """As when a token has become a viewer's meanwhile; the stream stays, and so does its page."""

    async def refuse(route: Route) -> None:
        if route.request.method != "DELETE":
            await route.continue_()
            return
        problem = {"title": "This token may not do that", "detail": "it lacks control", "hint": ""}
        await route.fulfill(status=403, content_type="application/problem+json", json=problem)

    await fill(wall, 1)
    async with wall.playing():
        await open_stream(page, address)
        await page.route("**/api/v1/streams/cam-1", refuse)
        await page.get_by_role("button", name="Remove", exact=True).click()
        await page.get_by_role("button", name="Really remove?", exact=True).click()
        await expect(page.locator(".stream-head .refused")).to_contain_text("Not removed")
        assert "cam-1" in wall.rig.control.specs


async def test_thresholds_are_changed_from_the_page(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 1)
    async with wall.playing():
        await open_stream(page, address)
        thresholds = page.get_by_role("group", name="Thresholds", exact=True)
        await thresholds.get_by_label("Suspect from").fill("0.85")
        await page.get_by_role("button", name="Apply", exact=True).click()
        await expect(page.get_by_text("Holds from the next frame on")).to_be_visible()
        assert wall.rig.control.engines["cam-1"].enter == 0.85
        await expect(page.locator(".key.enter")).to_have_text("suspect from 0.85")
        await thresholds.get_by_label("Clear at or below").fill("0.9")
        await page.get_by_role("button", name="Apply", exact=True).click()
        await expect(page.locator(".thresholds .problem")).to_contain_text("must be below enter")


async def test_several_detectors_are_told_apart(page: Page, wall: PlayedWall, address: str) -> None:
    """One speaks for the face, the others stand below it, and any can be looked at."""
    other = replace(CARD, name="caddm")
    await wall.add(replace(cameras(1)[0], level=0.5, others=(other,)), ago=30)
    wall.past(30)
    async with wall.playing():
        await open_stream(page, address)
        await expect(page.locator(".face")).to_have_count(1)
        await expect(page.locator(".others")).to_have_text(re.compile(r"caddm 0\.[23]\d"))
        await page.get_by_role("combobox", name="Detector", exact=True).select_option("caddm")
        await expect(page.locator(".face .score")).to_have_text(re.compile(r"0\.[23]\d"))
        await expect(page.locator(".others")).to_have_text(re.compile(r"styleflow-live 0\.[45]\d"))
        await expect(page.locator(".overlay text")).to_have_text(re.compile(r"0\.[23]\d"))


async def test_a_stream_is_removed_only_when_asked_twice(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 2)
    await open_stream(page, address)
    await page.get_by_role("button", name="Remove", exact=True).click()
    assert "cam-1" in wall.rig.control.specs
    await page.get_by_role("button", name="Really remove?", exact=True).click()
    await expect(page).to_have_url(f"{address}/")
    await expect(tiles(page)).to_have_count(1)


async def test_a_stream_that_is_not_there_is_explained(page: Page, address: str) -> None:
    await page.goto(f"{address}/streams/nowhere")
    await expect(
        page.get_by_role("heading", name="There is no such stream", exact=True)
    ).to_be_visible()


# --- adding a camera --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "fault", "hint"),
    [
        ("", "Enter the camera's address", "rtsp://"),
        ("192.0.2.7/stream1", "does not say how to connect", "rtsp://192.0.2.7/stream1"),
        ("http://192.0.2.7/", "a web page", "RTSP in the camera's settings"),
        ("rtsp://admin:p@ss@192.0.2.7/1", "must be encoded", "%40"),
        ("rtsp://192.0.2.7:99999/1", "not a port", "554"),
    ],
)
async def test_the_form_explains_what_is_wrong_with_an_address(
    page: Page, address: str, url: str, fault: str, hint: str
) -> None:
    await page.goto(address)
    await page.get_by_role("button", name="Add a camera", exact=True).click()
    await page.get_by_label("Address", exact=True).fill(url)
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("dialog").locator(".problem .title")).to_contain_text(fault)
    await expect(page.get_by_role("dialog").locator(".problem .hint")).to_contain_text(hint)


async def test_the_form_shows_what_the_server_says(page: Page, address: str) -> None:
    """Only the server knows which folders are permitted."""
    await page.goto(address)
    await page.get_by_role("button", name="Add a camera", exact=True).click()
    await page.get_by_label("Address", exact=True).fill("/etc/passwd")
    await page.get_by_role("button", name="Add", exact=True).click()
    problem = page.get_by_role("dialog").locator(".problem")
    await expect(problem.locator(".title")).not_to_be_empty()
    await expect(problem.locator(".hint")).to_contain_text("web.source_roots")


async def test_adding_a_camera_opens_its_page(page: Page, wall: PlayedWall) -> None:
    rig = WebRig(clock=SystemClock(), resolve=None)
    async with served(rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}")
        await page.get_by_role("button", name="Add a camera", exact=True).click()
        await page.get_by_label("Address", exact=True).fill("demo://authentic")
        await page.get_by_label("Name").fill("Front door")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page).to_have_url(re.compile("/streams/front-door$"))
        await expect(page.locator(".stream-head h1")).to_have_text("Front door")


# --- tokens, policy, access -------------------------------------------------------------------


async def test_a_token_is_asked_for_and_used_for_everything(page: Page) -> None:
    tokens = (Token(TokenDigest(SECRET), Role.OPERATOR),)
    wall = PlayedWall(WebRig(WebSettings(tokens=tokens), clock=SystemClock()))
    await fill(wall, 1)
    async with wall.playing(), served(wall.rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}")
        await page.get_by_role("textbox", name="Token", exact=True).fill(SECRET)
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(tiles(page)).to_have_count(1)
        await expect(tiles(page).get_by_role("img", name="Lobby", exact=True)).to_be_visible()


async def test_the_policy_of_the_page_is_strict(page: Page, wall: PlayedWall, address: str) -> None:
    """The page works under it: any violation would be an error on the console."""
    await fill(wall, 1)
    answer = await page.goto(f"{address}/streams/cam-1")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    await expect(page.locator(".timeline canvas")).to_be_visible()


async def test_everything_is_reached_with_the_keyboard(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 2)
    await page.goto(address)
    await expect(tiles(page)).to_have_count(2)
    reached: list[str] = []
    while not {"Gate", "Lobby"} <= set(reached):
        assert len(reached) < 60, reached
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to the streams"
    await page.get_by_role("link", name="Gate", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{address}/streams/cam-2")


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in web/dashboard")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["/", "/streams/cam-1", "dialog"])
async def test_wcag_aa(
    context: BrowserContext, wall: PlayedWall, address: str, scheme: Any, view: str
) -> None:
    await fill(wall, 5)
    wall.streams["cam-1"].verdict = Verdict.SUSPECT
    wall.streams["cam-2"].reasons = (AbstainReason.BLURRED,)
    wall.streams["cam-2"].verdict = Verdict.PENDING
    await wall.add(untrained(PlayedStream("dark", "Dark", url="demo://authentic")))
    wall.connection("cam-3", ConnectionState.FAILED, ReasonCode.AUTH, "wrong password")
    page = await context.new_page()
    await page.emulate_media(color_scheme=scheme)
    async with wall.playing():
        await page.goto(address + (view if view != "dialog" else "/"))
        await expect(page.locator(".tile, .face").first).to_be_visible()
        await expect(page.locator(".picture canvas").first).to_be_visible()
        if view == "dialog":
            await page.get_by_role("button", name="Add a camera", exact=True).click()
            await page.get_by_role("button", name="Add", exact=True).click()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
        )
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}
    assert [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found["violations"]
    ] == []


@pytest.mark.parametrize("path", ["/", "/streams/cam-1"])
async def test_a_phone_needs_no_sideways_scrolling(
    page: Page, wall: PlayedWall, address: str, path: str
) -> None:
    await fill(wall, 3)
    await page.set_viewport_size({"width": 390, "height": 844})
    async with wall.playing():
        await page.goto(address + path)
        await expect(page.locator(".picture canvas").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
