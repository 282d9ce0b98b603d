"""Alembic operations that create and drop search indexes.

Alembic does not compare FTS5 tables. Importing this module teaches `make migration` to write missing search indexes,
and `alembic check` to report them. The models' metadata lists the tables that need one.
"""

import re
from typing import Any

from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrateOperation, UpgradeOps
from alembic.util import DispatchPriority
from sqlalchemy import MetaData

from machine_monitor.database.engines import POSTGRESQL, SQLITE
from machine_monitor.database.fulltext import SEARCHED

# The search index of a table, and the tables in which FTS5 stores it.
INDEX_TABLE = re.compile(r".+_search(_(data|idx|content|docsize|config))?")


def is_compared(name: str | None, kind: str, _parents: object) -> bool:
    """Whether Alembic compares a table: not a search index, and not FTS5's internal tables."""
    return kind != "table" or name is None or not INDEX_TABLE.fullmatch(name)


class CreateSearchIndex(MigrateOperation):
    """Create the search index of a table."""

    def __init__(self, name: str) -> None:
        self.name = name

    def reverse(self) -> "DropSearchIndex":
        """Return the inverse operation."""
        return DropSearchIndex(self.name)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the tuple that `alembic check` prints."""
        return "add_search_index", self.name


class DropSearchIndex(CreateSearchIndex):
    """Drop the search index of a table."""

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the tuple that `alembic check` prints."""
        return "remove_search_index", self.name


@comparators.dispatch_for("schema", priority=DispatchPriority.LAST)
def add_missing(context: AutogenContext, upgrade: UpgradeOps, _schemas: set[str | None]) -> None:
    """Add operations for search indexes that the models declare and the database lacks."""
    assert context.inspector is not None
    assert isinstance(context.metadata, MetaData)
    existing = set(context.inspector.get_table_names())
    searched = sorted(context.metadata.info.get(SEARCHED, ()))
    upgrade.ops += [CreateSearchIndex(name) for name in searched if f"{name}_search" not in existing]


@renderers.dispatch_for(CreateSearchIndex)
def _render_create(_context: AutogenContext, created: CreateSearchIndex) -> list[str]:
    branches = [("if op.get_context().dialect.name == 'sqlite':", SQLITE), ("else:", POSTGRESQL)]
    lines = []
    for condition, engine in branches:
        lines += [condition, *[f"op.execute({text.format(name=created.name)!r})" for text in engine.fulltext.create]]
    # Alembic's printer indents after a colon, until a blank line.
    return [*lines, ""]


@renderers.dispatch_for(DropSearchIndex)
def _render_drop(_context: AutogenContext, dropped: DropSearchIndex) -> list[str]:
    return [f"op.drop_table('{dropped.name}_search')"]
