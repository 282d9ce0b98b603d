"""How Alembic renders the migrations that it generates, so that they work on both engines without editing."""

from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op
from alembic.operations.ops import ModifyTableOps
from sqlalchemy import TypeDecorator
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import UnsupportedCompilationError
from sqlalchemy.types import TypeEngine

from machine_monitor.database.kinds import INTEGER, OBJECT, TEXT, TIME, UUID, Kind

# Column types that differ between the engines. Like the existing migrations, a generated one defines them by name.
NAMED_TYPES: dict[str, tuple[Kind, str]] = {
    "INTEGER": (INTEGER, 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'),
    "OBJECT": (OBJECT, 'sa.Text().with_variant(sa.JSON(), "postgresql")'),
    "TEXT": (TEXT, 'sa.Text().with_variant(sa.Text(collation="C"), "postgresql")'),
    "TIME": (TIME, 'sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")'),
    "UUID": (UUID, 'sa.Text().with_variant(sa.Uuid(as_uuid=False), "postgresql")'),
}


def ddl(column_type: TypeEngine) -> tuple[str, str] | None:
    """Return the type's DDL for SQLite and for PostgreSQL; None if one of them does not have it."""
    try:
        return column_type.compile(dialect=sqlite.dialect()), column_type.compile(dialect=postgresql.dialect())
    except UnsupportedCompilationError:
        return None


_NAMES = {ddl(kind.column_type): name for name, (kind, _) in NAMED_TYPES.items()}


def render_item(kind: str, item: Any, context: AutogenContext) -> str | bool:
    """Render a column type by its name in `NAMED_TYPES`, and add the definition; False means Alembic's default."""
    name = _NAMES.get(ddl(item)) if kind == "type" else None
    if name is None and isinstance(item, TypeDecorator):
        # A migration must not depend on the code of today's models: write the decorated SQLAlchemy type.
        return render._repr_type(item.impl_instance, context)  # noqa: SLF001 -- Alembic has no public function for this
    if name is None:
        return False
    context.imports.add(f"{name} = {NAMED_TYPES[name][1]}")
    return name


@renderers.dispatch_for(ModifyTableOps, replace=True)
def render_modify_table(context: AutogenContext, change: ModifyTableOps) -> list[str]:
    """Render the changes of one table as a batch that keeps AUTOINCREMENT.

    SQLite's ALTER TABLE cannot do much, so a batch rebuilds the table: it creates a new one and copies the rows. Its
    definition comes from reflection, which does not see AUTOINCREMENT. Without it, SQLite would reuse ids.
    """
    if not change.ops:
        return []
    arguments = [repr(change.table_name)]
    table = context.table_key_to_table.get(change.table_name)
    if table is not None and table.dialect_options["sqlite"]["autoincrement"]:
        arguments.append('table_kwargs={"sqlite_autoincrement": True}')
    with context._within_batch():  # noqa: SLF001 -- as in Alembic's own renderer
        lines = [line for each in change.ops for line in render_op(context, each)]
    return [f"with op.batch_alter_table({', '.join(arguments)}) as batch_op:", *lines, ""]
