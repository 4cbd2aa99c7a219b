"""A budget of false alarms in the words of an operator."""

from __future__ import annotations

import pytest

from stream.engine.decision_settings import DecisionSettings
from stream.errors import SettingInvalid


@pytest.mark.parametrize(
    ("text", "per_hour"),
    [("1 per 10 h", 0.1), ("2 per day", 2 / 24), ("1.5 per 3 days", 0.5 / 24), ("1 per h", 1.0)],
)
def test_a_budget_is_said_in_words(text, per_hour):
    assert DecisionSettings(false_alarms=text).per_hour == pytest.approx(per_hour)


@pytest.mark.parametrize("text", ["often", "1 per 0 h", "1 per week", "0 per day", "99 per h"])
def test_a_budget_that_is_none_names_the_form(text):
    with pytest.raises(SettingInvalid, match="per 10"):
        DecisionSettings(false_alarms=text)
