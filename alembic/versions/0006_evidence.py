"""Make the history a tamper-evident, append-only audit log: a hash chain, and triggers against changes.

Also an index of soft-deleted logs, and a table of stored responses for retried requests (idempotency keys).
"""

import json
from datetime import UTC
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BATCH = 5_000
HASHED_COLUMNS = 'resource, record_id, "key", at, "user", via, request_id, op, version, note, changes'
FORBIDDEN = "entries of the history are not changed or removed"
SQLITE_TRIGGER = f"""CREATE TRIGGER history_{{0}} BEFORE {{0}} ON history
BEGIN SELECT RAISE(ABORT, '{FORBIDDEN}'); END"""
POSTGRESQL_FUNCTION = f"""CREATE FUNCTION history_forbidden() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{FORBIDDEN}'; END $$"""
POSTGRESQL_TRIGGER = """CREATE TRIGGER history_forbidden BEFORE UPDATE OR DELETE OR TRUNCATE ON history
FOR EACH STATEMENT EXECUTE FUNCTION history_forbidden()"""


def upgrade() -> None:
    op.add_column("history", sa.Column("request_id", TEXT))
    op.add_column("history", sa.Column("hash", sa.LargeBinary()))
    _fill_hash_chain(op.get_bind())
    _create_kept_answers()
    deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index("ix_logs_deleted", "logs", ["started_at", "id"], sqlite_where=deleted, postgresql_where=deleted)
    if op.get_context().dialect.name == "sqlite":
        for change in ("update", "delete"):
            op.execute(SQLITE_TRIGGER.format(change))
    else:
        op.execute(POSTGRESQL_FUNCTION)
        op.execute(POSTGRESQL_TRIGGER)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for change in ("update", "delete"):
            op.execute(f"DROP TRIGGER history_{change}")
    else:
        op.execute("DROP TRIGGER history_forbidden ON history")
        op.execute("DROP FUNCTION history_forbidden")
    op.drop_index("ix_logs_deleted", "logs")
    op.drop_table("kept_answers")
    for column in ("hash", "request_id"):
        op.drop_column("history", column)


def _create_kept_answers() -> None:
    op.create_table(
        "kept_answers",
        *[sa.Column(name, TEXT, nullable=False) for name in ("user", "path", "key")],
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("status", INTEGER, nullable=False),
        sa.Column("headers", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("user", "path", "key", name="pk_kept_answers"),
    )
    op.create_index("ix_kept_answers_created_at", "kept_answers", ["created_at"])


def _fill_hash_chain(connection: sa.Connection) -> None:
    """Compute the hash chain of the existing entries."""
    after, link = 0, b""
    next_entries = sa.text(f"SELECT seq, {HASHED_COLUMNS} FROM history WHERE seq > :after ORDER BY seq LIMIT {BATCH}")
    update = sa.text("UPDATE history SET hash = :hash WHERE seq = :seq")
    while rows := connection.execute(next_entries, {"after": after}).fetchall():
        new_hashes = []
        for after, *values in rows:
            values[3] = _instant(values[3])
            text = json.dumps([after, *values], ensure_ascii=False, separators=(",", ":"))
            link = sha256(link + text.encode()).digest()
            new_hashes.append({"seq": after, "hash": link})
        connection.execute(update, new_hashes)


def _instant(at: object) -> str:
    """Return a time in API format; SQLite stores it without `Z`."""
    if isinstance(at, str):
        return f"{at}Z"
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"  # ty: ignore[unresolved-attribute] -- a datetime
