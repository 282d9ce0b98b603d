"""Check at start-up that the database schema matches the code, without importing Alembic."""

import ast
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from machine_monitor.errors import SchemaMismatch

# PostgreSQL's advisory lock that a migration takes and all writes share: an arbitrary number.
MIGRATION_LOCK = 7_262_353
# The query for the database's revision.
REVISION = "SELECT version_num FROM alembic_version"
OTHER_SCHEMA = (
    "The database has the schema of another version. If it is older, run `mm migrate`. "
    "If it is newer, install that version and start the service again."
)
_PACKAGE = Path(__file__).parents[2]
_COLUMNS = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
    "postgresql": """SELECT t.relname, c.attname FROM pg_attribute c
        JOIN pg_class t ON t.oid = c.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE t.relkind IN ('r', 'p') AND c.attnum > 0 AND NOT c.attisdropped
        AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND pg_table_is_visible(t.oid)""",
}


def migrations_folder() -> Path:
    """Return the folder of the migrations: inside an installed package, at the top of a checkout."""
    installed = _PACKAGE / "alembic"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "alembic"


@cache
def head_revision() -> str:
    """Return the head revision: the last migration of this code.

    Importing Alembic takes half a second. This therefore parses the assignments in the migration files, and asks
    Alembic only about a file that computes its revision.
    """
    files = [file for file in (migrations_folder() / "versions").glob("[!.]*.py") if file.name != "__init__.py"]
    revisions = [_revision(file) for file in files]
    counts = Counter(name for name, _ in revisions)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise SchemaMismatch(f"Two migrations have the revision {twice[0]}: give the later one the next number.")
    heads = sorted({*counts} - {follows for _, after in revisions for follows in after})
    if len(heads) != 1:
        raise SchemaMismatch(f"The migrations end in {len(heads)} revisions ({', '.join(heads)}) instead of one.")
    return heads[0]


def is_head(rows: Sequence[Any]) -> bool:
    """Whether the rows of `REVISION` are the head revision."""
    return [tuple(row) for row in rows] == [(head_revision(),)]


def missing_columns(engine_name: str, cursor: Any, metadata: MetaData) -> list[str]:
    """Return the tables and columns of the models that the database lacks, such as `machines.location`."""
    cursor.execute(_COLUMNS[engine_name])
    existing = {(table, column) for table, column in cursor.fetchall()}
    tables = {table for table, _ in existing}
    missing = [name for name in metadata.tables if name not in tables]
    columns = [(name, column.name) for name, table in metadata.tables.items() for column in table.columns]
    return missing + [".".join(each) for each in columns if each[0] in tables and each not in existing]


def _revision(file: Path) -> tuple[str, tuple[str, ...]]:
    """Return the revision of a migration file, and its down revisions."""
    assigned: dict[str, ast.expr] = {}
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
    try:
        name, follows = (ast.literal_eval(assigned[each]) for each in ("revision", "down_revision"))
    except (KeyError, ValueError):
        name, follows = _revision_by_alembic(file)
    return name, (follows,) if isinstance(follows, str) else tuple(follows or ())


def _revision_by_alembic(file: Path) -> tuple[str, Any]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 -- a service must not import Alembic

    scripts = ScriptDirectory(str(file.parents[1])).walk_revisions()
    script = next(script for script in scripts if Path(script.path) == file)
    return script.revision, script.down_revision
