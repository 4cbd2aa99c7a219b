"""Settings of fetching videos by URL; values only."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field


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

    max_bytes: Annotated[int, Field(ge=1, le=1 << 40)] = 200_000_000
    timeout_s: Annotated[float, Field(gt=0, le=86400)] = 120.0
    connect_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 3
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
