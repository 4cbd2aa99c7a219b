"""Fetching of videos by URL, guarded against server-side request forgery.

Every hop is treated alike: the URL is checked, and its addresses judged and connected to as
`stream.outbound` does it.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from stream.outbound import (
    Address,
    Resolver,
    addresses_of,
    is_permitted,
    pinned_request,
    system_resolver,
)
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

CHUNK = 64 * 1024


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
        addresses = await addresses_of(url, self._resolve)
        if not addresses:
            raise AddressUnresolved("the host name has no address")
        if not all(is_permitted(one, self._settings.allow_networks) for one in addresses):
            raise AddressRefused("the host is not on the public internet")
        return _Target(url, addresses)

    async def _get(
        self, client: httpx.AsyncClient, target: _Target, path: Path
    ) -> httpx.URL | None:
        """Write the answer to a file, or return where it redirects to."""
        failure: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in target.addresses:
            request = pinned_request(client, "GET", target.url, address, {})
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
