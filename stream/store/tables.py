"""Tables of the store, for SQLite and PostgreSQL alike.

Times are UTC, as whole microseconds since 1970 (`BigInteger`), so that both databases order and
compare them alike. Wide texts are JSON as it travels on the wire. Numbers of streams and models are
short, because a row of scores is written hundreds of times a second.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts INTEGER keys by itself
_Epoch = BigInteger().with_variant(Integer, "sqlite")  # of 64 bits there, too

streams = Table(
    "streams",
    metadata,
    Column("number", _Key, primary_key=True, comment="short form of the id in wide tables"),
    Column("id", String(64), nullable=False, unique=True),
    Column("name", String(128), nullable=False, server_default=""),
    Column("wanted", Boolean, nullable=False, comment="to be started again after a restart"),
    Column("priority", String(16), nullable=False, server_default="normal"),
    Column("source", Text, nullable=False, server_default="", comment="without credentials"),
    Column("settings", Text, nullable=False, server_default="{}", comment="JSON, no secrets"),
    Column("secret", LargeBinary, comment="the source URL with credentials, encrypted"),
    Column("changed", BigInteger, nullable=False),
)
"""Every stream that was ever stored; those added while running are `wanted`."""

models = Table(
    "models",
    metadata,
    Column("number", _Key, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("version", String(64), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("status", String(32), nullable=False),
    Column("sha256", String(64), nullable=False),
    Index("uq_models_all", "name", "version", "mode", "status", "sha256", unique=True),
)
"""Every model whose scores were ever stored."""

scores = Table(
    "scores",
    metadata,
    Column("stream", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, comment="arrival of its newest packet"),
    Column("seq", BigInteger, primary_key=True, comment="number of the event"),
    Column("epoch", _Epoch, nullable=False),
    Column("track", Integer, nullable=False),
    Column("model", Integer, nullable=False),
    Column("p", Float),
    Column("lo", Float),
    Column("hi", Float),
    Column("logit", Float),
    Column("state", SmallInteger, nullable=False, comment="rank of the state on the wire"),
    Column("face_px", Float),
    Column("sharpness", Float),
    sqlite_with_rowid=False,
)
"""Scores at full rate, for `store.full_rate_hours`."""

score_seconds = Table(
    "score_seconds",
    metadata,
    Column("stream", Integer, autoincrement=False),
    Column("second", BigInteger, autoincrement=False, comment="since 1970"),
    Column("track", Integer, autoincrement=False),
    Column("model", Integer, autoincrement=False),
    Column("epoch", _Epoch, nullable=False),
    Column("count", Integer, nullable=False),
    Column("p_min", Float),
    Column("p_mean", Float),
    Column("p_max", Float),
    Column("lo", Float, comment="mean"),
    Column("hi", Float, comment="mean"),
    Column("state", SmallInteger, nullable=False, comment="highest rank"),
    # Everything stands in the key's index, so that a stream's day is read in one piece: SQLite
    # keeps rows there anyhow, PostgreSQL would otherwise fetch each from among all streams'.
    PrimaryKeyConstraint(
        *("stream", "second", "track", "model"),
        postgresql_include=["epoch", "count", "p_min", "p_mean", "p_max", "lo", "hi", "state"],
    ),
    sqlite_with_rowid=False,
)
"""Scores per second, for `store.seconds_days`."""

drift_hours = Table(
    "drift_hours",
    metadata,
    Column("stream", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False, comment="since 1970"),
    Column("model", String(64), primary_key=True, comment="SHA-256 of its weights"),
    Column("data", Text, nullable=False, comment="JSON: counts in bins"),
    sqlite_with_rowid=False,
)
"""Figures of quality of a stream's ratings by hour, for `store.drift_days`."""

pulses = Table(
    "pulses",
    metadata,
    Column("stream", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", _Epoch, nullable=False),
    Column("fps", Float),
    Column("loss", Float),
    Column("tracks", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Reports on streams, about one a second."""

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Integer, nullable=False),
    Column("epoch", _Epoch, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("message", Text, nullable=False, comment="JSON as on the wire"),
    Index("ix_events_stream", "stream", "seq"),
    Index("ix_events_at", "at"),
)
"""Everything that happened besides scores and reports."""

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("stream", String(64), nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("closed", BigInteger),
    Column("status", String(16), nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("label", String(16)),
    Column("acknowledged", Boolean, nullable=False),
    Column("peak", Float, nullable=False),
    Column("data", Text, nullable=False, comment="JSON of all of it, as on the wire"),
    Index("ix_incidents_opened", "opened"),
    Index("ix_incidents_stream", "stream", "opened"),
)
"""Incidents as they are now; what is searched for has a column of its own."""

incident_notes = Table(
    "incident_notes",
    metadata,
    Column("number", _Key, primary_key=True),
    Column("incident", String(64), ForeignKey("incidents.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("by", String(128), nullable=False),
    Column("text", Text, nullable=False),
)
"""Comments on incidents."""

snoozes = Table(
    "snoozes",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("by", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""Streams whose suspect verdicts open no incidents now."""

evidence = Table(
    "evidence",
    metadata,
    Column("incident", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("start", BigInteger),
    Column("end", BigInteger),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("sha256", String(64), nullable=False, server_default=""),
    Column("file", Text, nullable=False, server_default="", comment="below the evidence folder"),
    Column("details", Text, nullable=False, server_default="{}", comment="JSON"),
)
"""Video that is kept of incidents."""

audit = Table(
    "audit",
    metadata,
    Column("number", _Key, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("by", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False, index=True),
    Column("detail", Text, nullable=False, comment="JSON, canonical"),
    Column("previous", String(64), nullable=False, comment="hash of the entry before"),
    Column("hash", String(64), nullable=False, comment="SHA-256 of this entry and `previous`"),
)
"""Who changed what; entries are only added, each carries the hash of the one before."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False, comment="always 1"),
    Column("number", BigInteger, nullable=False, comment="of the newest entry"),
    Column("hash", String(64), nullable=False, comment="of the newest entry"),
)
"""Where the audit log ends, so that it is seen when its last entries are missing."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(64), primary_key=True, comment="receivers tell repeats by it"),
    Column("rule", String(128), nullable=False),
    Column("channel", String(128), nullable=False),
    Column("incident", String(64), nullable=False),
    Column("payload", Text, nullable=False, comment="JSON"),
    Column("created", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False, comment="waiting, delivered or given_up"),
    Column("error", Text, nullable=False, server_default=""),
    Column(
        "worker",
        String(128),
        nullable=False,
        server_default="",
        comment="that sends it; empty where one process does everything",
    ),
    Index("ix_outbox_due", "state", "due"),
)
"""Alerts on their way: at least once, with an id to tell repeats."""

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("settings", Text, nullable=False, comment="JSON"),
    Column("changed", BigInteger, nullable=False),
)
"""Alert rules that were made on the page; those of the configuration are the file's."""

owners = Table(
    "owners",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("generation", BigInteger, nullable=False, comment="of the newest owner"),
)
"""Streams that one of several analyzers was given; rows of older owners are not written."""

drains = Table(
    "drains",
    metadata,
    Column("worker", String(128), primary_key=True),
    Column(
        "why",
        String(64),
        nullable=False,
        server_default="",
        comment="who asked for it; empty for people",
    ),
)
"""Workers of a cluster that are drained, for the director after this one."""
