"""Evaluations side by side, and against what they should repeat."""

import copy
import json

import pytest

from styleflow.errors import ResultsUnusable
from styleflow.evaluation.comparison import TOLERANCES, cells, differences, markdown, read_metrics
from styleflow.evaluation.figures import figures
from tests.support.records import record

RECORDS = [record("r1", 0, 0.2), record("r2", 0, 0.6), record("f1", 1, 0.5), record("f2", 1, 0.9)]


def evaluated(data="here", auc=None, **changes):
    """Return the figures of a small evaluation, as metrics.json holds them."""
    found = figures(RECORDS, 0.7, rounds=20)
    found["provenance"] = {
        "detector": "toy",
        "version": "1",
        "weights_sha256": "ab" * 32,
        "manifest_sha256": "cd" * 32,
        "status": "trained",
        "trained_on": "there",
        "data": data,
        "split": "dev",
        "clips": 4,
        "engine": {"enter": 0.7},
    } | changes
    if auc is not None:
        found["video"]["auc"] = {"value": auc, "low": auc - 0.1, "high": auc + 0.05}
    return found


def test_every_figure_that_must_be_repeated_exists() -> None:
    """A misspelt name would compare nothing with nothing."""
    for name in TOLERANCES:
        place = evaluated()
        for part in name.split("."):
            place = place[part]
        assert set(place) == {"value", "low", "high"}, name


def test_an_evaluation_repeats_itself() -> None:
    assert differences(evaluated(), evaluated()) == ()


@pytest.mark.parametrize(("by", "count"), [(0.009, 0), (0.011, 1), (-0.011, 1)])
def test_a_figure_may_differ_by_its_tolerance(by, count) -> None:
    other = copy.deepcopy(evaluated())
    other["video"]["auc"]["value"] += by
    assert len(differences(evaluated(), other)) == count


def test_a_figure_that_is_no_longer_there_is_a_difference() -> None:
    other = copy.deepcopy(evaluated())
    other["video"]["auc"]["value"] = None
    (found,) = differences(other, evaluated())
    assert (found.name, found.found) == ("video.auc", None)


def test_other_weights_are_said_first() -> None:
    found = differences(evaluated(weights_sha256="ef"), evaluated())
    assert [each.name for each in found] == ["weights_sha256"]


def test_the_table_has_a_row_per_model_and_a_column_per_data_set() -> None:
    results = [
        evaluated("here", 0.7),
        evaluated("there", 0.9),
        evaluated("here", 0.8, version="2", trained_on=""),
        evaluated("here", 0.99, detector="wild", status="untrained"),
    ]
    assert markdown(cells(results)).splitlines() == [
        "| model | trained on | here (dev) | there (dev) |",
        "|---|---|---|---|",
        "| toy 1, abababab | there | 70.0 (60.0–75.0) | **90.0** (80.0–95.0) |",
        "| toy 2, abababab | not said | **80.0** (70.0–85.0) | – |",
        "| wild 1, abababab (untrained) | there | 99.0 (89.0–104.0) | – |",
    ]


def test_figures_are_read_from_a_file_or_its_folder(tmp_path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text(json.dumps(evaluated()))
    assert read_metrics(file) == read_metrics(tmp_path) == evaluated()


@pytest.mark.parametrize(
    ("text", "said"), [(None, "cannot be read"), ("{", "no JSON"), ('{"video": 1}', "'streaming'")]
)
def test_what_no_evaluation_wrote_is_refused(tmp_path, text, said) -> None:
    file = tmp_path / "metrics.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ResultsUnusable, match=said):
        read_metrics(file)
