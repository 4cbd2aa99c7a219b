"""Real calls: aiortc peers over loopback, through signalling, ICE, DTLS and RTP, to scores."""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc import RTCRtpSender, RTCSessionDescription

from stream.clock import SystemClock
from stream.engine.engine import EngineSettings
from stream.errors import PublisherFull
from stream.pipeline import Pipeline
from stream.webrtc.calls import CallAnswer, Publisher, WebRtcSettings
from stream.webrtc.datagrams import DatagramRefusal
from stream.webrtc.sdp import is_useful
from styleflow.faces.face import Face, Image
from tests.support.calls import (
    LOCAL,
    Caller,
    CallRig,
    MovingTrack,
    OtherSuites,
    PacketTrack,
    call_rig,
    compressed,
    left_tasks,
    resident_mb,
    shown,
    sockets,
    thread_names,
)
from tests.support.media import encode, moving_pictures
from tests.support.offers import CHROMIUM
from tests.support.path import EAGER, CentreFinder, toy_pipeline
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

BRISK = WebRtcSettings(
    bind=LOCAL, max_peers=12, connect_s=8.0, silence_s=1.5, video_s=4.0, keep_s=0.5
)
STATES = ["connecting", "waiting_for_keyframe", "live", "ended"]


@pytest.fixture
async def rig() -> AsyncIterator[CallRig]:
    async with call_rig(BRISK) as running:
        yield running


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_call_becomes_scores_for_everybody_and_for_the_caller(
    rig: CallRig, codec: str
) -> None:
    """The caller hears the same messages on its data channel as a subscriber on the WebSocket."""
    async with Caller(rig.url()) as caller:
        known = RTCRtpSender.getCapabilities("video").codecs
        transceiver = caller.connection.getTransceivers()[0]
        transceiver.setCodecPreferences([c for c in known if c.mimeType == f"video/{codec}"])
        await caller.call()
        await rig.until(lambda: len(rig.scores()) > 3, "scores")
        await rig.until(lambda: any(m["type"] == "score" for m in caller.heard), "own scores")
        status = rig.analyzer.status("me")
        assert status.source == "whip://"
        assert status.state.value == "live"
        await rig.until(lambda: rig.analyzer.status("me").link, "figures of the link")
        link = rig.analyzer.status("me").link
        assert link is not None
        assert link.loss == 0
        assert link.kbps > 20
        assert await caller.delete() == 200
    ended = await rig.state("ended")
    assert ended["code"] == "ended"
    await rig.until(lambda: rig.events("track_ended"), "end of the track")
    assert [e["state"] for e in rig.events("stream_changed")] == STATES
    assert caller.heard[0]["type"] == "snapshot"
    assert {m["stream"] for m in caller.heard} == {"me"}
    told = {m["seq"] for m in caller.heard if m["type"] == "event"}
    assert told <= {m["seq"] for m in rig.messages if m["type"] == "event"}
    # The stream was there because of the call, and goes with it.
    await rig.until(lambda: rig.events("stream_removed"), "removal")
    assert rig.analyzer.statuses() == ()


async def test_a_stream_that_is_configured_stays_and_counts_epochs(rig: CallRig) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        body = {"id": "me", "source": {"url": "whip://"}}
        assert (await client.post("/api/v1/streams", json=body)).status_code == 201
        view = (await client.get("/api/v1/streams/me")).json()
        assert (view["state"], view["detail"]) == ("connecting", "waiting for a peer to call")
        await call_once(rig, epoch=1)
        await call_once(rig, epoch=2)
        await asyncio.sleep(BRISK.keep_s * 2)
        assert (await client.get("/api/v1/streams/me")).json()["state"] == "ended"


async def call_once(rig: CallRig, epoch: int) -> None:
    async with Caller(rig.url()) as caller:
        await caller.call()
        await rig.until(lambda: any(m["epoch"] == epoch for m in rig.scores()), "scores")
        assert await caller.delete() == 200
    await rig.until(lambda: len(rig.events("track_ended")) == epoch, "end of the track")


