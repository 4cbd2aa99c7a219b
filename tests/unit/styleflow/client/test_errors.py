from __future__ import annotations

import errno
import socket
import ssl

import httpx
import pytest

from styleflow.client.errors import AnalyzerAway, no_answer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "host is not known"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nothing listens"),
        (TimeoutError(), "does not answer"),
        (ssl.SSLError(1, "wrong version number"), "http:// rather than https://"),
        (OSError("Multiple exceptions"), "cannot be connected to"),
    ],
)
def test_silence_is_explained_however_deep_its_cause_lies(error: OSError, said: str) -> None:
    wrapped = httpx.ConnectError("All connection attempts failed")
    wrapped.__cause__ = error
    assert said in no_answer(error)
    assert said in no_answer(wrapped)


def test_an_analyzer_that_is_away_says_what_to_do() -> None:
    assert "styleflow serve" in AnalyzerAway("http://host", "nothing listens").hint
    assert AnalyzerAway("http://host", "nothing listens", "do that").hint == "do that"
