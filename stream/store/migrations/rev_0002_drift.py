"""Hours of a stream's figures of quality, that its drift is seen by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "drift_hours",
        sa.Column("stream", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False, comment="since 1970"),
        sa.Column("model", sa.String(length=64), nullable=False, comment="SHA-256 of its weights"),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON: counts in bins"),
        sa.PrimaryKeyConstraint("stream", "hour", "model", name=op.f("pk_drift_hours")),
        sqlite_with_rowid=False,
    )
