"""Owners of streams, and epochs that begin at their generations: these need 64 bits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; SQLite's integers have 64 bits already."""
    op.create_table(
        "owners",
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="of the newest owner"),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_owners")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("scores", "score_seconds", "pulses", "events"):
            op.alter_column(table, "epoch", type_=sa.BigInteger(), existing_nullable=False)
