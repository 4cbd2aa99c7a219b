"""Fetching by URL reaches the open internet and nothing else, within its limits."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.outbound import is_public, system_resolver
from tests.support.web import resolver
from web.errors import Refusal, TemporaryFolderFull
from web.security.fetch import Fetcher
from web.security.fetch_settings import FetchSettings

PUBLIC = "93.184.216.34"


class Network:
    """Answers requests and remembers to which address and name they went."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._answer = answer

    def transport(self) -> httpx.MockTransport:
        def handle(request: httpx.Request) -> httpx.Response:
            self.asked.append((request.url.host, request.headers["host"]))
            return self._answer(request)

        return httpx.MockTransport(handle)


class Body(httpx.AsyncByteStream):
    """A body that comes in two pieces."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"fi"
        yield b"lm"


def film(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=Body())


async def fetch(
    url: str,
    answer: Callable[[httpx.Request], httpx.Response] = film,
    resolve: object = None,
    settings: FetchSettings | None = None,
) -> tuple[bytes, Network, Path]:
    network = Network(answer)
    name_server = resolve or resolver([PUBLIC])
    fetcher = Fetcher(settings or FetchSettings(), name_server, network.transport())  # type: ignore[arg-type]
    async with fetcher.fetched(url) as path:
        content = path.read_bytes()
    return content, network, path


async def refused(url: str, *args: object, **kwargs: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await fetch(url, *args, **kwargs)  # type: ignore[arg-type]
    return caught.value


async def test_a_file_is_there_while_it_is_needed_and_gone_afterwards() -> None:
    content, network, path = await fetch("https://films.example/a.mp4?x=1")
    assert content == b"film"
    assert network.asked == [(PUBLIC, "films.example")]
    assert not path.exists()
    assert not path.parent.exists()


async def test_tls_verifies_the_hosts_name_although_we_connect_to_its_address() -> None:
    seen: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["sni_hostname"])
        return film(request)

    await fetch("https://films.example:8443/a.mp4", answer)
    assert seen == ["films.example"]


NASTY = [
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://127.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://198.18.0.1/",
    "http://192.0.0.8/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::1]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
]


@pytest.mark.parametrize("url", NASTY)
async def test_addresses_that_are_not_public_are_refused_however_they_are_written(url: str) -> None:
    """The operating system reads the notation, so every notation it knows is covered."""
    refusal = await refused(url, resolve=system_resolver)
    assert refusal.status == 403


async def test_dotted_octal_is_not_understood_at_all() -> None:
    assert (await refused("http://0177.0.0.1/", resolve=system_resolver)).status == 400


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fe80::1", "169.254.169.254"])
async def test_names_that_lead_inside_are_refused(address: str) -> None:
    assert (await refused("http://innocent.example/", resolve=resolver([address]))).status == 403


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    mixed = resolver([PUBLIC, "10.0.0.1"])
    assert (await refused("http://mixed.example/", resolve=mixed)).status == 403


async def test_a_second_answer_of_the_name_server_is_never_asked_for() -> None:
    """No DNS rebinding: what was judged is what is connected to."""
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    async def resolve(host: str, port: int) -> list[str]:
        return next(answers)

    _, network, _ = await fetch("http://rebinding.example/", resolve=resolve)
    assert network.asked == [(PUBLIC, "rebinding.example")]


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1/", "//10.0.0.1/x", "http://[::1]:8000/", "http://inside.example/"],
)
async def test_every_redirect_is_judged_like_the_first_address(location: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": location})

    async def resolve(host: str, port: int) -> list[str]:
        if host == "outside.example":
            return [PUBLIC]
        return ["10.9.8.7"] if host == "inside.example" else [host]

    assert (await refused("http://outside.example/", answer, resolve)).status == 403


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x.example/", "http://u:p@x/"])
async def test_redirects_to_other_schemes_or_credentials_are_refused(location: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": location})

    assert (await refused("http://outside.example/", answer)).status == 400


async def test_redirects_are_followed_up_to_a_limit() -> None:
    def hops(count: int) -> Callable[[httpx.Request], httpx.Response]:
        def answer(request: httpx.Request) -> httpx.Response:
            at = int(request.url.path.strip("/") or 0)
            if at >= count:
                return film(request)
            return httpx.Response(301, headers={"location": f"/{at + 1}"})

        return answer

    content, _, _ = await fetch("http://hops.example/0", hops(3))
    assert content == b"film"
    assert (await refused("http://hops.example/0", hops(4))).code == "too_many_redirects"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example/",
        "gopher://x.example/",
        "http://",
        "http:///a",
        "https://user:pw@x.example/",
    ],
)
async def test_other_urls_are_not_understood(url: str) -> None:
    assert (await refused(url)).status == 400


async def test_a_file_that_says_it_is_too_large_is_refused_before_it_comes() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-length": "11"}, stream=Endless())

    assert (
        await refused("http://big.example/", answer, settings=FetchSettings(max_bytes=10))
    ).status == 413


class Endless(httpx.AsyncByteStream):
    """A body without an end."""

    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 1
            yield b"x" * 1000


async def test_a_file_that_turns_out_too_large_is_cut_off() -> None:
    body = Endless()
    settings = FetchSettings(max_bytes=200_000)
    refusal = await refused(
        "http://big.example/", lambda request: httpx.Response(200, stream=body), settings=settings
    )
    assert refusal.status == 413
    assert body.sent < 400


class Silent(httpx.AsyncByteStream):
    """A body that begins and never goes on."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()


