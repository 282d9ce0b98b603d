"""Add the attachments of logs and machines, and how many each record has."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
UUID = sa.Text().with_variant(sa.Uuid(as_uuid=False), "postgresql")
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PARENTS = ("log", "machine")


def upgrade() -> None:
    for parent in PARENTS:
        # Not in a batch, which would copy the whole table on SQLite.
        op.add_column(f"{parent}s", sa.Column("attachment_count", INTEGER, server_default="0", nullable=False))
        _create_table(parent)


def _create_table(parent: str) -> None:
    table = f"{parent}_attachments"
    op.create_table(
        table,
        sa.Column("id", UUID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("bytes", INTEGER, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("width", INTEGER, nullable=True),
        sa.Column("height", INTEGER, nullable=True),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("name_folded", TEXT, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column(f"{parent}_id", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            [f"{parent}_id"], [f"{parent}s.id"], name=f"fk_{table}_{parent}_id_{parent}s", ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint(f"{parent}_id", "position", name=f"pk_{table}"),
        sa.UniqueConstraint("id", name=f"uq_{table}_id"),
    )
    op.create_index(f"ix_{table}_sha256", table, ["sha256"])


def downgrade() -> None:
    for parent in PARENTS:
        op.drop_table(f"{parent}_attachments")
        op.drop_column(f"{parent}s", "attachment_count")
