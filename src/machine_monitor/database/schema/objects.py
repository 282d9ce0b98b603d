"""Compare the schema objects of a database with those of the models: tables, columns, indexes, triggers, views.

A foreign trigger could change records behind the service's back, and a view could return wrong ones.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import MetaData
from sqlalchemy.schema import CreateIndex, CreateTable

from machine_monitor.database.engines import Engine
from machine_monitor.database.fulltext import SEARCHED
from machine_monitor.database.schema.definitions import Objects, SchemaObject

# The key in `Table.info` of tables whose rows the database refuses to change or remove.
APPEND_ONLY = "append_only"
# Alembic's table.
REVISIONS = """CREATE TABLE alembic_version
(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"""


class Difference(NamedTuple):
    """A schema object that is missing, changed, or not of this version, and the sentence that says so."""

    schema_object: SchemaObject
    sentence: str
    is_missing: bool = False


def find_differences(engine: Engine, cursor: Any, metadata: MetaData) -> list[Difference]:
    """Return where the schema of a database differs from that of the models."""
    expected, existing = _expected(engine, metadata), engine.schema_objects(cursor)
    missing = [each for each in expected if each not in existing]
    differences = [Difference(each, f"The {each} is missing.", is_missing=True) for each in missing]
    for each, definition in existing.items():
        if each not in expected:
            differences.append(Difference(each, f"The {each} does not belong to this version."))
        elif definition != expected[each]:
            sentence = f"The {each} was changed: it is `{definition}`, and should be `{expected[each]}`."
            differences.append(Difference(each, sentence))
    return differences


@cache
def _expected(engine: Engine, metadata: MetaData) -> Objects:
    return engine.objects_of_statements([*_statements(engine, metadata)])


def _statements(engine: Engine, metadata: MetaData) -> Iterator[str]:
    """Yield the DDL of the whole schema."""
    yield REVISIONS
    for table in metadata.sorted_tables:
        for ddl in (CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=lambda index: str(index.name)))):
            yield str(ddl.compile(dialect=engine.dialect))
        templates = engine.append_only if table.info.get(APPEND_ONLY) else ()
        if table.name in metadata.info.get(SEARCHED, ()):
            templates = (*templates, *engine.fulltext.create)
        for template in templates:
            yield template.format(name=table.name)
