"""Event numbers: above all earlier ones, whatever becomes of the file, the clock or a neighbour."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from stream.clock import ManualClock
from stream.event_log.ids import FIRST_EPOCH, LIMIT, BlocksInFile, EventIds, block_of

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "epoch"


def test_every_start_begins_above_all_numbers_of_the_one_before(path: Path) -> None:
    last = 0
    for year in (2026, 2031, 2020):  # the wall clock may go where it likes
        ids = EventIds(BlocksInFile(path, ManualClock(epoch=datetime(year, 1, 1, tzinfo=UTC))))
        numbers = [ids.next() for _ in range(5)]
        assert numbers == list(range(numbers[0], numbers[0] + 5))
        assert numbers[0] > last
        last = numbers[-1]


def test_the_first_numbers_lie_above_those_that_came_from_the_wall_clock(path: Path) -> None:
    milliseconds_of_2100 = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert EventIds(BlocksInFile(path, ManualClock())).next() > milliseconds_of_2100
    assert block_of(FIRST_EPOCH)[0] > milliseconds_of_2100


def test_numbers_that_a_database_holds_are_not_given_again(path: Path) -> None:
    """The file is another one than that of the events: a new volume, an older backup."""
    lost = EventIds(BlocksInFile(path, ManualClock())).next() + (7 << 32)
    after = EventIds(BlocksInFile(path, ManualClock(), above=lost)).next()
    assert after > lost
    assert EventIds(BlocksInFile(path, ManualClock())).next() > after
    of_the_clock = (1 << 52) + 5  # those are unique by themselves
    assert EventIds(BlocksInFile(path, ManualClock(), above=of_the_clock)).next() < 1 << 52


def test_processes_at_once_get_different_blocks(path: Path) -> None:
    """Four of them, each taking blocks in a loop; the lock lets nobody read a stale epoch."""
    program = (
        "import sys; from pathlib import Path; from stream.clock import SystemClock;"
        "from stream.event_log.ids import BlocksInFile;"
        "take = BlocksInFile(Path(sys.argv[1]), SystemClock());"
        "print(*(take().start for _ in range(25)))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    starts = [int(word) for process in running for word in process.communicate()[0].split()]
    assert len(starts) == 100
    assert sorted(starts) == [block_of(FIRST_EPOCH + n).start for n in range(100)]


@pytest.mark.parametrize("content", ["", "many", "-3", "1023", str(2**40)])
def test_a_file_that_makes_no_sense_is_left_alone_and_the_clock_steps_in(
    path: Path, content: str
) -> None:
    path.parent.mkdir()
    path.write_text(content)
    clock = ManualClock()
    take = BlocksInFile(path, clock)
    with structlog.testing.capture_logs() as lines:
        first = EventIds(take)
        numbers = [first.next(), first.next()]
        clock.advance(0.001)
        second = EventIds(take)
        numbers += [second.next(), second.next()]
    assert numbers == sorted(set(numbers))
    assert all(block_of(2**20).start <= number < LIMIT for number in numbers)
    assert [line["log_level"] for line in lines] == ["warning"]  # once
    assert take.fallbacks == 2
    assert path.read_text() == content


def test_a_directory_that_cannot_be_written_does_not_stop_anybody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ids = EventIds(BlocksInFile(tmp_path / "file" / "epoch", ManualClock()))
    assert ids.next() < ids.next()


def test_a_block_that_is_used_up_is_followed_by_another(path: Path) -> None:
    blocks = iter([range(10, 12), range(30, 31), range(5, 40)])
    ids = EventIds(lambda: next(blocks))
    assert [ids.next() for _ in range(5)] == [10, 11, 30, 31, 32]


def test_two_million_starts_stay_within_what_javascript_holds() -> None:
    assert block_of(2**20 - 1).stop <= LIMIT // 2


def test_numbers_go_on_in_a_block_of_somebody_else_if_it_is_above() -> None:
    ids = EventIds()
    first = ids.next()
    ids.begin(block_of(5000))
    assert ids.next() == block_of(5000).start > first
    ids.begin(block_of(4000))
    assert ids.next() == block_of(5000).start + 1
