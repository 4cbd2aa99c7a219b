"""Laws of the audit log: whatever is changed, removed or put elsewhere is found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, StaticPool, create_engine, delete, select, update

from stream.store import audit
from stream.store.tables import audit as table
from stream.store.tables import audit_head, metadata

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

words = st.text(max_size=20)
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
finite = values.filter(lambda v: not isinstance(v, float) or abs(v) != float("inf"))
details = st.dictionaries(words, finite | st.lists(finite, max_size=3), max_size=3)
changes = st.lists(st.tuples(words, words, words, details), min_size=1, max_size=6)


def memory() -> Engine:
    """Return an empty database of its own."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    metadata.create_all(engine, tables=[table, audit_head])
    return engine


def write(connection: Connection, made: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    """Append entries a second apart."""
    for second, (by, action, subject, detail) in enumerate(made):
        at = BEGAN + timedelta(seconds=second)
        audit.append(connection, at, by, action, subject, detail)


@given(changes)
def test_what_was_written_is_intact(made: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    """A log that nobody touched is whole, and says what was said."""
    with memory().begin() as connection:
        write(connection, made)
        found = audit.verify(connection)
        assert found.intact
        assert found.entries == len(made)
        assert found.head == audit.head(connection)
        kept = audit.entries(connection)[::-1]
        assert [entry.detail for entry in kept] == [detail for *_, detail in made]


@given(changes, st.data())
def test_a_changed_entry_is_found(
    made: list[tuple[str, str, str, dict[str, Any]]], data: st.DataObject
) -> None:
    """Any column of any entry, even when the entry's own hash is made to fit."""
    with memory().begin() as connection:
        write(connection, made)
        number = data.draw(st.integers(1, len(made)))
        column = data.draw(st.sampled_from([c.name for c in table.columns]))
        row = connection.execute(select(table).where(table.c.number == number)).one()
        was = getattr(row, column)
        if isinstance(was, int):
            value: int | str = data.draw(st.integers(-(2**40), 2**50).filter(lambda v: v != was))
        else:
            value = data.draw(
                (st.text(alphabet=st.characters(codec="utf-8"), max_size=70)).filter(
                    lambda v: v != was
                )
            )
        taken = column == "number" and isinstance(value, int) and 1 <= value <= len(made)
        if taken:
            value = -number
        connection.execute(update(table).where(table.c.number == number).values({column: value}))
        if data.draw(st.booleans()) and column not in ("number", "hash"):
            forge(connection, number)
        assert not audit.verify(connection).intact


@given(changes, st.data())
def test_a_removed_entry_is_found(
    made: list[tuple[str, str, str, dict[str, Any]]], data: st.DataObject
) -> None:
    """The first, the last and any between; also when those behind are renumbered."""
    with memory().begin() as connection:
        write(connection, made)
        number = data.draw(st.integers(1, len(made)))
        connection.execute(delete(table).where(table.c.number == number))
        if data.draw(st.booleans()):
            for behind in range(number + 1, len(made) + 1):
                close = update(table).where(table.c.number == behind).values(number=behind - 1)
                connection.execute(close)
        assert not audit.verify(connection).intact


@given(changes.filter(lambda made: len(made) > 1), st.data())
def test_entries_put_elsewhere_are_found(
    made: list[tuple[str, str, str, dict[str, Any]]], data: st.DataObject
) -> None:
    """Two entries that change places."""
    with memory().begin() as connection:
        write(connection, made)
        one, other = data.draw(
            st.lists(st.integers(1, len(made)), min_size=2, max_size=2, unique=True)
        )
        for was, becomes in ((one, -1), (other, one), (-1, other)):
            connection.execute(update(table).where(table.c.number == was).values(number=becomes))
        assert not audit.verify(connection).intact


@given(changes, changes)
def test_a_log_that_was_made_anew_is_found_by_what_is_known_elsewhere(
    made: list[tuple[str, str, str, dict[str, Any]]],
    other: list[tuple[str, str, str, dict[str, Any]]],
) -> None:
    """All hashes fit, but a head that was signed outside does not."""
    with memory().begin() as connection:
        write(connection, made)
        known = audit.head(connection)
        connection.execute(delete(table))
        connection.execute(delete(audit_head))
        audit.append(connection, BEGAN - timedelta(days=1), "x", "forged", "store")
        write(connection, other)
        assert audit.verify(connection).intact
        assert not audit.verify(connection, {known.number: known.hash}).intact


def forge(connection: Connection, number: int) -> None:
    """Make an entry's own hash fit what it says now, if it can be read."""
    try:
        (entry,) = audit.entries(connection, before=number + 1, limit=1)
        hashed = audit.sha256(entry)
    except (ValueError, TypeError, OverflowError):
        return
    connection.execute(update(table).where(table.c.number == number).values(hash=hashed))
