"""WHIP over HTTP: statuses, headers, tokens and origins, with an analyzer that the test plays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from stream.errors import (
    NotACall,
    OfferInvalid,
    OfferRefused,
    Overloaded,
    PublisherFull,
    StreamBusy,
    StreamError,
    StreamUnknown,
    TooManyPeers,
    TooManyStreams,
)
from stream.webrtc.calls import IceServer
from tests.support.web import WebRig
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
ELSEWHERE = "https://calls.example.net"
SECRET = "a publisher's long secret"

STUN = IceServer("stun:stun.example.net:3478")
TURN = IceServer("turn:turn.example.net?transport=udp", 'us"er', SecretStr("pass\\word"))


async def call(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post("/whip/me", content="v=0\r\noffer", headers=SDP | headers)


async def test_an_offer_is_answered_with_all_that_a_peer_needs() -> None:
    rig = WebRig(ice_servers=(STUN, TURN))
    async with rig.client() as client:
        answer = await call(client)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.text == "v=0\r\nanswer"
    assert answer.headers["location"] == f"/whip/me/{next(iter(rig.control.calls))}"
    assert answer.headers["etag"] == '"first"'
    assert answer.headers.get_list("link") == [
        '<stun:stun.example.net:3478>; rel="ice-server"',
        '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="us\\"er"; '
        'credential="pass\\\\word"; credential-type="password"',
    ]
    assert rig.control.offers == ["v=0\r\noffer"]


async def test_hanging_up_ends_the_call_once() -> None:
    rig = WebRig()
    async with rig.client() as client:
        location = (await call(client)).headers["location"]
        # Entity tags do not matter when a call is ended (RFC 9725, 4.3.1).
        gone = await client.delete(location, headers={"If-Match": '"another"'})
        again = await client.delete(location)
    assert (gone.status_code, again.status_code) == (200, 404)
    assert rig.control.calls == {}


async def test_delete_and_patch_do_not_ignore_the_stream_in_their_path() -> None:
    rig = WebRig()
    async with rig.client() as client:
        location = (await call(client)).headers["location"]
        other = location.replace("/me/", "/other/")
        gone = await client.delete(other)
        trickled = await client.patch(
            other, content="a=mid:0", headers=FRAGMENT | {"If-Match": '"first"'}
        )
        assert (gone.status_code, trickled.status_code) == (404, 404)
        assert len(rig.control.calls) == 1
        assert (await client.delete(location)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"first"'}, 204),
        ({"If-Match": '"older", "first"'}, 204),
        ({}, 428),
        ({"If-Match": '"another"'}, 412),
        ({"If-Match": "*"}, 422),
        ({"If-Match": '"first"', "Content-Type": "application/sdp"}, 415),
    ],
)
async def test_trickled_candidates_need_the_right_ice_session(
    headers: dict[str, str], status: int
) -> None:
    rig = WebRig()
    async with rig.client() as client:
        location = (await call(client)).headers["location"]
        answer = await client.patch(location, content="a=mid:0", headers=FRAGMENT | headers)
    assert answer.status_code == status
    assert "etag" not in answer.headers
    assert rig.control.fragments == (["a=mid:0"] if status == 204 else [])


async def test_a_call_that_is_over_takes_no_candidates() -> None:
    async with WebRig().client() as client:
        answer = await client.patch(
            "/whip/me/no-such-session-here", content="a=mid:0", headers=FRAGMENT
        )
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (OfferInvalid("it begins badly"), 400, False),
        (OfferRefused("video must be VP8 or H264; offered: H265"), 422, False),
        (StreamUnknown("me"), 404, False),
        (NotACall("me"), 409, False),
        (StreamBusy("me"), 409, True),
        (TooManyPeers(8), 503, True),
        (TooManyStreams(16), 429, True),
        (Overloaded(12.5), 429, True),
    ],
)
async def test_refusals_say_why_and_whether_to_come_back(
    error: StreamError, status: int, *, retry: bool
) -> None:
    rig = WebRig()
    rig.control.refusal = error
    async with rig.client() as client:
        answer = await call(client)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == str(error)
    assert ("retry-after" in answer.headers) is retry


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json", "application/sdpx"])
async def test_only_sdp_is_an_offer(kind: str) -> None:
    async with WebRig().client() as client:
        answer = await client.post("/whip/me", content="v=0", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/sdp" in answer.json()["detail"]


async def test_bytes_that_are_no_text_are_no_offer() -> None:
    async with WebRig().client() as client:
        answer = await client.post("/whip/me", content=b"v=0\xff\xfe", headers=SDP)
    assert answer.status_code == 400


async def test_an_offer_of_a_megabyte_is_not_even_read() -> None:
    async with WebRig().client() as client:
        answer = await client.post("/whip/me", content=b"v" * (1 << 20), headers=SDP)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "stream", ["%2e", "%2e%2e", "%2E%2e%2e", "two%20words", "a%2Fb", "x" * 65, "ü"]
)
async def test_a_stream_needs_a_proper_name(stream: str) -> None:
    async with WebRig().client() as client:
        answer = await client.post(f"/whip/{stream}", content="v=0", headers=SDP)
    assert answer.status_code in (404, 405, 422)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_an_endpoint_takes_offers_only(method: str) -> None:
    """RFC 9725 reserves the other methods."""
    async with WebRig().client() as client:
        answer = await client.request(method, "/whip/me")
    assert answer.status_code == 405


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
async def test_a_session_is_changed_or_ended_only(method: str) -> None:
    async with WebRig().client() as client:
        location = (await call(client)).headers["location"]
        answer = await client.request(method, location)
    assert answer.status_code == 405


async def test_options_tell_what_is_taken_and_which_servers_there_are() -> None:
    async with WebRig(ice_servers=(STUN,)).client() as client:
        answer = await client.options("/whip/me")
    assert answer.status_code == 200
    assert answer.headers["accept-post"] == "application/sdp"
    assert answer.headers["link"] == '<stun:stun.example.net:3478>; rel="ice-server"'


# --- tokens ------------------------------------------------------------------------------------


def guarded(role: Role, ice_servers: Sequence[IceServer] = ()) -> WebRig:
    settings = WebSettings(tokens=(Token(TokenDigest(SECRET), role),))
    return WebRig(settings, ice_servers=tuple(ice_servers))


@pytest.mark.parametrize(
    ("role", "token", "told"),
    [
        (Role.PUBLISHER, None, False),
        (Role.PUBLISHER, "not the secret that it is", False),
        (Role.VIEWER, SECRET, False),
        (Role.PUBLISHER, SECRET, True),
        (Role.OPERATOR, SECRET, True),
    ],
)
@pytest.mark.parametrize("path", ["/whip/me", "/whip/x", "/whip/%2e"])
async def test_turn_credentials_are_not_answered_to_options_without_a_token(
    role: Role, token: str | None, path: str, *, told: bool
) -> None:
    async with guarded(role, (STUN, TURN)).client(token) as client:
        answer = await client.options(path)
    assert ("link" in answer.headers) is told
    assert ("credential" in str(answer.headers)) is told
    assert ("turn.example.net" in answer.text + str(answer.headers)) is told


async def test_a_refusal_names_no_servers_either() -> None:
    async with guarded(Role.PUBLISHER, (TURN,)).client() as client:
        answers = [
            await call(client),
            await client.options("/whip/me/no-such-session-here"),
            await client.get("/whip/me"),
        ]
    assert all("link" not in answer.headers for answer in answers)


async def test_a_publisher_may_call_and_nothing_else() -> None:
    async with guarded(Role.PUBLISHER).client(SECRET) as client:
        assert (await call(client)).status_code == 201
        assert (await client.get("/api/v1/streams")).status_code == 403
        body = {"id": "x", "source": {"url": "demo://authentic"}}
        assert (await client.post("/api/v1/streams", json=body)).status_code == 403


async def test_one_publisher_token_is_given_its_quota_and_an_operator_none() -> None:
    for role, limit in ((Role.PUBLISHER, 2), (Role.OPERATOR, None)):
        token = Token(TokenDigest(SECRET), role, max_streams=2)
        rig = WebRig(WebSettings(tokens=(token,)))
        async with rig.client(SECRET) as client:
            assert (await call(client)).status_code == 201
        (publisher,) = rig.control.publishers
        assert (publisher.credential, publisher.max_streams) == (token, limit)


async def test_a_full_quota_is_told_with_the_setting_that_raises_it() -> None:
    rig = guarded(Role.PUBLISHER)
    rig.control.refusal = PublisherFull(4)
    async with rig.client(SECRET) as client:
        answer = await call(client)
    assert answer.status_code == 429
    assert answer.json()["code"] == "publisher_full"
    assert "max_streams" in answer.json()["hint"]
    assert answer.headers["retry-after"]


async def test_a_call_stands_on_its_token_for_as_long_as_that_works() -> None:
    until = datetime(2030, 1, 1)  # noqa: DTZ001 - a configuration may leave the zone out
    rig = WebRig(WebSettings(tokens=(Token(TokenDigest(SECRET), Role.PUBLISHER, expires=until),)))
    async with rig.client(SECRET) as client:
        assert (await call(client)).status_code == 201
    (publisher,) = rig.control.publishers
    end = until.replace(tzinfo=UTC)
    assert publisher.valid_at(end - timedelta(seconds=1))
    assert not publisher.valid_at(end)


async def test_a_viewer_may_not_call() -> None:
    async with guarded(Role.VIEWER).client(SECRET) as client:
        answer = await call(client)
    assert answer.status_code == 403
    assert "publisher" in answer.json()["hint"]


async def test_an_operator_may_call() -> None:
    async with guarded(Role.OPERATOR).client(SECRET) as client:
        assert (await call(client)).status_code == 201


async def test_a_call_is_changed_and_ended_with_its_own_token_or_an_operators() -> None:
    other, operator = "another publisher's secret", "an operator's long token"
    roles = {SECRET: Role.PUBLISHER, other: Role.PUBLISHER, operator: Role.OPERATOR}
    shown = tuple(Token(TokenDigest(secret), role) for secret, role in roles.items())
    rig = WebRig(WebSettings(tokens=shown))
    for ender in (SECRET, operator):
        async with rig.client(SECRET) as client:
            location = (await call(client)).headers["location"]
        async with rig.client(other) as client:
            answers = [
                await client.patch(location, content="a=mid:0", headers=FRAGMENT),
                await client.delete(location),
            ]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert "operator" in answers[0].json()["hint"]
        async with rig.client(ender) as client:
            headers = FRAGMENT | {"If-Match": '"first"'}
            patched = await client.patch(location, content="a=mid:0", headers=headers)
            assert patched.status_code == 204
            assert (await client.delete(location)).status_code == 200


@pytest.mark.parametrize("token", [None, "not the secret that it is"])
async def test_every_step_needs_the_token(token: str | None) -> None:
    rig = guarded(Role.PUBLISHER)
    async with rig.client(SECRET) as client:
        location = (await call(client)).headers["location"]
    async with rig.client(token) as client:
        answers = [
            await call(client),
            await client.patch(location, content="a=mid:0", headers=FRAGMENT),
            await client.delete(location),
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert all("Bearer" in answer.headers["www-authenticate"] for answer in answers)
    assert len(rig.control.calls) == 1


# --- other origins -----------------------------------------------------------------------------


async def test_a_page_that_is_listed_may_call_from_elsewhere() -> None:
    rig = WebRig(WebSettings(allowed_origins=(ELSEWHERE,)))
    async with rig.client() as client:
        asked = await client.options(
            "/whip/me", headers={"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
        )
        answer = await call(client, Origin=ELSEWHERE)
    assert asked.headers["access-control-allow-origin"] == ELSEWHERE
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == ELSEWHERE
    exposed = answer.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("ETag", "Link", "Location"))


async def test_errors_can_be_read_from_elsewhere_too() -> None:
    rig = WebRig(WebSettings(allowed_origins=(ELSEWHERE,)))
    rig.control.refusal = OfferRefused("no")
    async with rig.client() as client:
        answer = await call(client, Origin=ELSEWHERE)
    assert answer.status_code == 422
    assert answer.headers["access-control-allow-origin"] == ELSEWHERE


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://[", ""])
async def test_any_other_page_may_not(origin: str) -> None:
    """Also where no token is needed: a page that happens to be open cannot send a stream."""
    rig = WebRig(WebSettings(allowed_origins=(ELSEWHERE,)))
    async with rig.client() as client:
        asked = await client.options(
            "/whip/me", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        answer = await call(client, Origin=origin)
    assert "access-control-allow-origin" not in asked.headers
    assert answer.status_code == 403
    assert rig.control.calls == {}


async def test_a_question_beforehand_is_told_no_servers() -> None:
    """Making TURN credentials may be dear (RFC 9725, 4.6)."""
    rig = WebRig(WebSettings(allowed_origins=(ELSEWHERE,)), ice_servers=(STUN,))
    async with rig.client() as client:
        asked = await client.options(
            "/whip/me", headers={"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
        )
    assert "link" not in asked.headers
