"""Add counters of logs, filled from the existing logs, and partial indexes of unfinished logs and of stops."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
UNFINISHED = sa.text("status IN ('open', 'in_progress') AND deleted_at IS NULL")
STOPPED = sa.text("down_from IS NOT NULL AND deleted_at IS NULL")
ALL_TIME = sa.text("unit = 'all'")
# Each counted field with its period units; `machine` is counted by the machine's id.
COUNTED_FIELDS = {
    "machine": ("machine_id", ("month",)),
    "type": ("type", ("month", "day")),
    "severity": ("severity", ()),
    "status": ("status", ()),
    "user": ('"user"', ()),
    "project": ("project", ()),
}
DAYS = {
    "sqlite": "substr(started_at, 1, 10)",
    "postgresql": "to_char(timezone('UTC', started_at), 'YYYY-MM-DD')",
}
FILL = """INSERT INTO log_counts (field, unit, period, value, count)
SELECT '{field}', '{unit}', {period}, coalesce('=' || CAST({column} AS TEXT), ''), count(*)
FROM logs WHERE deleted_at IS NULL GROUP BY 3, 4"""


def upgrade() -> None:
    op.create_table(
        "log_counts",
        *[sa.Column(name, TEXT, nullable=False) for name in ("field", "unit", "period", "value")],
        sa.Column("count", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("field", "unit", "period", "value", name="pk_log_counts"),
        sqlite_with_rowid=False,
    )
    day = DAYS[op.get_context().dialect.name]
    periods = {"all": "''", "month": f"substr({day}, 1, 7)", "day": day}
    for field, (column, units) in COUNTED_FIELDS.items():
        for unit in ("all", *units):
            op.execute(FILL.format(field=field, unit=unit, period=periods[unit], column=column))
    op.execute("INSERT INTO derived (name, value) VALUES ('zone', 'UTC')")
    op.create_index(
        "ix_log_counts_field_count", "log_counts", ["field", "count"], sqlite_where=ALL_TIME, postgresql_where=ALL_TIME
    )
    op.create_index("ix_logs_machine_id", "logs", ["machine_id"], sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)
    op.create_index(
        "ix_logs_machine_id_down_from_down_to",
        "logs",
        ["machine_id", "down_from", "down_to"],
        sqlite_where=STOPPED,
        postgresql_where=STOPPED,
    )


def downgrade() -> None:
    op.drop_index("ix_logs_machine_id_down_from_down_to", "logs")
    op.drop_index("ix_logs_machine_id", "logs")
    op.drop_table("log_counts")
    op.execute("DELETE FROM derived WHERE name = 'zone'")
