"""Forgeries of a database by SQL, as somebody makes them who can write it: each with the words that name it."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import psycopg

from machine_monitor.database import database_urls
from machine_monitor.database.engines.sqlite import connections
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, RESOURCES, USERS
from machine_monitor.query.schema import Resource

SECOND = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%S', {}, '{}1 second')",
    "postgresql": "{} {} INTERVAL '1 second'",
}
NEW_UUID = "0190a000-0000-7000-8000-00000000f0f0"
TEXT = "coalesce({}, '') || 'x'"
CHOICE = "CASE {0} WHEN {1} THEN {2} ELSE {1} END"
# For each column that clients can read, an expression with another value. Times are changed so that no CHECK fails.
TEXTS = ("sector", "usage", "manufacturer", "model", "serial_number", "comment", "cause", "action", "project")
TEXTS = (*TEXTS, "name", "code", "label", "trigram", "first_name", "last_name", "name_key", "code_key", "trigram_key")
NEW_VALUES = {
    **{name: TEXT.format(name) for name in TEXTS},
    "id": "id + 100000",
    "version": "version + 1",
    "attachment_count": "attachment_count + 1",
    "year_of_acquisition": "coalesce(year_of_acquisition, 1998) + 1",
    "in_service": "NOT coalesce(in_service, false)",
    **{name: f"NOT {name}" for name in ("listed", "counts_as_failure", "active")},
    "attributes": """'{"forged":1}'""",
    "uuid": f"'{NEW_UUID}'",
    "machine_id": "(SELECT min(m.id) FROM machines m WHERE m.id <> logs.machine_id)",
    "type": "(SELECT min(t.code) FROM log_types t WHERE t.code <> logs.type)",
    "user": "(SELECT min(u.trigram) FROM users u WHERE u.trigram <> coalesce(logs.\"user\", ''))",
    "severity": "3 - severity",
    "role": "(role + 1) % 5",
    "status": CHOICE.format("status", "'open'", "'done'"),
    "down_kind": CHOICE.format("down_kind", "'planned'", "'failure'"),
    "deleted_at": "CASE WHEN deleted_at IS NULL THEN updated_at END",
}
EARLIER, LATER = ("started_at", "down_from", "created_at"), ("ended_at", "down_to", "updated_at")
# Columns that lists show under another name.
FIELDS = {"machine_id": "machine"}


class Forgery(NamedTuple):
    """SQL statements, and words that occur together in one of the sentences that report them."""

    statements: Sequence[str]
    words: Sequence[str]


class Forger:
    """A connection on which constraints and triggers do not stop a forger. Each transaction is rolled back."""

    def __init__(self, url: str) -> None:
        parsed = database_urls.parse(url)
        self.engine = parsed.engine
        if parsed.path is not None:
            self._connection: Any = connections.connect(parsed.path)
            self._connection.execute("PRAGMA ignore_check_constraints=ON")
        else:
            settings = "-c TimeZone=UTC -c session_replication_role=replica"
            self._connection = psycopg.connect(parsed.conninfo, autocommit=True, options=settings)

    @contextmanager
    def transaction(self, *statements: str) -> Iterator[Transaction]:
        """Run the statements and yield their transaction."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN")
            for statement in statements:
                cursor.execute(statement)
            try:
                yield Transaction(self.engine, cursor)
            finally:
                cursor.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def columns_of(resource: Resource) -> list[str]:
    """Return the columns that a client can read, and those by which records are found."""
    own = [resource.own_column(known).name for known in resource.own_fields.values() if known.column is not None]
    more = [resource.unique_column, *(["deleted_at"] if resource.soft_delete else [])]
    return [*dict.fromkeys([*own, *more])]


def every_column() -> list[tuple[Resource, str]]:
    return [(resource, column) for resource in RESOURCES for column in columns_of(resource)]


def forge_value(tx: Transaction, rng: random.Random, resource: Resource, column: str) -> Forgery:
    """Change one column of one record."""
    quoted = f'"{column}"'
    if column in (*EARLIER, *LATER):
        new = SECOND[tx.engine.name].format(quoted, "+" if column in LATER else "-")
    else:
        new = NEW_VALUES[column]
    where = f"{quoted} IS NOT NULL" if column in (*EARLIER, *LATER, "down_kind") else "1 = 1"
    record, key = pick(tx, rng, resource, where)
    update = f"UPDATE {resource.table.name} SET {quoted} = {new} WHERE id = {record}"
    found_by = f"`{FIELDS.get(column, column)}`" if column != "id" else "its row is missing"
    return Forgery([update], [resource.noun, f'"{key}"', found_by])


