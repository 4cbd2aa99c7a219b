"""Opening of sources: what kind of source a URL becomes."""

from __future__ import annotations

import pytest

from stream.clock import ManualClock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.open import open_source
from stream.ingest.source import SourceSettings, SourceUrl


def test_a_source_whose_credentials_are_lost_fails_with_the_reason_and_is_not_asked() -> None:
    """No camera is bothered with the wrong password."""
    url = SourceUrl.locked("rtsp://***@camera/stream1", "the key is missing")
    source = open_source(SourceSettings(url), ManualClock(), lambda seconds: False)
    assert source.traits.live
    with pytest.raises(SourceError, match="the key is missing") as caught:
        next(source.packets())
    source.close()
    assert caught.value.code is ReasonCode.AUTH
    assert str(url) == "rtsp://***@camera/stream1"
