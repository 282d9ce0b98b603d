"""Machines, logs, log types and users, their folded texts, the history of their changes, and legacy imports."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
UUID = sa.Text().with_variant(sa.Uuid(as_uuid=False), "postgresql")
OBJECT = sa.Text().with_variant(sa.JSON(), "postgresql")
FAILURE_TYPES = {"error"}
INITIAL_TYPES = ("info", "error", "reload", "maintenance", "inspection", "cleaning", "setting")


def upgrade() -> None:
    _create_history()
    _create_machines()
    _create_log_types()
    _create_users()
    _create_logs()
    _create_folded("machines", "name", "sector", "usage", "manufacturer", "model", "serial_number", "comment")
    _create_folded("log_types", "label")
    _create_folded("users", "first_name", "last_name")
    _create_folded("logs", "comment", "cause", "action", "project")
    _create_legacy_imports()
    _insert_initial_types()


def downgrade() -> None:
    op.drop_table("legacy_imports")
    for table in ("logs", "users", "log_types", "machines"):
        op.drop_table(f"{table}_folded")
        op.drop_table(table)
    op.drop_table("history")


def _required(name: str, kind: sa.types.TypeEngine) -> sa.Column:
    return sa.Column(name, kind, nullable=False)


def _optional(name: str, kind: sa.types.TypeEngine) -> sa.Column:
    return sa.Column(name, kind, nullable=True)


def _create_record(table: str, *members: sa.Column | sa.Constraint) -> None:
    """Create a table with the columns that every record has; ids are never reused (AUTOINCREMENT)."""
    op.create_table(
        table,
        sa.Column("id", INTEGER, nullable=False),
        *[member for member in members if isinstance(member, sa.Column)],
        _required("version", INTEGER),
        _required("created_at", TIME),
        _required("updated_at", TIME),
        *[member for member in members if not isinstance(member, sa.Column)],
        sa.CheckConstraint("version >= 1", name=f"ck_{table}_version"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sqlite_autoincrement=True,
    )


def _unique(table: str, column: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(column, name=f"uq_{table}_{column}")


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=f"ck_{table}_{name}")


def _foreign_key(table: str, column: str, target: str, key: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.{key}"], name=f"fk_{table}_{column}_{target}", ondelete="RESTRICT"
    )


def _create_history() -> None:
    op.create_table(
        "history",
        sa.Column("seq", INTEGER, nullable=False),
        _required("resource", TEXT),
        _required("record_id", INTEGER),
        _required("key", TEXT),
        _required("at", TIME),
        _optional("user", TEXT),
        _required("via", TEXT),
        _required("op", TEXT),
        _required("version", INTEGER),
        _required("changes", TEXT),
        _optional("note", TEXT),
        _optional("note_folded", TEXT),
        _check("history", "op", "op IN ('create', 'update', 'delete', 'restore', 'rename', 'import')"),
        sa.PrimaryKeyConstraint("seq", name="pk_history"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_history_resource_record_id_seq", "history", ["resource", "record_id", "seq"])


def _create_machines() -> None:
    _create_record(
        "machines",
        _required("name", TEXT),
        _required("name_key", TEXT),
        *[_optional(name, TEXT) for name in ("sector", "usage", "manufacturer", "model", "serial_number")],
        _optional("year_of_acquisition", INTEGER),
        _optional("in_service", sa.Boolean()),
        _optional("comment", TEXT),
        _required("attributes", OBJECT),
        _unique("machines", "name"),
        _unique("machines", "name_key"),
        _check("machines", "in_service", "in_service IN (false, true)"),
    )


def _create_log_types() -> None:
    _create_record(
        "log_types",
        _required("code", TEXT),
        _required("code_key", TEXT),
        _required("label", TEXT),
        _required("counts_as_failure", sa.Boolean()),
        _required("active", sa.Boolean()),
        _unique("log_types", "code"),
        _unique("log_types", "code_key"),
        _check("log_types", "counts_as_failure", "counts_as_failure IN (false, true)"),
        _check("log_types", "active", "active IN (false, true)"),
    )


def _create_users() -> None:
    _create_record(
        "users",
        _required("trigram", TEXT),
        _required("trigram_key", TEXT),
        _optional("first_name", TEXT),
        _optional("last_name", TEXT),
        _required("role", sa.SmallInteger()),
        _required("active", sa.Boolean()),
        _unique("users", "trigram"),
        _unique("users", "trigram_key"),
        _check("users", "role", "role BETWEEN 0 AND 4"),
        _check("users", "active", "active IN (false, true)"),
    )


def _create_logs() -> None:
    _create_record(
        "logs",
        _required("uuid", UUID),
        _required("machine_id", INTEGER),
        _required("type", TEXT),
        _required("severity", sa.SmallInteger()),
        _required("status", TEXT),
        *[_optional(name, TEXT) for name in ("comment", "cause", "action", "project", "user")],
        _required("started_at", TIME),
        *[_optional(name, TIME) for name in ("ended_at", "down_from", "down_to")],
        _required("attributes", OBJECT),
        _optional("deleted_at", TIME),
        _unique("logs", "uuid"),
        _foreign_key("logs", "machine_id", "machines", "id"),
        _foreign_key("logs", "type", "log_types", "code"),
        _foreign_key("logs", "user", "users", "trigram"),
        _check("logs", "severity", "severity BETWEEN 0 AND 3"),
        _check("logs", "status", "status IN ('open', 'in_progress', 'done', 'cancelled')"),
        _check("logs", "ended_at", "ended_at >= started_at"),
        _check("logs", "down_to", "down_to IS NULL OR down_from IS NOT NULL AND down_to >= down_from"),
    )
    # `id` is the order of writing, the final tiebreaker of every sort order of logs.
    for columns in (
        ["started_at"],
        ["machine_id", "started_at"],
        ["type", "started_at"],
        ["machine_id", "type", "started_at"],
        ["user", "started_at"],
    ):
        op.create_index(f"ix_logs_{'_'.join(columns)}_id", "logs", [*columns, "id"])


def _create_folded(table: str, *columns: str) -> None:
    """Create the table of a resource's folded texts and its words, one row per record."""
    op.create_table(
        f"{table}_folded",
        sa.Column("id", INTEGER, autoincrement=False, nullable=False),
        *[_optional(name, TEXT) for name in columns],
        _required("words", TEXT),
        _foreign_key(f"{table}_folded", "id", table, "id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}_folded"),
    )


