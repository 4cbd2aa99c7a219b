"""A baseline: what is kept of one stream's known-real video, and how it becomes a file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stream.baseline.errors import BaselineUnusable
from stream.baseline.statistics import PERCENTILES, Statistics
from styleflow.decisions import Horizon

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is kept of one stream's known-real video.

    Attributes:
        stream: id of the stream.
        name: what people call it.
        detector: whose ratings they are.
        digest: SHA-256 of the weights that gave them.
        horizon: times of its trials.
        made: wall clock, UTC.
        expires: wall clock, UTC, from which on it is not used.
        source: where the video came from, in words.
        by: who said that it was real.
        statistics: of the video.
    """

    stream: str
    name: str
    detector: str
    digest: str
    horizon: Horizon
    made: datetime
    expires: datetime
    source: str
    by: str
    statistics: Statistics

    @property
    def minutes(self) -> float:
        """Minutes of evidence."""
        return self.statistics.seconds / 60.0

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        document = asdict(self)
        document |= {"made": self.made.isoformat(), "expires": self.expires.isoformat()}
        return {"format": FORMAT, **document}


_BASELINE: TypeAdapter[Baseline] = TypeAdapter(Baseline)


def read_document(document: Mapping[str, Any], origin: str) -> Baseline:
    """Return the baseline of JSON values.

    Raises:
        BaselineUnusable: they are none, or of another format.
    """
    if document.get("format") != FORMAT:
        raise BaselineUnusable(origin, f"it has format {document.get('format')!r}, not {FORMAT}")
    values = {key: value for key, value in document.items() if key != "format"}
    try:
        found = _BASELINE.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BaselineUnusable(origin, f"{place}: {first['msg']}") from None
    if len(found.statistics.percentiles) != len(PERCENTILES):
        raise BaselineUnusable(origin, "it has not 101 percentiles")
    if found.made.tzinfo is None or found.expires.tzinfo is None:
        raise BaselineUnusable(origin, "a time has no zone")
    return found
