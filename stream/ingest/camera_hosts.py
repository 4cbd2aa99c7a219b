"""Addresses that no camera can have: where clouds serve credentials, and those of nobody."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

_METADATA = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"), ip_network("fd00:ec2::/32"))
"""Link-local addresses, where clouds keep the credentials of the machine."""

REFUSAL = "the host is link-local, multicast or unspecified"


def is_refused(addresses: Iterable[str]) -> bool:
    """Say whether one of a host's addresses is one that no camera can have.

    Cameras live in private networks, so those are fine.

    Raises:
        ValueError: one of them is no IP address.
    """
    for address in [ip_address(text.partition("%")[0]) for text in addresses]:
        inner = getattr(address, "ipv4_mapped", None) or address
        local = any(inner in net for net in _METADATA if net.version == inner.version)
        if local or inner.is_multicast or inner.is_unspecified:
            return True
    return False
