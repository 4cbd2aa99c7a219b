"""History: the last minutes of a stream over HTTP."""

from __future__ import annotations

from stream.events import StreamReport, Verdict
from tests.support.web import lobby
from tests.support.wire import score, verdict_changed


async def test_history_has_scores_pulses_and_events() -> None:
    rig = await lobby()
    now = rig.clock.monotonic()
    rig.publish(
        score(arrived=now - 2),
        score(arrived=now, verdict=Verdict.SUSPECT, value=0.9),
        StreamReport("lobby", 1, 25.0, 0.01, 1, (), 0.04),
        verdict_changed(),
    )
    async with rig.client() as http:
        got = (await http.get("/api/v1/streams/lobby/history")).json()
        recent = (await http.get("/api/v1/streams/lobby/history?seconds=1&events=1")).json()
        assert (await http.get("/api/v1/streams/hall/history")).status_code == 404
    assert got["scores"]["p"] == [0.25, 0.9]
    assert got["scores"]["detector"] == ["styleflow-live"] * 2
    assert got["scores"]["state"] == ["ok", "suspect"]
    assert got["scores"]["t"] == [got["now"] - 2, got["now"]]
    assert got["pulses"]["fps"] == [25.0]
    assert [e["data"]["kind"] for e in got["events"]] == ["stream_added", "verdict_changed"]
    assert recent["scores"]["p"] == [0.9]
    assert [e["data"]["kind"] for e in recent["events"]] == ["verdict_changed"]
