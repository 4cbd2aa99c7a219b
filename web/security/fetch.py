"""Fetching of videos by URL, guarded against server-side request forgery.

Every hop is treated alike: the URL is checked, its host resolved once, every address judged, and
the connection made to the judged address itself, so that a second answer of the name server
cannot lead elsewhere. TLS still verifies the host's name.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from web.errors import (
    AddressInvalid,
    AddressRefused,
    AddressUnresolved,
    FetchTooSlow,
    Refusal,
    TemporaryFolderFull,
    TooManyRedirects,
    VideoEncoded,
    VideoTooLarge,
    VideoUndelivered,
)
from web.security.fetch_settings import FetchSettings

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port in, addresses out; raises OSError when there is none."""

CHUNK = 64 * 1024

_NAT64 = ip_network("64:ff9b::/96")
_REFUSED = tuple(
    ip_network(net)
    for net in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible addresses
        "2001::/23",  # Teredo and other protocol assignments
        "fec0::/10",  # the old site-local addresses
    )
)


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the operating system."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the open internet, however it is dressed up."""
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    if any(address in net for net in _REFUSED if net.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


@dataclass(frozen=True, slots=True)
class _Target:
    """One hop: what was asked for, and the judged addresses to connect to."""

    url: httpx.URL
    addresses: tuple[Address, ...]


class Fetcher:
    """Fetches videos into temporary files.

    Args:
        settings: limits.
        resolve: finds addresses.
        transport: replaces the network in tests; sees requests to judged addresses only.
    """

    def __init__(
        self,
        settings: FetchSettings,
        resolve: Resolver = system_resolver,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._resolve = resolve
        self._transport = transport

    @asynccontextmanager
    async def fetched(self, url: str) -> AsyncIterator[Path]:
        """Give the file at a URL; it is deleted in the end, whatever happens.

        Raises:
            Refusal: 400 unusable URL, 403 refused address, 413 too large, 502 not delivered,
                504 too slow, 507 no room for it.
        """
        with _temporary_folder() as folder:
            path = folder / "video"
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    await self._fetch(url, path)
            except TimeoutError:
                raise _too_slow(self._settings.timeout_s) from None
            except OSError as error:
                raise _no_room(error) from None
            yield path

    async def _fetch(self, url: str, path: Path) -> None:
        limits = httpx.Timeout(self._settings.timeout_s, connect=self._settings.connect_s)
        async with httpx.AsyncClient(
            transport=self._transport,
            trust_env=False,  # a proxy would resolve names once more, by itself
            follow_redirects=False,
            timeout=limits,
        ) as client:
            at = _parse(url)
            for _ in range(self._settings.max_redirects + 1):
                target = await self._judge(at)
                follow = await self._get(client, target, path)
                if follow is None:
                    return
                at = follow
        raise TooManyRedirects(f"more than {self._settings.max_redirects} redirects")

    async def _judge(self, url: httpx.URL) -> _Target:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await self._resolve(url.host, port)
            addresses = tuple(ip_address(text.partition("%")[0]) for text in found)
        except (OSError, ValueError, UnicodeError):
            addresses = ()
        if not addresses:
            raise AddressUnresolved("the host name has no address")
        for address in addresses:
            if not is_public(address) and not self._allowed(address):
                raise AddressRefused("the host is not on the public internet")
        return _Target(url, addresses)

    def _allowed(self, address: Address) -> bool:
        nets: tuple[IPv4Network | IPv6Network, ...] = self._settings.allow_networks
        return any(net.version == address.version and address in net for net in nets)

    async def _get(
        self, client: httpx.AsyncClient, target: _Target, path: Path
    ) -> httpx.URL | None:
        """Write the answer to a file, or return where it redirects to."""
        failure: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in target.addresses:
            request = _request(client, target.url, address)
            try:
                response = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
                continue
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _undelivered(error) from None
            try:
                return await self._take(response, target.url, path)
            except httpx.HTTPError as error:
                raise _undelivered(error) from None
            finally:
                await response.aclose()
        assert failure is not None
        raise _undelivered(failure) from None

    async def _take(self, response: httpx.Response, url: httpx.URL, path: Path) -> httpx.URL | None:
        if response.is_redirect:
            return _parse(_join(url, response.headers["location"]))
        if response.status_code != 200:
            raise VideoUndelivered(f"the other side answered {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise VideoEncoded("it came compressed")
        declared = response.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._settings.max_bytes:
            raise self._too_large()
        await self._save(response, path)
        return None

    async def _save(self, response: httpx.Response, path: Path) -> None:
        size = 0
        with path.open("wb") as file:
            async for chunk in response.aiter_raw(CHUNK):
                size += len(chunk)
                if size > self._settings.max_bytes:
                    raise self._too_large()
                file.write(chunk)

    def _too_large(self) -> VideoTooLarge:
        return VideoTooLarge(f"files are limited to {self._settings.max_bytes} bytes")


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise AddressInvalid("it is malformed") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise AddressInvalid("only http:// and https:// are fetched")
    if parsed.userinfo:
        raise AddressInvalid("it carries credentials")
    return parsed


def _join(url: httpx.URL, location: str) -> str:
    try:
        return str(url.join(location))
    except (httpx.InvalidURL, ValueError):
        raise AddressInvalid("it redirects to a malformed address") from None


def _request(client: httpx.AsyncClient, url: httpx.URL, address: Address) -> httpx.Request:
    """Return a request to one address that says and verifies the host's own name."""
    host = url.netloc.decode("ascii")
    return client.build_request(
        "GET",
        url.copy_with(host=str(address), fragment=None),
        headers={"Host": host, "Accept-Encoding": "identity", "User-Agent": "styleflow-live"},
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        made = TemporaryDirectory(prefix="styleflow-", ignore_cleanup_errors=True)
    except OSError as error:
        raise _no_room(error) from None
    with made as folder:
        yield Path(folder)


def _no_room(error: OSError) -> Exception:
    """Return what it means that a video cannot be written: mostly, that nothing fits any more."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return TemporaryFolderFull("the video could not be written to it")
    return error


def _undelivered(error: Exception) -> Refusal:
    if isinstance(error, httpx.TimeoutException):
        return FetchTooSlow("the other side is silent")
    return VideoUndelivered(type(error).__name__, retry=True)


def _too_slow(limit_s: float) -> FetchTooSlow:
    return FetchTooSlow(f"fetching takes at most {limit_s:g} s")
