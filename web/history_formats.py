"""Forms in which the stored past of a stream is given: JSON, CSV and Parquet.

All of it is work for a worker thread: a day of one face is megabytes of text.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from pydantic_core import to_json

from stream.store.history import PulseColumns, ScoreColumns, StoredHistory
from web.errors import FormatRefused, ParquetMissing

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
SUFFIXES = {JSON: "json", CSV: "csv", PARQUET: "parquet"}

_ROWS = 10_000


def chosen(accept: str | None) -> str:
    """Return the media type that a request's Accept header likes best of those given here.

    Raises:
        FormatRefused: it accepts none of them.
    """
    best, weight = "", 0.0
    for part in (accept or "*/*").split(","):
        name, _, parameters = part.strip().lower().partition(";")
        quality = _quality(parameters)
        for given in (JSON, CSV, PARQUET):
            if quality > weight and name.strip() in (given, "*/*", f"{given.split('/')[0]}/*"):
                best, weight = given, quality
    if not best:
        raise FormatRefused("none of the accepted types is given here")
    return best


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def writer_of(media_type: str) -> Callable[[StoredHistory, float], bytes]:
    """Return what writes a history in a form.

    Raises:
        ParquetMissing: pyarrow is not installed.
    """
    if media_type == PARQUET:
        try:
            import pyarrow.parquet  # noqa: F401 - an extra, and 40 MB: only for whoever asks
        except ImportError:
            raise ParquetMissing("pyarrow is missing") from None
        return _parquet
    return _csv if media_type == CSV else _json


def _json(history: StoredHistory, now: float) -> bytes:
    """Return a `HistoryView`."""
    head = {"stream": history.stream, "now": now, "resolution": history.resolution or "full"}
    parts = [
        to_json(head)[:-1],
        b',"scores":',
        _json_columns(history.scores),
        b',"pulses":',
        _json_columns(history.pulses),
        b',"events":[',
        ",".join(history.events).encode(),
        b"]}",
    ]
    return b"".join(parts)


def _json_columns(columns: ScoreColumns | PulseColumns) -> bytes:
    written = (
        b'"%s":%s' % (field.name.encode(), _json_column(getattr(columns, field.name)))
        for field in fields(columns)
    )
    return b"{" + b",".join(written) + b"}"


def _json_column(column: np.ndarray[Any, Any]) -> bytes:
    """Return a list of JSON; in pieces, because other threads wait while one is made."""
    pieces = (
        to_json(column[i : i + _ROWS].tolist(), inf_nan_mode="null")[1:-1]
        for i in range(0, len(column), _ROWS)
    )
    return b"[" + b",".join(pieces) + b"]"


def _csv(history: StoredHistory, now: float) -> bytes:
    """Return the scores as lines, the first of which names the columns; no number is empty."""
    del now
    columns = _plain(history.scores)
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    for i in range(0, len(history.scores.t), _ROWS):
        lines.writerows(zip(*(_cells(c[i : i + _ROWS]) for c in columns.values()), strict=True))
    return text.getvalue().encode()


def _cells(column: np.ndarray[Any, Any]) -> list[Any]:
    if column.dtype != np.float64:
        return list(column.tolist())
    return ["" if math.isnan(value) else value for value in column.tolist()]


def _parquet(history: StoredHistory, now: float) -> bytes:
    """Return the scores as a table; what it is of stands in the file's metadata."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        name: pa.array(column, from_pandas=True) for name, column in _plain(history.scores).items()
    }
    about = {
        "stream": history.stream,
        "resolution": str(history.resolution or "full"),
        "made": str(now),
    }
    table = pa.table(columns).replace_schema_metadata(about)
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def _plain(columns: ScoreColumns) -> dict[str, np.ndarray[Any, Any]]:
    return {field.name: getattr(columns, field.name) for field in fields(columns)}
