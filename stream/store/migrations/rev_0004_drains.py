"""Workers that are drained, and whose each waiting alert is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the column."""
    op.create_table(
        "drains",
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column(
            "why",
            sa.String(length=64),
            nullable=False,
            server_default="",
            comment="who asked for it; empty for people",
        ),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_drains")),
    )
    op.add_column(
        "outbox",
        sa.Column(
            "worker",
            sa.String(length=128),
            nullable=False,
            server_default="",
            comment="that sends it; empty where one process does everything",
        ),
    )
