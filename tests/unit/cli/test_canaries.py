"""Canaries in the configuration: what `serve` would refuse is found before it starts."""

from __future__ import annotations

from typing import Any

import pytest

from cli.canaries import canaries
from cli.errors import ConfigInvalid
from cli.settings import Settings
from cli.validation import validate
from stream.canaries.settings import CanarySettings
from stream.clock import ManualClock
from stream.event_log.event_log import EventLog

MISSING = {"name": "lobby", "real": "/nowhere/real.mp4", "fake": "/nowhere/fake.mp4"}


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"canaries": {"enabled": True, "own": [MISSING]}},
            r"canaries\.own\[0\]\.real: .* not here",
        ),
        (
            {"streams": [{"id": ".canary.x", "source": {"url": "demo://authentic"}}]},
            r"streams\[0\]\.id: '\.canary\.x' is kept",
        ),
    ],
)
def test_what_cannot_be_served_is_told_with_its_key(sections: Any, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        validate(Settings.model_validate(sections), "file")


def test_files_of_canaries_that_are_off_are_not_asked_for() -> None:
    validate(Settings.model_validate({"canaries": {"own": [MISSING]}}), "file")


async def test_none_are_sent_unless_they_are_wanted() -> None:
    clock = ManualClock()
    analyzer: Any = None  # nobody asks for it
    async with canaries(CanarySettings(), EventLog(clock), clock, analyzer) as sent:
        assert sent is None
