"""Several analyzers that write into one store: what a stream's older owner still has to say."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from stream.event_log.ids import BlocksInMemory, EventIds
from stream.events import Event, StreamDescribed
from stream.store.database import Database
from stream.store.owners import EPOCHS_PER_GENERATION, highest_generation
from stream.store.tables import events, owners, pulses, score_seconds, scores, streams
from tests.support.store import StoreRig
from tests.support.wire import added, report, score, verdict_changed

TURNS = 31


class Owner(StoreRig):
    """An analyzer beside others, which numbers its events from blocks that they share."""

    def begins(self, generation: int, stream: str = "lobby") -> None:
        """Own the stream from now on, and say so in the log."""
        self.writer.ownership.owns(stream, generation)
        self.says(added(stream), generation)

    def says(self, event: Event, generation: int) -> None:
        """Tell an event of the stream's first epoch under an ownership."""
        self.publish(replace(event, epoch=generation * EPOCHS_PER_GENERATION))

    def tells_all(self, generation: int) -> None:
        """Tell one of each kind of row."""
        for event in (score(), report(), verdict_changed()):
            self.says(event, generation)

    @property
    def fenced(self) -> int:
        return self.writer.ownership.fenced


@pytest.fixture
def pair(database: Database) -> tuple[Owner, Owner]:
    """Two analyzers on one store."""
    blocks = BlocksInMemory()
    one, other = (Owner(database, ids=EventIds(blocks)) for _ in range(2))
    return one, other


def epochs(rig: StoreRig) -> dict[str, set[int]]:
    """Return the generations that rows are of, by table."""
    tables = (scores, pulses, events, score_seconds)
    return {
        table.name: {row["epoch"] // EPOCHS_PER_GENERATION for row in rig.rows(table)}
        for table in tables
    }


def test_rows_of_an_owner_that_was_held_up_are_left_out_and_counted(
    pair: tuple[Owner, Owner],
) -> None:
    """It was paused with rows in its queue, and wakes when its stream is somebody else's."""
    held_up, newer = pair
    held_up.begins(1)
    held_up.turn()
    held_up.tells_all(1)
    newer.begins(2)
    newer.tells_all(2)
    newer.turn(5.0)
    held_up.turn(5.0)
    assert epochs(newer) == {
        "scores": {2}, "pulses": {2}, "events": {1, 2}, "score_seconds": {2},
    }  # fmt: skip
    assert [row["kind"] for row in newer.rows(events)] == ["stream_added"] * 2 + ["verdict_changed"]
    assert (held_up.fenced, newer.fenced) == (3, 0)
    assert held_up.writer.failing == ""


def test_an_owner_that_gets_its_stream_back_is_heard_again(pair: tuple[Owner, Owner]) -> None:
    """What it had to say of its first time is not."""
    one, other = pair
    one.begins(1)
    one.turn()
    one.says(score(), 1)
    other.begins(2)
    other.turn()
    one.begins(3)
    one.says(score(), 3)
    one.turn()
    assert {row["epoch"] // EPOCHS_PER_GENERATION for row in one.rows(scores)} == {3}
    assert one.rows(owners) == [{"stream": "lobby", "generation": 3}]
    assert one.fenced == 1


def test_an_older_owner_neither_lowers_the_generation_nor_renames_the_stream(
    pair: tuple[Owner, Owner],
) -> None:
    late, newer = pair
    newer.begins(2)
    newer.turn()
    late.begins(1)
    late.says(StreamDescribed("lobby", 0, "Old name"), 1)
    late.turn()
    assert late.rows(owners) == [{"stream": "lobby", "generation": 2}]
    assert [row["name"] for row in late.rows(streams)] == ["Lobby"]


def test_an_analyzer_by_itself_writes_whatever_owners_there_were(
    pair: tuple[Owner, Owner], database: Database
) -> None:
    """The store of a cluster may be opened by one process later: its epochs begin at zero."""
    before, _ = pair
    before.begins(7)
    before.turn()
    assert highest_generation(database) == 7
    alone = StoreRig(database, ids=EventIds(lambda: range(1 << 45, 1 << 46)))
    alone.publish(added(), score())
    alone.turn()
    assert len(alone.rows(scores)) == 1


def test_ownership_that_could_not_be_told_is_told_before_the_first_row(
    pair: tuple[Owner, Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was away for a moment: no row of the new owner comes before its generation."""
    _, newer = pair
    newer.begins(2)
    newer.says(score(), 2)

    def away(database: Database) -> None:
        raise OSError("the network is down")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", away)
        newer.turn()
    assert newer.writer.failing
    assert (newer.rows(owners), newer.rows(scores)) == ([], [])
    newer.turn(10.0)
    assert newer.rows(owners) == [{"stream": "lobby", "generation": 2}]
    assert len(newer.rows(scores)) == 1


def test_two_owners_at_once_never_mix(database: Database) -> None:
    """Both write as fast as they can while the stream goes to and fro between them."""
    blocks = BlocksInMemory()
    pair = [Owner(database, ids=EventIds(blocks)) for _ in range(2)]
    turn = threading.Barrier(2)
    problems: list[BaseException] = []

    def work(owner: Owner, first: int) -> None:
        try:
            for generation in range(first, TURNS, 2):
                owner.begins(generation)
                turn.wait(10)
                for _ in range(3):
                    owner.says(score(), generation)
                    owner.turn(0.5)
        except BaseException as error:
            problems.append(error)
            turn.abort()

    threads = [threading.Thread(target=work, args=(pair[i], i + 1)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert [owner.writer.failing for owner in pair] == ["", ""]
    written = len(pair[0].rows(scores))
    told = 3 * len(range(1, TURNS, 2)) + 3 * len(range(2, TURNS, 2))
    assert written + sum(owner.fenced for owner in pair) >= told
    assert highest_generation(database) == TURNS - 1
