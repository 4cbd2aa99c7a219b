"""Figures of connections, under the names that Prometheus knows.

Reads what limits and waiting rooms count and decides nothing. Called at scrape time.
"""

from __future__ import annotations

from collections.abc import Iterator

from stream.monitoring.metrics import Figure
from web.connection_limits import ConnectionLimits, ConnectionRefusal
from web.waiting_room import WaitingRoom


def connection_figures(limits: ConnectionLimits, strangers: WaitingRoom) -> Iterator[Figure]:
    """Yield how many connections there are, and how many were refused, by reason.

    Args:
        limits: of all connections.
        strangers: WebSockets that have not said hello.
    """
    yield Figure("connections", len(limits))
    yield Figure("connections_waiting", len(limits.waiting))
    yield Figure("ws_before_hello", len(strangers))
    refused = {why.value: limits.refused[why] for why in ConnectionRefusal}
    refused |= _gone("request", limits.waiting) | _gone("hello", strangers)
    for reason, count in refused.items():
        yield Figure("connections_refused_total", count, (reason,))


def _gone(awaited: str, room: WaitingRoom) -> dict[str, int]:
    return {f"no_{awaited}_full": room.turned_out, f"no_{awaited}_late": room.late}