async def test_a_peer_that_vanishes_is_noticed_and_its_tracks_end(rig: CallRig) -> None:
    async with Caller(rig.url()) as caller, Caller(rig.url("other")) as other:
        await caller.call()
        await other.call()
        await rig.until(rig.scores, "scores")
        await rig.until(lambda: rig.scores("other"), "scores of the other one")
        caller.vanish()
        ended = await rig.state("ended")
        assert ended["code"] == "timeout"
        assert "vanished" in ended["detail"]
        await rig.until(lambda: rig.events("track_ended"), "end of the track")
        # A peer can disturb only itself.
        assert [e["state"] for e in rig.events("stream_changed", "other")] == STATES[:3]
        assert not rig.events("track_ended", "other")


async def test_a_goodbye_over_the_connection_is_heard(rig: CallRig) -> None:
    async with Caller(rig.url()) as caller:
        await caller.call()
        await rig.until(rig.scores, "scores")
    ended = await rig.state("ended")
    assert (ended["code"], ended["detail"]) == ("ended", "the peer has hung up")


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("actpass", "passive"), ("active", "passive"), ("passive", "active")],
)
async def test_a_peer_may_be_the_dtls_client_or_the_server(
    rig: CallRig, offered: str, answered: str
) -> None:
    async with Caller(rig.url()) as caller:
        offer = await caller.offer()
        response = await caller.post(offer.replace("a=setup:actpass", f"a=setup:{offered}"))
        assert f"a=setup:{answered}" in response.text
        await caller.connect(response.text)
        await rig.until(rig.scores, "scores")


@pytest.mark.parametrize(
    ("setup", "why"),
    [
        ("passive", "the peer refused it (handshake failure, alert 40)"),
        ("actpass", "it was refused here (handshake failure, alert 40)"),
    ],
)
async def test_a_refused_handshake_was_told_as_no_way_to_the_peer(
    rig: CallRig, setup: str, why: str
) -> None:
    async with Caller(rig.url(), certificate=OtherSuites) as caller:
        offer = await caller.offer()
        response = await caller.post(offer.replace("a=setup:actpass", f"a=setup:{setup}"))
        answer = RTCSessionDescription(response.text, "answer")
        await caller.connection.setRemoteDescription(answer)
        ended = await rig.state("ended")
    assert ended["code"] == "tls"
    assert ended["detail"] == (
        f"the DTLS handshake with the peer failed: {why};"
        " let it offer ECDHE suites with AES-GCM or ChaCha20, and P-256 or X25519"
    )


async def test_a_handshake_that_never_ends_was_told_as_a_peer_that_did_not_connect() -> None:
    async with call_rig(replace(BRISK, connect_s=3.0)) as rig, Caller(rig.url()) as caller:
        offer = await caller.offer()
        caller.keep_silent_of_dtls()
        answer = RTCSessionDescription((await caller.post(offer)).text, "answer")
        await caller.connection.setRemoteDescription(answer)
        ended = await rig.state("ended")
    assert ended["code"] == "tls"
    assert ended["detail"].startswith(
        "a way to the peer was found, but its DTLS handshake was not done within 3 s; "
    )


def _junk() -> list[bytes]:
    """Return datagrams that nobody with a key has sent: empty, short, long, and of every kind."""
    stun = b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12)
    alert = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"  # fatal, without a key
    rtp = b"\x80\x60" + bytes(200)
    bye = b"\x80\xcb\x00\x01" + bytes(20)
    kinds = [bytes([n]) * size for n in range(256) for size in (1, 40, 1501)]
    return [b"", stun + b"\x00\x24\x00\x01" + bytes(4), alert, rtp, bye, *kinds, rtp * 10, b""]


