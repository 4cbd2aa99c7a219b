"""`styleflow ensemble fit`: validation scores in, a small file of weights out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rich.console import Console

from cli import wiring
from cli.settings import Settings
from styleflow import ensemble
from styleflow.ensemble import Numbers
from styleflow.errors import EnsembleInvalid

_NOT_DETECTORS = ("label", "group")


def fit(scores: Path, out_path: Path, settings: Settings | None, out: Console) -> None:
    """Fit an ensemble, write it, and print what it became."""
    names, logits, labels, groups = read(scores)
    digests = _digests(settings, names) if settings else {}
    made = ensemble.fit(logits, labels, names, digests)
    ensemble.save(made, out_path)
    for member in made.members:
        out.print(f"{member.weight:+.4f}  {member.detector}", markup=False, highlight=False)
    out.print(f"{made.intercept:+.4f}  intercept", markup=False, highlight=False)
    held_out = ensemble.held_out_loss(logits, labels, names, groups)
    out.print(
        f"{made.fit.samples} samples, log loss {made.fit.log_loss:.4f}"
        + (f", on held-out groups {held_out:.4f}" if held_out is not None else ""),
        markup=False,
        highlight=False,
    )
    out.print(f"written: {out_path}", markup=False, highlight=False, soft_wrap=True)


def read(path: Path) -> tuple[list[str], Numbers, Numbers, list[str]]:
    """Return detectors, logits `(N, K)`, labels `(N,)` and the group of every row of a CSV file.

    Raises:
        EnsembleInvalid: it has no label column, or a value is no number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns = list(rows.fieldnames or ())
        names = [name for name in columns if name not in _NOT_DETECTORS]
        if "label" not in columns or not names:
            raise EnsembleInvalid("needs a column `label` and one per detector", path)
        logits, labels, groups = [], [], []
        for row in rows:
            try:
                logits.append([float(row[name]) for name in names])
                labels.append(float(row["label"]))
            except (TypeError, ValueError):
                raise EnsembleInvalid(f"line {rows.line_num} holds no number", path) from None
            groups.append(row.get("group") or str(rows.line_num))
    return names, np.array(logits, np.float64), np.array(labels, np.float64), groups


def _digests(settings: Settings, names: list[str]) -> dict[str, str]:
    """Return the digest of each column's configured weights."""
    configured = {wanted.name: wanted for wanted in wiring.chosen(settings)}
    absent = [name for name in names if name not in configured]
    if absent:
        raise EnsembleInvalid(f"not configured: {', '.join(absent)}")
    return {name: wiring.checkpoint(configured[name], settings).sha256 for name in names}
