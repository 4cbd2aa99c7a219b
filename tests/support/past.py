"""Rows of a past that never was, in a store of the test's own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from stream.events import VerdictChanged
from stream.publish.encode import Context, encode
from stream.store.tables import events, models, pulses, score_seconds, scores, streams
from tests.support.wire import INFO, verdict_changed

BEGAN = 1_772_366_400
"""A second: 1 March 2026, 12:00 UTC."""


def stream(connection: Connection, id: str = "lobby", number: int = 1) -> None:
    """Store a stream and, once, a model."""
    connection.execute(insert(streams).values(number=number, id=id, wanted=False, changed=0))
    if number == 1:
        connection.execute(
            insert(models).values(
                number=7,
                name="styleflow-live",
                version="1",
                mode="causal",
                status="trained",
                sha256="ab",
            )
        )


def seconds(
    connection: Connection, rows: Iterable[tuple[int, int, float | None, int]], number: int = 1
) -> None:
    """Store means per second: second after `BEGAN`, track, mean, how many scores."""
    values = [
        {
            "stream": number,
            "second": BEGAN + second,
            "track": track,
            "model": 7,
            "epoch": 2,
            "count": count,
            "p_min": None if mean is None else mean - 0.1,
            "p_mean": mean,
            "p_max": None if mean is None else mean + 0.1,
            "lo": None if mean is None else mean - 0.2,
            "hi": None if mean is None else mean + 0.2,
            "state": 3 if mean is not None and mean > 0.7 else 2,
        }
        for second, track, mean, count in rows
    ]
    connection.execute(insert(score_seconds), values)


def full(connection: Connection, ps: Iterable[float | None], number: int = 1) -> None:
    """Store scores, a quarter of a second apart."""
    connection.execute(
        insert(scores),
        [
            {
                "stream": number,
                "at": BEGAN * 1_000_000 + n * 250_000,
                "seq": n,
                "epoch": 2,
                "track": 1,
                "model": 7,
                "p": p,
                "lo": p,
                "hi": p,
                "logit": 0.0,
                "state": 2,
                "face_px": 96.5,
                "sharpness": 80.25,
            }
            for n, p in enumerate(ps)
        ],
    )


def reports(connection: Connection, fps: Iterable[float], number: int = 1) -> None:
    """Store reports, a second apart."""
    connection.execute(
        insert(pulses),
        [
            {
                "stream": number,
                "at": (BEGAN + n) * 1_000_000,
                "epoch": 2,
                "fps": rate,
                "loss": 0.1,
                "tracks": n,
            }
            for n, rate in enumerate(fps)
        ],
    )


def verdicts(
    connection: Connection, seqs: Iterable[int], id: str = "lobby", number: int = 1
) -> None:
    """Store verdicts, a second apart, with these numbers."""
    connection.execute(insert(events), [_verdict(seq, n, id, number) for n, seq in enumerate(seqs)])


def _verdict(seq: int, second: int, id: str, number: int) -> dict[str, Any]:
    event: VerdictChanged = verdict_changed(id)
    utc = datetime.fromtimestamp(BEGAN + second, UTC)
    message = encode(event, Context(INFO, seq, 0.0, utc))
    return {
        "seq": seq,
        "stream": number,
        "epoch": event.epoch,
        "at": (BEGAN + second) * 1_000_000,
        "kind": "verdict_changed",
        "message": message,
    }
