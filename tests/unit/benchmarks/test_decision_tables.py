"""Tables of the documents against the measured figures."""

from __future__ import annotations

from copy import deepcopy

import pytest

from benchmarks.decision_tables import DOCUMENTS, TABLES, measured, rewritten


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_say_what_was_measured(path) -> None:
    found = measured()
    text = path.read_text(encoding="utf-8")
    assert "<!-- decisions: alarms -->" in text
    assert rewritten(text, found) == text, "run: python -m benchmarks.decision_tables"


def test_every_table_stands_somewhere() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert all(f"<!-- decisions: {name} -->" in texts for name in TABLES)


def test_a_figure_that_changes_changes_the_table() -> None:
    found = deepcopy(dict(measured()))
    before = TABLES["alarms"](found)
    found["ways"]["budget"]["1 per 10 h"]["per_hour"] = 0.123
    assert "0.12 (" in TABLES["alarms"](found)
    assert TABLES["alarms"](found) != before