def forge_row(tx: Transaction, rng: random.Random, resource: Resource) -> Forgery:
    """Add a record that is a copy of another one, with other keys."""
    record, _ = pick(tx, rng, resource)
    keys = {
        "id": 100_000 + record,
        "name": "'Forged'",
        "name_key": "'forged'",
        "code": "'FORGED'",
        "trigram": "'FORGED'",
    }
    keys |= {"code_key": "'forged'", "trigram_key": "'forged'", "uuid": f"'{NEW_UUID}'"}
    names = [column.name for column in resource.table.columns]
    values = ", ".join(str(keys.get(name, f'"{name}"')) for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    table = resource.table.name
    insert = f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE id = {record}"
    return Forgery([insert], [resource.noun, str(100_000 + record), "has a row, but no history"])


def remove_row(tx: Transaction, rng: random.Random, resource: Resource) -> Forgery:
    """Remove a record's row."""
    record, key = pick(tx, rng, resource)
    return Forgery(
        [f"DELETE FROM {resource.table.name} WHERE id = {record}"], [resource.noun, f'"{key}"', "is missing"]
    )


def pick(tx: Transaction, rng: random.Random, resource: Resource, where: str = "1 = 1") -> tuple[int, Any]:
    """Choose a record at random: its id and its key."""
    tx.cursor.execute(f"SELECT id, {resource.key} FROM {resource.table.name} WHERE {where} ORDER BY id")
    return rng.choice(tx.cursor.fetchall())


# Changes of the schema, by engine.
SCHEMA_FORGERIES = {
    "sqlite": (
        Forgery(
            ["CREATE TRIGGER up AFTER INSERT ON sessions BEGIN UPDATE users SET role = 4; END"],
            ["trigger up on sessions"],
        ),
        Forgery(["CREATE VIEW reports AS SELECT * FROM logs"], ["view reports"]),
        Forgery(["CREATE TABLE notes (text TEXT)"], ["table notes"]),
        Forgery(["CREATE INDEX ix_mine ON logs (comment)"], ["index ix_mine on logs"]),
        Forgery(["DROP INDEX ix_logs_type_started_at_id"], ["index ix_logs_type_started_at_id", "missing"]),
        Forgery(["DROP TRIGGER history_update"], ["trigger history_update", "missing"]),
        Forgery(
            [
                "DROP TRIGGER history_delete",
                "CREATE TRIGGER history_delete BEFORE DELETE ON history BEGIN SELECT 1; END",
            ],
            ["trigger history_delete", "changed"],
        ),
        Forgery(
            ["DROP INDEX ix_logs_deleted", "CREATE INDEX ix_logs_deleted ON logs (id)"], ["ix_logs_deleted", "changed"]
        ),
        Forgery(["ALTER TABLE users ADD COLUMN spare TEXT"], ["column users.spare"]),
        Forgery(["ALTER TABLE users ADD COLUMN spare AS (role + 1)"], ["column users.spare"]),
        Forgery(["CREATE VIRTUAL TABLE words USING fts5 (a)"], ["table words"]),
    ),
    "postgresql": (
        Forgery(
            [
                "CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
                "CREATE TRIGGER up AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION up()",
            ],
            ["trigger up on sessions"],
        ),
        Forgery(["CREATE FUNCTION up() RETURNS int LANGUAGE sql AS 'SELECT 1'"], ["function up()"]),
        Forgery(
            [
                (
                    "CREATE OR REPLACE FUNCTION history_forbidden() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RETURN NULL; END $$"
                ),
            ],
            ["function history_forbidden()", "changed"],
        ),
        Forgery(["CREATE VIEW reports AS SELECT * FROM logs"], ["view reports"]),
        Forgery(["CREATE MATERIALIZED VIEW reports AS SELECT * FROM logs"], ["view reports"]),
        Forgery(["CREATE TABLE notes (text TEXT)"], ["table notes"]),
        Forgery(["CREATE TABLE more () INHERITS (logs)"], ["table more"]),
        Forgery(["CREATE SEQUENCE more"], ["sequence more"]),
        Forgery(["CREATE DOMAIN more AS text"], ["type more"]),
        Forgery(["CREATE INDEX ix_mine ON logs (comment)"], ["index ix_mine on logs"]),
        Forgery(["DROP INDEX ix_logs_type_started_at_id"], ["index ix_logs_type_started_at_id", "missing"]),
        Forgery(
            ["DROP INDEX ix_logs_deleted", "CREATE INDEX ix_logs_deleted ON logs (id)"], ["ix_logs_deleted", "changed"]
        ),
        Forgery(["DROP TRIGGER history_forbidden ON history"], ["trigger history_forbidden", "missing"]),
        Forgery(["ALTER TABLE history DISABLE TRIGGER USER"], ["trigger history_forbidden", "disabled"]),
        Forgery(["ALTER TABLE logs DISABLE TRIGGER ALL"], ["on logs does not belong"]),
        Forgery(["CREATE RULE no AS ON DELETE TO sessions DO INSTEAD NOTHING"], ["rule no on sessions"]),
        Forgery(["ALTER TABLE logs ENABLE ROW LEVEL SECURITY"], ["table logs", "row security"]),
        Forgery(
            ["CREATE SCHEMA AUTHORIZATION CURRENT_USER", "CREATE TABLE logs AS SELECT * FROM public.logs"],
            ["table logs", "hidden by another schema"],
        ),
        Forgery(["CREATE POLICY all_rows ON logs USING (true)"], ["policy all_rows on logs"]),
        Forgery(["ALTER TABLE users ADD COLUMN spare text"], ["column users.spare"]),
        Forgery(["ALTER TABLE logs ALTER COLUMN type DROP NOT NULL"], ["column logs.type", "changed"]),
        Forgery(["ALTER TABLE logs ALTER COLUMN comment SET DEFAULT current_user"], ["column logs.comment", "changed"]),
        Forgery(["ALTER TABLE logs DROP CONSTRAINT uq_logs_uuid"], ["unique uuid of logs", "missing"]),
        Forgery(["ALTER TABLE users ADD CHECK (role < 9)"], ["check role < 9 of users"]),
    ),
}


def random_forgery(tx: Transaction, rng: random.Random, number: int) -> Forgery:
    """Return a forgery of a value (of each column in turn), of a row or of the schema."""
    columns = every_column()
    kind = rng.randrange(10)
    if kind == 0:
        return forge_row(tx, rng, rng.choice((MACHINES, LOGS, LOG_TYPES, USERS)))
    if kind == 1:
        return remove_row(tx, rng, rng.choice((MACHINES, LOGS, LOG_TYPES, USERS)))
    if kind == 2:
        return rng.choice(SCHEMA_FORGERIES[tx.engine.name])
    return forge_value(tx, rng, *columns[number % len(columns)])