def _create_legacy_imports() -> None:
    """Create the table that maps legacy records to imported ones."""
    op.create_table(
        "legacy_imports",
        sa.Column("id", INTEGER, nullable=False),
        _required("resource", TEXT),
        _required("key", TEXT),
        _required("record_id", INTEGER),
        _required("version", INTEGER),
        _optional("raw", TEXT),
        _required("imported_at", TIME),
        sa.UniqueConstraint("resource", "key", name="uq_legacy_imports_resource_key"),
        _check("legacy_imports", "version", "version >= 1"),
        sa.PrimaryKeyConstraint("id", name="pk_legacy_imports"),
        sqlite_autoincrement=True,
    )


def _insert_initial_types() -> None:
    """Insert the initial log types, each with the first entry of its history."""
    connection = op.get_bind()
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    at = now if connection.dialect.name == "sqlite" else f"{now}Z"
    for number, code in enumerate(INITIAL_TYPES, 1):
        failure = code in FAILURE_TYPES
        values = {"id": number, "code": code, "failure": failure, "at": at}
        values["words"] = f" {code} \ue000 {code} \ue000 "
        values["changes"] = (
            f'{{"code":[null,"{code}"],"label":[null,"{code}"],'
            f'"counts_as_failure":[null,{str(failure).lower()}],"active":[null,true]}}'
        )
        for statement in INSERT_TYPE:
            connection.execute(sa.text(statement), values)
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT setval('log_types_id_seq', :id)"), {"id": len(INITIAL_TYPES)})


INSERT_TYPE = (
    """INSERT INTO log_types
    (id, code, code_key, label, counts_as_failure, active, version, created_at, updated_at)
    VALUES (:id, :code, :code, :code, :failure, true, 1, :at, :at)""",
    """INSERT INTO log_types_folded (id, label, words) VALUES (:id, :code, :words)""",
    """INSERT INTO history (resource, record_id, key, at, via, op, version, changes)
    VALUES ('log_types', :id, :code, :at, 'migrate', 'create', 1, :changes)""",
)