async def test_a_file_that_comes_too_slowly_is_given_up() -> None:
    settings = FetchSettings(timeout_s=0.02)
    refusal = await refused(
        "http://slow.example/",
        lambda request: httpx.Response(200, stream=Silent()),
        settings=settings,
    )
    assert refusal.status == 504


@pytest.mark.parametrize("status", [204, 401, 404, 500])
async def test_an_answer_without_the_file_says_what_came_instead(status: int) -> None:
    refusal = await refused("http://x.example/", lambda request: httpx.Response(status))
    assert refusal.status == 502
    assert str(status) in refusal.detail


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == PUBLIC:
            raise httpx.ConnectError("unreachable")
        return film(request)

    content, network, _ = await fetch("http://x.example/", answer, resolver([PUBLIC, "1.1.1.1"]))
    assert content == b"film"
    assert [host for host, _ in network.asked] == [PUBLIC, "1.1.1.1"]


async def test_a_host_without_an_address_is_not_our_fault() -> None:
    assert (await refused("http://nowhere.example/", resolve=resolver(()))).status == 502


async def test_networks_can_be_allowed() -> None:
    settings = FetchSettings(allow_networks=(ip_network("10.0.0.0/8"),))
    content, _, _ = await fetch("http://nas.example/", film, resolver(["10.0.0.7"]), settings)
    assert content == b"film"


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_as_public_as_its_ipv6_disguises(address: object) -> None:
    plain = ip_address(str(address))
    mapped = ip_address(f"::ffff:{address}")
    nat64 = ip_address(int(ip_address("64:ff9b::")) + int(plain))
    assert is_public(mapped) == is_public(nat64) == is_public(plain)


@pytest.mark.parametrize("at", ["TemporaryDirectory", "Path"])
async def test_a_full_temporary_folder_is_507_with_words(
    at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if at == "Path":
        monkeypatch.setattr("pathlib.Path.open", full)
    else:
        monkeypatch.setattr(f"web.security.fetch.{at}", full)
    network = Network(lambda request: httpx.Response(200, content=b"film"))
    fetcher = Fetcher(FetchSettings(), resolver([PUBLIC]), network.transport())
    with pytest.raises(TemporaryFolderFull) as refused:
        async with fetcher.fetched("http://a.example/v.mp4"):
            pass
    assert refused.value.status == 507
    assert "TMPDIR" in refused.value.hint
