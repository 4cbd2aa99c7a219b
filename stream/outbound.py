"""Outgoing HTTP whose addresses are judged before they are connected to.

A host is resolved once, every address judged, and the connection made to the judged address
itself, so that a second answer of the name server cannot lead elsewhere. TLS still verifies the
host's name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import httpx

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port in, addresses out; raises OSError when there is none."""

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


def is_permitted(address: Address, allowed: Iterable[Network]) -> bool:
    """Return whether an address is public, or in a network that is allowed all the same."""
    return is_public(address) or any(
        net.version == address.version and address in net for net in allowed
    )


async def addresses_of(url: httpx.URL, resolve: Resolver) -> tuple[Address, ...]:
    """Return the addresses of a URL's host; none when it has none."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await resolve(url.host, port)
        return tuple(ip_address(text.partition("%")[0]) for text in found)
    except (OSError, ValueError, UnicodeError):
        return ()


def pinned_request(
    client: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    address: Address,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> httpx.Request:
    """Return a request to one address that says and verifies the host's own name."""
    return client.build_request(
        method,
        url.copy_with(host=str(address), fragment=None),
        headers={
            "Host": url.netloc.decode("ascii"),
            "Accept-Encoding": "identity",
            "User-Agent": "styleflow-live",
            **headers,
        },
        content=content,
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )


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
