"""Settings of fetching videos by URL; values only."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Limits on fetching a video by URL for `/predict`.

    Attributes:
        max_bytes: a larger file is refused.
        timeout_s: the whole transfer, redirects included.
        connect_s: one connection attempt.
        max_redirects: a further redirect is refused; every hop is checked like the first.
        allow_networks: addresses that are fetched from although they are not public.
    """

    max_bytes: int = 200_000_000
    timeout_s: float = 120.0
    connect_s: float = 5.0
    max_redirects: int = 3
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
