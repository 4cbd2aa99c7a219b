"""`styleflow evaluate trials`: an evaluation's ratings as a table of known trials."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from styleflow.decisions import LEAST_IN_BUCKET, Horizon, QualityFigure
from styleflow.errors import ResultsUnusable
from styleflow.evaluation.record import PLAIN, of_condition, read_records
from styleflow.evaluation.trials import known_trials


def write_trials(
    results: Path,
    out: Path,
    source: str,
    trial_s: float,
    least_s: float,
    console: Console,
    by: QualityFigure | None = None,
) -> None:
    """Write the table and say what it can promise.

    Raises:
        ResultsUnusable: the folder holds no results, or does not say what they are of.
        DecisionTableUnusable: too few sources, or times that are no trial.
        OSError: a file cannot be read or written.
    """
    subject, records = read_records(results)
    try:
        detector, digest = str(subject["detector"]), str(subject["sha256"])
        hop_s = float(subject["engine"]["hop_s"])
    except (KeyError, TypeError, ValueError):
        reason = "its first line does not say detector, weights and the engine's settings"
        raise ResultsUnusable(results / "records.jsonl", reason) from None
    table, left_out = known_trials(
        of_condition(records, PLAIN),
        detector,
        digest,
        source or results.name,
        Horizon(trial_s, least_s),
        hop_s,
        by,
    )
    table.write(out)
    console.print(
        f"{out}: trials of {len(table.reals)} real and {len(table.fakes)} fake sources of "
        f"{detector}; {left_out} clips have less than {least_s:g} s of evidence and are left out.\n"
        f"A trial can be held to a false alarm in {1 / table.finest:.0f} at best and a miss in "
        f"{1 / table.finest_miss:.0f}. More real sources allow smaller budgets."
    )
    if table.buckets is not None:
        edges = ", ".join(f"{edge:g}" for edge in table.buckets.edges)
        console.print(f"Faces are compared with sources of like {by}; buckets begin at {edges}.")
    elif by is not None:
        console.print(
            f"No buckets by {by}: two need {2 * LEAST_IN_BUCKET} real sources.", style="yellow"
        )
