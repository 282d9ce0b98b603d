"""Add the kind of a log's stop, put it into the index of stops, and count the logs that are exceptions of their type.

A log of a type that counts as a failure is none if it is cancelled or its stop is planned or external; a log of another
type is a failure if its stop is one. Only cancelled logs exist before this revision.
"""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from machine_monitor.query import calendar

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
STOPPED = sa.text("down_from IS NOT NULL AND deleted_at IS NULL")
CHECK = "down_kind IS NULL OR down_from IS NOT NULL AND down_kind IN ('failure', 'planned', 'external')"
FORMER_INDEX, INDEX = "ix_logs_machine_id_down_from_down_to", "ix_logs_stops"
FORMER_COLUMNS = ["machine_id", "down_from", "down_to"]
COUNTER = "type_without_failure"
COUNTERS = (COUNTER, "type_with_failure")


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        # Not in a batch, which would copy the whole table.
        op.execute(f"ALTER TABLE logs ADD COLUMN down_kind TEXT CONSTRAINT ck_logs_down_kind CHECK ({CHECK})")
    else:
        op.add_column("logs", sa.Column("down_kind", TEXT, nullable=True))
        op.create_check_constraint(op.f("ck_logs_down_kind"), "logs", CHECK)
    op.drop_index(FORMER_INDEX, "logs")
    _create_index(INDEX, [*FORMER_COLUMNS, "status", "down_kind", "type"])
    _count_cancelled_logs()


def _create_index(name: str, columns: list[str]) -> None:
    op.create_index(name, "logs", columns, sqlite_where=STOPPED, postgresql_where=STOPPED)


def _count_cancelled_logs() -> None:
    connection = op.get_bind()
    zone = ZoneInfo(connection.scalar(sa.text("SELECT value FROM derived WHERE name = 'zone'")))
    cancelled = sa.text("SELECT type, started_at FROM logs WHERE status = 'cancelled' AND deleted_at IS NULL")
    counts: Counter[tuple[str, str, str]] = Counter()
    for log_type, stored in connection.execute(cancelled.execution_options(yield_per=1_000)):
        started_at = datetime.fromisoformat(stored).replace(tzinfo=UTC) if isinstance(stored, str) else stored
        day = calendar.local_date(started_at, zone).isoformat()
        for unit, period in (("all", ""), ("month", day[:7]), ("day", day)):
            counts[unit, period, f"={log_type}"] += 1
    columns = [sa.column(name, TEXT) for name in ("field", "unit", "period", "value")]
    table = sa.table("log_counts", *columns, sa.column("count", sa.BigInteger()))
    rows = [
        {"field": COUNTER, "unit": unit, "period": period, "value": value, "count": count}
        for (unit, period, value), count in counts.items()
    ]
    if rows:
        op.bulk_insert(table, rows)


def downgrade() -> None:
    op.execute(f"DELETE FROM log_counts WHERE field IN {COUNTERS}")
    op.drop_index(INDEX, "logs")
    _create_index(FORMER_INDEX, FORMER_COLUMNS)
    op.drop_column("logs", "down_kind")
