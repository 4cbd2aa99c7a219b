"""Layers of an offer: which one is asked for, whatever their names and their order."""

from __future__ import annotations

import pytest

from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.sdp import check_offer, complete_answer
from stream.webrtc.simulcast import best_layer
from tests.support.offers import CHROMIUM

RID = "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"


def section(order: str, *restrictions: str) -> list[str]:
    """Return the lines by which layers are offered; restrictions as in `f max-width=640`."""
    said = dict(text.split(" ", 1) for text in restrictions)
    names = [name.lstrip("~") for layer in order.split(";") for name in layer.split(",")]
    rids = [f"a=rid:{name} send {said.get(name, '')}".rstrip() for name in names]
    return [RID, *rids, f"a=simulcast:send {order}"]


@pytest.mark.parametrize(
    ("lines", "best"),
    [
        (section("l;h"), "h"),
        (section("h;l"), "h"),
        (section("q;h;f"), "f"),
        (section("f;h;q"), "f"),
        (section("h;m;l"), "h"),
        (section("LOW;MID;HIGH"), "HIGH"),
        (section("0;1;2"), "0"),
        (section("S;M;L"), "L"),
        (section("big;thumb"), "big"),
        (section("b;a"), "b"),
        (section("~a;b;c"), "b"),
        (section("small,tiny;large"), "large"),
        (section("l;~h"), "l"),
        (section("~l;~h"), "h"),
        (section("a;b", "a max-width=1280;max-height=720", "b max-width=320"), "a"),
        (section("h;l", "h max-fs=300", "l max-fs=3600"), "l"),
        (section("a;b;c", "a max-br=100000", "c max-br=90000", "b max-br=2000000"), "b"),
        (section("a;b", "a max-width=none", "b pt=96"), "a"),
    ],
)
def test_simulcast_with_the_low_layer_first_is_asked_for_its_best(
    lines: list[str], best: str
) -> None:
    layer = best_layer(lines)
    assert layer is not None
    assert layer.rid == best


@pytest.mark.parametrize(
    ("order", "best"), [("0;1;2", "2"), ("r1;r0", "r1"), ("2;r1", "2"), ("a;b", "a")]
)
def test_numbered_layers_of_a_browser_grow(order: str, best: str) -> None:
    layer = best_layer(section(order), browser=True)
    assert layer is not None
    assert layer.rid == best


@pytest.mark.parametrize(
    "lines",
    [
        [],
        section("h"),
        section("l;h")[1:],  # without header extension nobody can tell layers apart
        [RID, "a=simulcast:send l;h"],
        [RID, "a=rid:l recv", "a=rid:h recv", "a=simulcast:recv l;h"],
        [RID, "a=rid:l send", "a=simulcast:send ;;;"],
        [RID, "a=rid:x\ny send", "a=simulcast:send x\ny;z"],
    ],
)
def test_without_layers_the_answer_says_nothing_of_them(lines: list[str]) -> None:
    assert best_layer(lines) is None


def test_the_answer_names_one_layer_in_its_video_section() -> None:
    layers = "\n".join(section("l;h")[1:])
    offer = check_offer(CHROMIUM.replace("a=rtcp-mux", f"{layers}\na=rtcp-mux", 1))
    answer = "v=0\nm=video 9 X 96\nc=IN IP4 0.0.0.0\na=mid:0\nm=application 9 X y\na=mid:1\n"
    text = complete_answer(answer, offer, WebRtcSettings())
    video = text[: text.index("m=application")]
    added = [RID, "a=rid:h recv", "a=simulcast:recv h"]
    assert all(video.count(f"{line}\r\n") == 1 for line in added)
    assert "simulcast" not in text[len(video) :]
    alone = "v=0\nm=video 9 X 96\nc=IN IP4 0.0.0.0\n"
    assert complete_answer(alone, offer, WebRtcSettings()).endswith("a=simulcast:recv h\r\n")
    assert "simulcast" not in complete_answer(answer, check_offer(CHROMIUM), WebRtcSettings())
