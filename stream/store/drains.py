"""Workers that are drained, for the next director of a cluster; functions over a connection."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from stream.store.tables import drains

MAX_DRAINS = 1024
"""Workers that are remembered at most; whoever is drained after so many is not."""


def read(connection: Connection) -> dict[str, str]:
    """Return which workers are drained, and by whom."""
    rows = connection.execute(select(drains.c.worker, drains.c.why).limit(MAX_DRAINS))
    return {str(worker): str(why) for worker, why in rows}


def write(connection: Connection, drained: Mapping[str, str]) -> None:
    """Have it known which workers are drained, and no others."""
    connection.execute(delete(drains))
    rows = [{"worker": name, "why": why} for name, why in sorted(drained.items())[:MAX_DRAINS]]
    if rows:
        connection.execute(insert(drains), rows)
