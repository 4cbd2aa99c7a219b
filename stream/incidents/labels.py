"""Labels of operators as a manifest, which `styleflow evaluate` and `styleflow train` read.

An incident that somebody found true is a fake, one that was found false is real. What was unclear,
or has no video any more, is left out and counted. All clips of a stream are one group: its people
and its place stay on one side of every split.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from stream.incident import EvidenceState, Label
from stream.store.access import from_us
from stream.store.tables import evidence, incidents

COLUMNS = (
    *("file", "split", "label", "group", "kind", "generator", "source_repo", "pair_id"),
    *("incident", "opened", "peak"),
)
"""Columns of the manifest: those that the reader knows, and where each row comes from."""

_MANIFEST_LABEL = {Label.TRUE.value: "fake", Label.FALSE.value: "real"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Labelled clips as CSV.

    Attributes:
        text: the CSV.
        clips: how many rows, by label.
        left_out: how many labelled incidents are no row, by why: `unclear` or `no_clip`.
    """

    text: str
    clips: Mapping[str, int]
    left_out: Mapping[str, int]


def manifest(
    connection: Connection,
    split: str = "",
    place: Callable[[str], str] = str,
    streams: Collection[str] = (),
) -> Manifest:
    """Return every labelled incident with a clip, oldest first.

    Args:
        connection: to read with.
        split: what each row says; empty is trained on, with a tenth of the groups held out.
        place: from a clip's path below the evidence folder to what the row says.
        streams: only theirs; all of them when empty.
    """
    lines = io.StringIO()
    table = csv.DictWriter(lines, COLUMNS, lineterminator="\n", restval="")
    table.writeheader()
    clips, left_out = Counter(real=0, fake=0), Counter(unclear=0, no_clip=0)
    query = _LABELLED.where(incidents.c.stream.in_(streams)) if streams else _LABELLED
    for row in connection.execute(query):
        label = _MANIFEST_LABEL.get(row.label)
        if label is None:
            left_out["unclear"] += 1
        elif row.state != EvidenceState.KEPT.value or not row.file:
            left_out["no_clip"] += 1
        else:
            clips[label] += 1
            table.writerow(
                {
                    "file": place(row.file),
                    "split": split,
                    "label": label,
                    "group": row.stream,
                    "incident": row.id,
                    "opened": from_us(row.opened).isoformat(),
                    "peak": f"{row.peak:.4f}",
                }
            )
    return Manifest(lines.getvalue(), clips, left_out)


_LABELLED = (
    select(
        incidents.c.id,
        incidents.c.stream,
        incidents.c.opened,
        incidents.c.label,
        incidents.c.peak,
        evidence.c.state,
        evidence.c.file,
    )
    .join(evidence, evidence.c.incident == incidents.c.id, isouter=True)
    .where(incidents.c.label.is_not(None))
    .order_by(incidents.c.opened, incidents.c.id)
)
