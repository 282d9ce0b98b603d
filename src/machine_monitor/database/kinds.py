"""Kinds of field: what a value is, whichever engine keeps it."""

from dataclasses import dataclass

from sqlalchemy import TIMESTAMP, BigInteger, Boolean, Integer, SmallInteger, Text, Uuid
from sqlalchemy.types import JSON, TypeEngine

# Equality and order are by code point on both engines: SQLite's BINARY collation is, PostgreSQL's "C" is.
EXACT_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


@dataclass(frozen=True)
class Kind:
    """One kind of field; `choices` are the only values it has, in their order."""

    name: str
    column_type: TypeEngine
    choices: tuple[str, ...] = ()


# SQLite only makes `INTEGER PRIMARY KEY` the rowid, PostgreSQL wants 64 bits.
INTEGER = Kind("integer", BigInteger().with_variant(Integer(), "sqlite"))
TEXT = Kind("text", EXACT_TEXT)
# Text that has no letter beyond ASCII, so that `lower` folds it alike on both engines.
CODE = Kind("code", EXACT_TEXT)
# SQLite: UTC as text without a `Z`, a fraction only if it is not zero: so texts sort as instants.
TIME = Kind("time", Text().with_variant(TIMESTAMP(timezone=True), "postgresql"))
BOOLEAN = Kind("boolean", Boolean())
UUID = Kind("uuid", Text().with_variant(Uuid(as_uuid=False), "postgresql"))
# `json`, not `jsonb`: the text is kept as it was sent.
OBJECT = Kind("object", Text().with_variant(JSON(), "postgresql"))
# An object kept as its very text on both engines, as evidence is.
EVIDENCE = Kind("evidence", EXACT_TEXT)
# Rows of a child table, shown as a JSON array: no column holds them.
LIST = Kind("list", EXACT_TEXT)


def choice(*names: str) -> Kind:
    """A closed set of texts, compared as texts."""
    return Kind("choice", EXACT_TEXT, names)


def rank(*names: str) -> Kind:
    """A closed set in an order of its own, lowest first; kept as a small integer."""
    return Kind("rank", SmallInteger(), names)
