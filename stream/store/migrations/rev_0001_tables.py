"""First tables: streams, models, scores, events, incidents, evidence, audit and alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alert_rules",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_rules")),
    )
    op.create_table(
        "audit",
        sa.Column("number", _KEY, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="JSON, canonical"),
        sa.Column(
            "previous", sa.String(length=64), nullable=False, comment="hash of the entry before"
        ),
        sa.Column(
            "hash",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of this entry and `previous`",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False, comment="JSON as on the wire"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_index("ix_events_stream", "events", ["stream", "seq"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column(
            "one", sa.SmallInteger(), autoincrement=False, nullable=False, comment="always 1"
        ),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="of the newest entry"),
        sa.Column("hash", sa.String(length=64), nullable=False, comment="of the newest entry"),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "evidence",
        sa.Column("incident", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sha256", sa.String(length=64), server_default="", nullable=False),
        sa.Column(
            "file",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="below the evidence folder",
        ),
        sa.Column("details", sa.Text(), server_default="{}", nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("incident", name=op.f("pk_evidence")),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("label", sa.String(length=16), nullable=True),
        sa.Column("acknowledged", sa.Boolean(), nullable=False),
        sa.Column("peak", sa.Float(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON of all of it, as on the wire"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index("ix_incidents_opened", "incidents", ["opened"], unique=False)
    op.create_index("ix_incidents_stream", "incidents", ["stream", "opened"], unique=False)
    op.create_table(
        "models",
        sa.Column("number", _KEY, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_models")),
    )
    op.create_index(
        "uq_models_all", "models", ["name", "version", "mode", "status", "sha256"], unique=True
    )
    op.create_table(
        "outbox",
        sa.Column(
            "id", sa.String(length=64), nullable=False, comment="receivers tell repeats by it"
        ),
        sa.Column("rule", sa.String(length=128), nullable=False),
        sa.Column("channel", sa.String(length=128), nullable=False),
        sa.Column("incident", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="waiting, delivered or given_up"
        ),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "due"], unique=False)
    op.create_table(
        "pulses",
        sa.Column("stream", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("fps", sa.Float(), nullable=True),
        sa.Column("loss", sa.Float(), nullable=True),
        sa.Column("tracks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "at", name=op.f("pk_pulses")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "score_seconds",
        sa.Column("stream", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "second", sa.BigInteger(), autoincrement=False, nullable=False, comment="since 1970"
        ),
        sa.Column("track", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("p_min", sa.Float(), nullable=True),
        sa.Column("p_mean", sa.Float(), nullable=True),
        sa.Column("p_max", sa.Float(), nullable=True),
        sa.Column("lo", sa.Float(), nullable=True, comment="mean"),
        sa.Column("hi", sa.Float(), nullable=True, comment="mean"),
        sa.Column("state", sa.SmallInteger(), nullable=False, comment="highest rank"),
        sa.PrimaryKeyConstraint(
            "stream",
            "second",
            "track",
            "model",
            name=op.f("pk_score_seconds"),
            postgresql_include=["epoch", "count", "p_min", "p_mean", "p_max", "lo", "hi", "state"],
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "scores",
        sa.Column("stream", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="arrival of its newest packet"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="number of the event"),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("model", sa.Integer(), nullable=False),
        sa.Column("p", sa.Float(), nullable=True),
        sa.Column("lo", sa.Float(), nullable=True),
        sa.Column("hi", sa.Float(), nullable=True),
        sa.Column("logit", sa.Float(), nullable=True),
        sa.Column(
            "state", sa.SmallInteger(), nullable=False, comment="rank of the state on the wire"
        ),
        sa.Column("face_px", sa.Float(), nullable=True),
        sa.Column("sharpness", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("stream", "at", "seq", name=op.f("pk_scores")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "snoozes",
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_snoozes")),
    )
    op.create_table(
        "streams",
        sa.Column("number", _KEY, nullable=False, comment="short form of the id in wide tables"),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), server_default="", nullable=False),
        sa.Column(
            "wanted", sa.Boolean(), nullable=False, comment="to be started again after a restart"
        ),
        sa.Column("priority", sa.String(length=16), server_default="normal", nullable=False),
        sa.Column(
            "source", sa.Text(), server_default="", nullable=False, comment="without credentials"
        ),
        sa.Column(
            "settings", sa.Text(), server_default="{}", nullable=False, comment="JSON, no secrets"
        ),
        sa.Column(
            "secret",
            sa.LargeBinary(),
            nullable=True,
            comment="the source URL with credentials, encrypted",
        ),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_streams")),
        sa.UniqueConstraint("id", name=op.f("uq_streams_id")),
    )
    op.create_table(
        "incident_notes",
        sa.Column("number", _KEY, nullable=False),
        sa.Column("incident", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident"], ["incidents.id"], name=op.f("fk_incident_notes_incident_incidents")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_incident_notes")),
    )
    op.create_index(
        op.f("ix_incident_notes_incident"), "incident_notes", ["incident"], unique=False
    )


def downgrade() -> None:
    """Refuse: what was remembered would be lost."""
    raise RuntimeError("the first tables are not taken away: restore a backup instead")
