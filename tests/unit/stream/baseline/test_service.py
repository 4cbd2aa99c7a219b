"""Baselines that operators make, and what of it is written down; on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from stream.baseline.book import BaselineBook
from stream.baseline.errors import BaselineSpanTooLong, BaselineTooShort, BaselineUnknown
from stream.baseline.making import Said, advice
from stream.baseline.recent import MAX_RECENT
from stream.baseline.service import Baselines, Stretch
from stream.baseline.settings import BaselineSettings
from stream.baseline.shelf import BaselineShelf
from stream.clock import ManualClock
from stream.errors import StreamUnknown
from stream.event_log.event_log import EventLog
from stream.events import AbstainReason
from stream.store import audit
from stream.store.access import DirectStore, StoreAccess, from_us, to_us
from stream.store.database import Database
from stream.store.errors import StoreOff
from stream.store.tables import models, scores, streams
from tests.support.baselines import H264, baseline, rated, table
from tests.support.wire import CARD, added, removed, score


class Site:
    """Baselines behind an event log, on a clock that stands still."""

    def __init__(self, folder: Path, store: StoreAccess | None = None) -> None:
        self.clock = ManualClock(start=100.0)
        self.book = BaselineBook(decides=True)
        self.shelf = BaselineShelf(folder)
        settings = BaselineSettings(least_minutes=1.0)
        self.baselines = Baselines(self.book, self.shelf, rated(), self.clock, settings, store)
        self.log = EventLog(self.clock)
        self.log.attach(self.baselines.recent)

    def watch(self, seconds: float, *, track: int = 1, **changes) -> None:
        """Publish four ratings a second of one face."""
        for n in range(round(seconds * 4)):
            self.clock.advance(0.25)
            at = (n + 1) * 0.25
            self.log.append(score(track=track, end=at, logit=-0.9, capture=H264, **changes))

    def said(self) -> Said:
        return Said("lobby", "Lobby", "the last 10 min", "ann", self.clock.utc())


async def test_the_last_minutes_become_a_baseline_that_engines_see(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log.append(added())
    site.watch(120)
    assert site.baselines.recent_minutes("lobby", 10) == pytest.approx(2.0, abs=0.1)
    made = await site.baselines.add_recent(site.said(), 10)
    assert made.statistics.mean == pytest.approx(-0.9)
    assert made.statistics.conditions.codecs == ("h264",)
    assert made.digest == CARD.sha256
    assert site.baselines.get("lobby") is not None
    assert BaselineShelf(tmp_path).get("lobby") == made
    assert site.book.camera("lobby", CARD).mark is not None


async def test_only_the_minutes_that_are_named_count(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log.append(added())
    site.watch(90)
    site.clock.advance(600)
    with pytest.raises(BaselineTooShort, match=r"there are 0\.0 min"):
        await site.baselines.add_recent(site.said(), 5)
    assert (await site.baselines.add_recent(site.said(), 12)).statistics.trials >= 20


@pytest.mark.parametrize("changes", [{"reasons": (AbstainReason.DARK,)}, {"detector": "other"}])
async def test_what_is_no_evidence_or_another_detector_s_is_left_out(tmp_path, changes) -> None:
    site = Site(tmp_path)
    site.log.append(added())
    site.watch(120, **changes)
    with pytest.raises(BaselineTooShort):
        await site.baselines.add_recent(site.said(), 10)


def test_a_stream_that_goes_takes_its_last_minutes_along(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log.append(added())
    site.watch(60)
    site.log.append(removed())
    assert site.baselines.recent_minutes("lobby", 60) == 0.0


def test_what_is_remembered_of_a_stream_is_bounded(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log.append(added())
    for track in range(1, 12):
        site.watch(4 * 200, track=track)
    found = site.baselines.recent.since("lobby", site.clock.monotonic(), 1e9)
    assert len(found) <= MAX_RECENT
    assert site.baselines.recent_minutes("lobby", 1e6) <= 61


async def test_without_a_store_a_stretch_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    end = site.clock.utc()
    with pytest.raises(StoreOff):
        await site.baselines.add_stretch(
            site.said(), Stretch("lobby", end - timedelta(minutes=5), end)
        )


async def test_expiry_and_what_others_put_there_are_noticed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.shelf.put(baseline(days=1e-9))
    await site.baselines.look()
    assert [kept.expired for kept in site.baselines.all()] == [
        site.clock.utc() >= baseline(days=1e-9).expires
    ]
    other = BaselineShelf(tmp_path)
    other.put(baseline(stream="yard", days=36500))
    await site.baselines.look()
    yard = site.baselines.get("yard")
    assert yard is not None
    assert not yard.expired
    other.remove("yard")
    await site.baselines.look()
    assert site.baselines.get("yard") is None


def test_a_baseline_that_scores_like_hardly_any_real_video_says_so() -> None:
    assert "one in 40" in advice(baseline([9.0 + n / 100 for n in range(50)]).statistics, table())
    assert advice(baseline().statistics, table()) == ""
    assert advice(baseline().statistics, None) == ""


# --- with a store ------------------------------------------------------------------------------


def stored(database: Database, seconds: float, state: int = 0, sha256: str = CARD.sha256) -> int:
    """Store four ratings a second of one face; return the first microsecond."""
    began = to_us(from_us(1_772_366_400_000_000))
    with database.writing() as connection:
        connection.execute(insert(streams).values(number=1, id="call", wanted=False, changed=0))
        card = {"version": CARD.version, "mode": CARD.mode.value, "status": CARD.status.value}
        row = {"number": 7, "name": CARD.name, "sha256": sha256, **card}
        connection.execute(insert(models).values(row))
        ratings = [
            {
                **{"stream": 1, "at": began + n * 250_000, "seq": n, "epoch": 2, "track": 1},
                **{"model": 7, "p": 0.2, "lo": 0.1, "hi": 0.3, "logit": -0.5, "state": state},
                **{"face_px": 96.5, "sharpness": 80.0},
            }
            for n in range(round(seconds * 4))
        ]
        connection.execute(insert(scores), ratings)
    return began


def stretch(began: int, seconds: float) -> Stretch:
    return Stretch("call", from_us(began), from_us(began + round(seconds * 1e6)))


async def test_an_earlier_call_becomes_a_baseline(database: Database, tmp_path: Path) -> None:
    site = Site(tmp_path, DirectStore(database.engine))
    began = stored(database, 120)
    made = await site.baselines.add_stretch(site.said(), stretch(began, 120))
    assert made.stream == "lobby"
    assert made.minutes == pytest.approx(2.0, abs=0.15)
    assert made.statistics.mean == pytest.approx(-0.5)
    assert made.statistics.conditions.face_px is not None
    assert made.statistics.conditions.codecs == ()
    with pytest.raises(BaselineTooShort):
        await site.baselines.add_stretch(site.said(), stretch(began, 30))
    unknown = Stretch("nobody", from_us(began), from_us(began + 1))
    with pytest.raises(StreamUnknown):
        await site.baselines.add_stretch(site.said(), unknown)


@pytest.mark.parametrize(("state", "sha256"), [(1, CARD.sha256), (0, "00" * 32)])
async def test_stored_ratings_that_abstained_or_are_of_other_weights_are_left_out(
    database: Database, tmp_path: Path, state: int, sha256: str
) -> None:
    site = Site(tmp_path, DirectStore(database.engine))
    began = stored(database, 120, state, sha256)
    with pytest.raises(BaselineTooShort):
        await site.baselines.add_stretch(site.said(), stretch(began, 120))


async def test_too_long_a_stretch_is_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.baseline.stored.MAX_SCORES", 100)
    site = Site(tmp_path, DirectStore(database.engine))
    began = stored(database, 120)
    with pytest.raises(BaselineSpanTooLong):
        await site.baselines.add_stretch(site.said(), stretch(began, 120))


async def test_who_added_and_who_removed_it_is_in_the_audit_log(
    database: Database, tmp_path: Path
) -> None:
    site = Site(tmp_path, DirectStore(database.engine))
    site.log.append(added())
    site.watch(120)
    await site.baselines.add_recent(site.said(), 10)
    await site.baselines.remove("lobby", "bob")
    with database.reading() as connection:
        found = audit.entries(connection, subject="stream/lobby")
        assert audit.verify(connection).intact
    assert [(e.action, e.by) for e in found] == [
        ("baseline.removed", "bob"),
        ("baseline.added", "ann"),
    ]
    assert found[1].detail["source"] == "the last 10 min"
    assert site.baselines.get("lobby") is None
    with pytest.raises(BaselineUnknown):
        await site.baselines.remove("lobby", "bob")
