"""Settings of canaries that leave none, or two of one name, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.canaries.settings import CanarySettings, OwnPair
from stream.errors import SettingInvalid

OWN = OwnPair("lobby", Path("real.mp4"), Path("fake.mp4"))


def test_a_name_is_given_once() -> None:
    with pytest.raises(SettingInvalid, match="twice"):
        CanarySettings(own=(OWN, OWN))
    with pytest.raises(SettingInvalid, match="twice"):
        CanarySettings(own=(OwnPair("demo", Path("a"), Path("b")),))


def test_canaries_without_a_clip_are_none() -> None:
    with pytest.raises(SettingInvalid, match="no canary at all"):
        CanarySettings(enabled=True, pair="none")
    assert CanarySettings(pair="none").enabled is False
    assert CanarySettings(enabled=True, pair="none", own=(OWN,)).own == (OWN,)
