"""Whatever arrives as an offer is answered, refused, or invalid, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stream.clock import SystemClock
from stream.errors import OfferInvalid, OfferRefused
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.peer import Peer
from stream.webrtc.picture_queue import PictureQueue
from stream.webrtc.sdp import check_offer, complete_answer, parse_fragment
from tests.support.offers import CHROMIUM, with_audio

LINES = with_audio().split("\n")
BIND = WebRtcSettings(bind=("127.0.0.1",))
ODD = st.sampled_from(
    [
        "=",
        "a=mid:0",
        "a=rtpmap:96 VP8",
        "a=rtpmap:x VP8/90000",
        "a=rtpmap:96 VP8/0",
        "a=rtpmap:300 VP8/90000",
        "a=fmtp:77 apt=1",
        "a=fmtp:96",
        "a=rtcp-fb:96",
        "a=ssrc:1",
        "a=ssrc-group:FID x y",
        "a=msid:",
        "a=candidate:1 1 udp 1 10.0.0.1 9 typ",
        "a=extmap:1",
        "a=rtcp:9 IN IP7 x",
        "a=sctp-port:-1",
        "a=sctp-port:x",
        "a=max-message-size:",
        "a=group:BUNDLE",
        "a=setup:holdconn",
        "a=ice-lite",
        "a=fingerprint:sha-256",
        "a=inactive",
        "a=simulcast:send 1;2",
        "b=AS:1",
        "c=IN IP6",
        "m=video",
        "m=audio 9 UDP/TLS/RTP/SAVPF",
        "m=video 9 UDP/TLS/RTP/SAVPF 72",
        "",
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Return a good offer with a few lines lost, doubled, moved, cut, or replaced."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case 2:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case 3:
                lines[at] = draw(ODD)
            case 4:
                lines.insert(at, draw(ODD))
            case _:
                cut = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + draw(st.text(max_size=4)) + lines[at][cut:]
        if not lines:
            return ""
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda b: b.decode("latin-1"))))
def test_any_text_is_judged(text: str) -> None:
    """Judging takes no time and raises nothing but the two errors that say what is wrong."""
    for judge in (check_offer, parse_fragment):
        try:
            judge(text)
        except (OfferInvalid, OfferRefused):
            continue


@given(damaged())
@settings(max_examples=300)
def test_any_damage_is_judged(text: str) -> None:
    try:
        offer = check_offer(text)
    except (OfferInvalid, OfferRefused):
        return
    # Another attribute, such as a candidate with a typo in its name, is nobody's address.
    candidates = [line for line in offer.text.splitlines() if line.startswith("a=candidate:")]
    assert not any(".local" in line for line in candidates)
    complete_answer(offer.text, offer, WebRtcSettings(advertise=("203.0.113.9",)))


def open_sockets() -> int:
    return sum(1 for entry in Path("/proc/self/fd").iterdir() if _is_socket(entry))


def _is_socket(entry: Path) -> bool:
    try:
        return entry.readlink().name.startswith("socket:")
    except OSError:
        return False


async def answer_and_close(text: str) -> list[object]:
    """Answer an offer like a session does; return what went wrong behind its back."""
    wrong: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    peer = Peer(BIND, SystemClock(), PictureQueue(), lambda channel: channel.close())
    try:
        answer = await peer.answer(check_offer(text))
        assert "m=video" in answer
        assert await peer.tend(0.0) is None
    except (OfferInvalid, OfferRefused):
        pass
    finally:
        await peer.close()
    await asyncio.sleep(0)
    gc.collect()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return [*wrong, *(task.get_name() for task in others)]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts sockets in /proc")
@given(damaged())
@example(CHROMIUM)
@example(with_audio())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_offer_leaves_a_socket_or_a_task(text: str) -> None:
    before = open_sockets()
    assert asyncio.run(answer_and_close(text)) == []
    assert open_sockets() <= before  # those of other tests may go meanwhile
