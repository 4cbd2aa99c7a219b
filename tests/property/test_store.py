"""The store tells what subscribers were told, however often the database was away meanwhile."""

from __future__ import annotations

import math
from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sql_event

from stream.events import Event, Score, StreamReport
from stream.publish.hub import Hub, HubSettings, StreamInfo
from stream.store.database import Database
from stream.store.settings import StoreSettings
from stream.store.tables import events, models, pulses, score_seconds, scores, streams
from tests.support import wire
from tests.support.store import StoreRig

TABLES = (scores, score_seconds, pulses, events, models, streams)
NAMES = ("lobby", "cam-1", "Tür.2")


class Away:
    """A database that can be away; undone by `close`."""

    def __init__(self, database: Database) -> None:
        self.away = False
        self._database = database
        sql_event.listen(database.engine, "begin", self._begin)

    def _begin(self, *_: object) -> None:
        if self.away:
            raise ConnectionError("away")

    def close(self) -> None:
        self.away = False
        sql_event.remove(self._database.engine, "begin", self._begin)


def rig_for(database: Database, infos: list[StreamInfo]) -> tuple[StoreRig, Hub]:
    """Return an empty store and a hub behind one event log, with three streams."""
    with database.writing() as connection:
        for table in TABLES:
            connection.execute(table.delete())
    rig = StoreRig(database, StoreSettings(queue=100_000))
    hub = Hub(rig.clock, HubSettings(log_events=10_000))
    rig.log.attach(hub)
    rig.publish(*(wire.added(name, info) for name, info in zip(NAMES, infos, strict=True)))
    return rig, hub


steps = st.lists(
    st.one_of(wire.events, st.sampled_from(["turn", "away", "back", "wait"])), max_size=60
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(infos=st.lists(wire.infos, min_size=3, max_size=3), doings=steps)
def test_nothing_is_lost_doubled_or_told_otherwise(
    database: Database, infos: list[StreamInfo], doings: list[Event | str]
) -> None:
    rig, hub = rig_for(database, infos)
    away = Away(database)
    told: list[Event] = []
    for doing in doings:
        if doing == "turn":
            rig.turn(0.5)
        elif doing == "wait":
            rig.turn(15.0)
        elif isinstance(doing, str):
            away.away = doing == "away"
        else:
            told.append(doing)
            rig.publish(doing)
    away.close()
    rig.turn(15.0)
    rig.turn(15.0)
    assert rig.writer.waiting == 0
    numbers = {row["id"]: row["number"] for row in rig.rows(streams)}
    stored = defaultdict(list)
    for row in rig.rows(events):
        stored[row["stream"]].append(row["message"])
    refused = rig.writer.lost  # PostgreSQL's integers end at 2**31
    for name in NAMES:
        if not refused:
            assert tuple(stored[numbers[name]]) == hub.events(name, 10_000)
    reports = [one for one in told if isinstance(one, StreamReport)]
    scored = [one for one in told if isinstance(one, Score)]
    others = len(told) - len(reports) - len(scored) + len(NAMES)
    kept = [len(rig.rows(table)) for table in (scores, pulses, events)]
    assert kept[0] <= len(scored) - hub.stale
    assert kept[1] <= len(reports)  # two of one stream at one moment are one
    assert kept[2] <= others
    if not refused:
        assert (kept[0], kept[2]) == (len(scored) - hub.stale, others)
    assert len(scored) - hub.stale - kept[0] + others - kept[2] <= refused


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    doings=st.lists(
        st.tuples(
            st.integers(1, 2),
            st.sampled_from([0.0, 0.25, 0.5, 1.0]),
            st.sampled_from([0.0, 0.1, 0.7, 3.0]),
            st.sampled_from([0.0, 0.5, 4.0]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_seconds_are_the_scores_of_their_second(
    database: Database, doings: list[tuple[int, float, float, float, bool]]
) -> None:
    """However late scores come and however they are committed: least, mean, greatest and count."""
    rig, _ = rig_for(database, [wire.INFO] * 3)
    for track, value, pause, age, turn in doings:
        rig.clock.advance(pause)
        arrived = rig.clock.monotonic() - age
        rig.publish(wire.score("lobby", track, value, arrived=arrived))
        if turn:
            rig.writer.turn()
    rig.turn(10.0)
    wanted = defaultdict(list)
    for row in rig.rows(scores):
        wanted[row["at"] // 1_000_000, row["track"]].append(row["p"])
    found = {(row["second"], row["track"]): row for row in rig.rows(score_seconds)}
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        row = found[key]
        assert (row["count"], row["p_min"], row["p_max"]) == (
            len(values), min(values), max(values),
        )  # fmt: skip
        assert math.isclose(row["p_mean"], sum(values) / len(values), abs_tol=1e-12)
