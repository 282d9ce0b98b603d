"""Let transactions write side by side on PostgreSQL: pending history entries, and differences of counters.

The index by count is gone: facets add up the counters of a field, whose rows may be several for a value.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
KEY = ("field", "unit", "period", "value")
NAMES = ", ".join([*KEY, "count"])
ALL_TIME = sa.text("unit = 'all'")
WAITING = "Entries of the history wait for their number. `mm verify` of the newer version gives them one: run it first."
IS_DIFFERENCE = sa.text("transaction_id <> 0")


def upgrade() -> None:
    op.create_table(
        "history_pending",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("record_id", INTEGER, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("via", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=True),
        sa.Column("op", TEXT, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.Column("note", TEXT, nullable=True),
        sa.Column("changes", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history_pending"),
        sqlite_autoincrement=True,
    )
    op.execute(f"CREATE TABLE former_counts AS SELECT {NAMES} FROM log_counts")
    op.drop_table("log_counts")
    _create_counters("transaction_id")
    op.create_index(
        "ix_log_counts_transaction_id",
        "log_counts",
        ["transaction_id"],
        sqlite_where=IS_DIFFERENCE,
        postgresql_where=IS_DIFFERENCE,
    )
    op.execute(f"INSERT INTO log_counts ({NAMES}, transaction_id) SELECT {NAMES}, 0 FROM former_counts")
    op.drop_table("former_counts")


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT count(*) FROM history_pending")).scalar():
        raise RuntimeError(WAITING)
    op.drop_table("history_pending")
    keys = ", ".join(KEY)
    op.execute(f"CREATE TABLE former_counts AS SELECT {keys}, sum(count) AS count FROM log_counts GROUP BY {keys}")
    op.drop_table("log_counts")
    _create_counters()
    op.execute(f"INSERT INTO log_counts ({NAMES}) SELECT {NAMES} FROM former_counts")
    op.drop_table("former_counts")
    op.create_index(
        "ix_log_counts_field_count", "log_counts", ["field", "count"], sqlite_where=ALL_TIME, postgresql_where=ALL_TIME
    )


def _create_counters(*more_of_key: str) -> None:
    op.create_table(
        "log_counts",
        *[sa.Column(name, TEXT, nullable=False) for name in KEY],
        *[sa.Column(name, INTEGER, nullable=False) for name in more_of_key],
        sa.Column("count", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint(*KEY, *more_of_key, name="pk_log_counts"),
        sqlite_with_rowid=False,
    )
