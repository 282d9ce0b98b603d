"""The table `<resource>_folded`, which filters and sorts read in place of the stored texts.

Python folds them (removes case and accents), because SQLite and PostgreSQL do it in different ways. The table also has
each record's attributes in the form in which they are compared: see `query/language/attributes.py`.
"""

from sqlalchemy import Column, ForeignKey, Table
from sqlmodel import SQLModel

from machine_monitor.database.kinds import INTEGER, OBJECT, TEXT
from machine_monitor.query.schema import field_annotations


def folded_table(table: Table, read: type[SQLModel]) -> Table | None:
    """Create this table, with one row per record; None if the records have neither texts nor attributes."""
    kinds = {name: field_annotations(info).kind for name, info in read.model_fields.items() if name in table.c}
    texts = [Column(name, kind.column_type) for name, kind in kinds.items() if kind in (TEXT, OBJECT)]
    if not texts:
        return None
    return Table(
        f"{table.name}_folded",
        table.metadata,
        Column(
            "id",
            INTEGER.column_type,
            ForeignKey(table.c.id, ondelete="RESTRICT"),
            primary_key=True,
            autoincrement=False,
        ),
        *texts,
    )