async def test_an_empty_datagram_or_any_other_from_anywhere_does_not_end_a_call(
    rig: CallRig,
) -> None:
    """The port need not be known: all of them are sprayed in a second."""
    async with Caller(rig.url()) as caller:
        await caller.call()
        await rig.until(rig.scores, "scores")
        call = rig.analyzer.sessions.of("me")
        assert call is not None
        assert caller.ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for port in caller.ports:
                for data in _junk():
                    stranger.sendto(data, port)
                    await asyncio.sleep(0)
        await rig.until(lambda: call.peer.counters.refused.total() > 500, "refusals")
        for data in _junk():
            caller.forge(data)
            await asyncio.sleep(0)
        mark, pictures = len(rig.scores()), call.peer.counters.pictures
        await rig.until(lambda: len(rig.scores()) > mark + 5, "scores after it")
        assert call.peer.counters.pictures > pictures
        refused = call.peer.counters.refused
        assert refused[DatagramRefusal.STRANGER] > 50
        assert refused[DatagramRefusal.MALFORMED] > 500
        assert not [e for e in rig.events("stream_changed") if e["state"] == "ended"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
            metrics = (await client.get("/metrics")).text
        name = "styleflow_call_datagrams_refused_total"
        assert f'{name}{{reason="stranger",stream="me"}}' in metrics
        assert await caller.delete() == 200


async def test_empty_datagrams_before_the_call_connects_do_not_end_it(rig: CallRig) -> None:
    async with Caller(rig.url()) as caller:
        response = await caller.post(await caller.offer())
        named = [line.split() for line in response.text.splitlines() if is_useful(line)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for words in named:
                for data in _junk():
                    stranger.sendto(data, (words[4], int(words[5])))
                    await asyncio.sleep(0)
            connecting = asyncio.create_task(caller.connect(response.text))
            while not connecting.done():
                for words in named:
                    stranger.sendto(b"", (words[4], int(words[5])))
                    stranger.sendto(b"\x15\xfe\xfd" * 8, (words[4], int(words[5])))
                await asyncio.sleep(0.001)
            await connecting
        await rig.until(rig.scores, "scores")


async def test_a_page_that_is_loaded_again_may_call_again_at_once(
    rig: CallRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has heard of the first peer's end yet; while it sends, a second one is refused."""
    async with Caller(rig.url()) as first, Caller(rig.url()) as second:
        await first.call()
        await rig.until(rig.scores, "scores")
        monkeypatch.setattr("stream.webrtc.sessions.TAKE_OVER_S", 60.0)  # however slow this is
        refused = await second.post(await second.offer())
        assert refused.status_code == 409
        assert refused.headers["retry-after"]
        first.vanish()
        monkeypatch.setattr("stream.webrtc.sessions.TAKE_OVER_S", 0.0)
        await asyncio.sleep(0)
        async with Caller(rig.url()) as third:
            await third.call()
            await rig.until(lambda: rig.scores()[-1]["epoch"] == 2, "score of the next epoch")


async def test_a_changing_size_keeps_the_face_and_the_epoch(rig: CallRig) -> None:
    track = MovingTrack(size=(320, 240))
    async with Caller(rig.url(), track) as caller:
        await caller.call()
        await rig.until(rig.scores, "scores")
        await rig.until(lambda: _age(rig) > 1.0, "a face that is followed for a while")
        tracks = len(rig.events("track_started"))
        track.size = (160, 120)
        await rig.until(lambda: rig.scores()[-1]["data"]["quality"]["face_px"] < 80, "small face")
        track.size = (480, 360)
        await rig.until(lambda: rig.scores()[-1]["data"]["quality"]["face_px"] > 200, "large face")
    assert len(rig.events("epoch_started")) == 1
    assert len(rig.events("track_started")) == tracks


def _age(rig: CallRig) -> float:
    """Return how long the newest score's face has been followed, in media seconds."""
    window = rig.scores()[-1]["data"]["window"]
    return float(window["pts_end"] - window["pts_start"])


def with_layers(offer: str, rids: Sequence[str]) -> str:
    """Return an offer that names its video as the first of several layers."""
    lines = [
        "a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        *(f"a=rid:{rid} send" for rid in rids),
        f"a=simulcast:send {';'.join(rids)}",
    ]
    begin = offer.index("m=video")
    place = offer.index("a=rtcp-mux", begin)
    return offer[:place] + "".join(f"{line}\r\n" for line in lines) + offer[place:]


@pytest.mark.parametrize(("size", "small"), [((160, 120), True), ((640, 480), False)])
async def test_a_small_simulcast_layer_was_analyzed_and_nothing_said(
    size: tuple[int, int], small: bool
) -> None:
    limits = replace(EAGER, min_face_px=EngineSettings().min_face_px)
    async with (
        call_rig(BRISK, lambda: toy_pipeline(settings=limits)) as rig,
        Caller(rig.url(), MovingTrack(size=size)) as caller,
    ):
        response = await caller.post(with_layers(await caller.offer(), ["thumb", "big"]))
        assert response.status_code == 201, response.text
        assert "a=simulcast:recv thumb\r\n" in response.text
        await caller.connect(response.text)

        def seen() -> list[dict[str, Any]]:
            said = [m["data"] for m in rig.messages if m["type"] == "status"]
            return [
                status for status in said if status["state"] == "live" and (status["fps"] or 0) > 0
            ]

        await rig.until(lambda: len(seen()) > 2, "status of a live call")
        status = seen()[-1]
    assert status["notices"] == (["small_layer"] if small else [])
    assert ("a small one of its simulcast layers" in status["summary"]) == small
    told = "The sender gives 160x120, one of its 2 simulcast layers: have it send the larger"
    assert status["hint"].startswith(told) if small else status["hint"] == ""


async def test_a_lossy_link_is_repaired_measured_and_no_reason_for_alarm(rig: CallRig) -> None:
    async with Caller(rig.url()) as caller:
        await caller.call()
        await rig.until(rig.scores, "scores")
        caller.lose(0.3)
        await rig.until(
            lambda: rig.analyzer.sessions.loss("me") > 0.15, "measured loss", within_s=15
        )
        await rig.until(
            lambda: "packet_loss" in rig.scores()[-1]["data"]["reasons"], "abstention", within_s=15
        )
        caller.lose(0.0)
        mark = len(rig.scores())
        await rig.until(
            lambda: (
                len(rig.scores()) > mark + 5
                and "packet_loss" not in rig.scores()[-1]["data"]["reasons"]
            ),
            "sound scores",
        )


async def test_what_stays_lost_is_given_up_and_a_keyframe_asked_for(rig: CallRig) -> None:
    """Without it aiortc waits until 512 packets have piled up."""
    async with Caller(rig.url()) as caller:
        await caller.call()
        await rig.until(rig.scores, "scores")
        call = rig.analyzer.sessions.of("me")
        assert call is not None
        left = [3]
        media = caller.payload_type

        def lost(data: bytes) -> bool:
            if data[1] & 0x7F != media:
                return not call.peer.counters.losses  # what is sent again is lost again
            left[0] -= 1
            return left[0] >= 0

        caller.drop(lost)
        pictures = call.peer.counters.pictures
        await rig.until(lambda: call.peer.counters.losses, "loss that is given up", within_s=8)
        await rig.until(lambda: call.peer.counters.pictures > pictures + 30, "pictures after it")
        assert call.peer.counters.keyframes_asked >= 1
        mark = len(rig.scores())
        await rig.until(lambda: len(rig.scores()) > mark + 3, "scores after it")


async def test_trickled_candidates_connect_a_peer_that_named_none(rig: CallRig) -> None:
    async with Caller(rig.url()) as caller:
        offer = await caller.offer()
        lines = offer.splitlines()
        bare = "\r\n".join(
            line for line in lines if not line.startswith(("a=candidate:", "a=end-of"))
        )
        response = await caller.post(bare + "\r\n")
        assert response.status_code == 201
        mid = next(line for line in lines if line.startswith("a=mid:"))
        ufrag = next(line for line in lines if line.startswith("a=ice-ufrag:"))
        named = [line for line in lines if is_useful(line)]
        fragment = "\r\n".join([ufrag, "m=video 9 UDP/TLS/RTP/SAVPF 0", mid, *named])
        headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": caller.etag}
        async with httpx.AsyncClient(timeout=20) as client:
            answer = await client.patch(caller.location, content=fragment, headers=headers)
            assert answer.status_code == 204
            restart = await client.patch(
                caller.location, content="a=ice-ufrag:another\r\n", headers=headers
            )
            assert restart.status_code == 422


async def test_offers_are_refused_before_anything_is_opened(rig: CallRig) -> None:
    before = sockets()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        for text, status in (("garbage", 400), ("v=0\r\ns=-\r\n", 422)):
            answer = await client.post(
                "/whip/me", content=text, headers={"Content-Type": "application/sdp"}
            )
            assert answer.status_code == status
    assert rig.analyzer.statuses() == ()
    await rig.until(lambda: sockets() <= before + 2, f"end of all sockets ({before} before)")


async def test_a_camera_cannot_be_called(rig: CallRig) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        body = {"id": "cam", "source": {"url": "demo://authentic?seconds=1&size=320x240"}}
        assert (await client.post("/api/v1/streams", json=body)).status_code == 201
    async with Caller(rig.url("cam")) as caller:
        assert (await caller.post(await caller.offer())).status_code == 409


async def test_one_publisher_that_calls_ever_more_streams_leaves_room_for_others(
    rig: CallRig,
) -> None:
    """Calls that are made at once, and streams that calls have left behind, count as well."""
    one, other = Publisher("one", max_streams=2), Publisher("other", max_streams=2)
    calls = [rig.analyzer.call(f"one-{n}", CHROMIUM, one) for n in range(6)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, PublisherFull)]
    assert len(refused) == 4
    assert len(rig.analyzer.statuses()) == 2
    await rig.analyzer.call("other-0", CHROMIUM, other)
    first = next(answer for answer in answers if isinstance(answer, CallAnswer))
    await rig.analyzer.hang_up("one-0", first.session, one)
    with pytest.raises(PublisherFull):
        await rig.analyzer.call("one-6", CHROMIUM, one)
    await rig.until(lambda: len(rig.analyzer.statuses()) == 2, "removal of what was left behind")
    await rig.analyzer.call("one-6", CHROMIUM, one)


# --- tokens ------------------------------------------------------------------------------------

ANN, BOB, EVE = (secrets.token_hex(16) for _ in range(3))


def tokens(expires: datetime | None = None) -> WebSettings:
    """Return two publishers, the first of which may expire, and an operator."""
    return WebSettings(
        tokens=(
            Token(TokenDigest(ANN), Role.PUBLISHER, expires=expires),
            Token(TokenDigest(BOB), Role.PUBLISHER),
            Token(TokenDigest(EVE), Role.OPERATOR),
        )
    )


async def test_a_call_of_one_publisher_is_neither_changed_nor_ended_by_another() -> None:
    trickle = {"Content-Type": "application/trickle-ice-sdpfrag"}
    async with call_rig(BRISK, web=tokens()) as rig:
        async with Caller(rig.url(), token=ANN) as caller:
            await caller.call()
            await rig.until(rig.scores, "scores")
            trickle["If-Match"] = caller.etag
            async with httpx.AsyncClient(timeout=20, headers=shown(BOB)) as bob:
                answers = [
                    await bob.patch(caller.location, content="a=mid:0\r\n", headers=trickle),
                    await bob.delete(caller.location),
                ]
            assert [answer.status_code for answer in answers] == [403, 403]
            assert {answer.json()["code"] for answer in answers} == {"call_not_yours"}
            assert rig.analyzer.status("me").state.value == "live"
            assert await caller.delete() == 200
        async with Caller(rig.url("again"), token=BOB) as caller:
            await caller.call()
            async with httpx.AsyncClient(timeout=20, headers=shown(EVE)) as eve:
                assert (await eve.delete(caller.location)).status_code == 200


async def test_a_call_ends_with_its_token_and_cannot_be_renewed() -> None:
    soon = SystemClock().utc() + timedelta(seconds=10)
    async with call_rig(BRISK, web=tokens(soon)) as rig:
        async with Caller(rig.url(), token=ANN) as caller, Caller(rig.url("b"), token=BOB) as other:
            await caller.call()
            await other.call()
            ended = await rig.state("ended")
            assert "token" in ended["detail"]
            assert "expired" in ended["detail"]
            assert await caller.delete() == 401
            assert (await caller.post(CHROMIUM)).status_code == 401
            assert not [e for e in rig.events("stream_changed", "b") if e["state"] == "ended"]


# --- ugly endings ------------------------------------------------------------------------------


async def knock_only(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.post(await caller.offer())


async def delete_before_connecting(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.post(await caller.offer())
        assert await caller.delete() == 200


async def vanish(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.call()
        await rig.until(lambda: rig.scores(stream), "scores")
        caller.vanish()


async def vanish_at_once(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.call()
        caller.vanish()


async def say_goodbye(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.call()


async def stop_sending(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.call()
        caller.sender.replaceTrack(None)
        await rig.state("ended", stream)


async def stream_removed(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.call()
        await rig.analyzer.remove(stream)


async def two_at_once(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller, Caller(rig.url(stream)) as other:
        offers = [await caller.offer(), await other.offer()]
        answers = await asyncio.gather(caller.post(offers[0]), other.post(offers[1]))
        assert sorted(a.status_code for a in answers) == [201, 409]


async def talk_nonsense(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        response = await caller.post(await caller.offer())
        candidate = next(x for x in response.text.splitlines() if is_useful(x)).split()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for n in range(256):
                stranger.sendto(bytes([n]) * 40, (candidate[4], int(candidate[5])))
        assert await caller.delete() == 200


async def flood_channels(rig: CallRig, stream: str) -> None:
    async with Caller(rig.url(stream)) as caller:
        await caller.call()
        for n in range(20):
            caller.connection.createDataChannel(f"chat-{n}")
        await rig.state("ended", stream)


WAYS = (
    knock_only,
    delete_before_connecting,
    vanish,
    vanish_at_once,
    say_goodbye,
    stop_sending,
    stream_removed,
    two_at_once,
    talk_nonsense,
    flood_channels,
)


async def test_twenty_ugly_endings_leave_nothing_behind(rig: CallRig) -> None:
    """No task, no thread, no socket, no place, no slot on the device."""
    before = sockets()
    for turn in range(2):
        half = len(WAYS) // 2
        for some in (WAYS[:half], WAYS[half:]):
            await asyncio.gather(*(way(rig, f"{way.__name__}-{turn}") for way in some))
    await rig.until(lambda: len(rig.analyzer.sessions) == 0, "end of all calls")
    await rig.until(lambda: rig.analyzer.statuses() == (), "end of all streams")
    gc.collect()
    await rig.until(lambda: sockets() <= before, f"end of all sockets ({before} before)")
    assert left_tasks() == []
    assert thread_names() == []
    assert rig.analyzer.health().details["slots"].startswith("0 of ")
    assert rig.analyzer.sessions.abandoned == 0
    assert rig.analyzer.hub.clients == 0


# --- overload ----------------------------------------------------------------------------------


class SlowFinder(CentreFinder):
    """Takes its time over every picture."""

    pause = threading.Event()

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        self.pause.wait(0.4)
        return super().find(image, tiles, known)


def slow_pipeline(settings: EngineSettings = EAGER) -> Pipeline:
    return toy_pipeline(SlowFinder, settings=settings)


async def test_memory_stays_flat_when_scoring_is_slower_than_the_call(tmp_path: Path) -> None:
    """1080p at 60 frames a second to a scorer that manages two; a long version is a benchmark."""
    clip = encode(tmp_path / "full-hd.mkv", moving_pictures(30, 1920, 1080), "vp8", fps=60, gop=30)
    packets = compressed(clip)
    async with call_rig(BRISK, slow_pipeline) as rig:
        async with Caller(rig.url(), PacketTrack(packets, fps=60)) as caller:
            await caller.call()
            await rig.until(rig.scores, "scores")
            call = rig.analyzer.sessions.of("me")
            assert call is not None
            await asyncio.sleep(2.0)
            early, log = resident_mb(), _logged_mb(rig)
            waiting = []
            for _ in range(24):
                await asyncio.sleep(0.25)
                waiting.append(len(call.peer.pictures))
            grown = resident_mb() - early - (_logged_mb(rig) - log)
            await rig.until(
                lambda: rig.analyzer.ingest_counters("me").decoded > 60, "pictures", within_s=60
            )
            assert max(waiting) <= 120
            assert grown < 40
            assert len(rig.analyzer.sessions) == 1
        await rig.state("ended")


def _logged_mb(rig: CallRig) -> float:
    """Return what the packet log holds; it may fill up to its own limit."""
    return rig.analyzer.packets("me").counters.bytes / 1e6
