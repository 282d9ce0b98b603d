"""Kinds of field: what a value is, whichever engine keeps it.

An ORM session converts the values of some kinds, so that its rows hold what the API's schemas hold. Only values are
converted, never SQL: the text of a statement does not depend on it. The service's own statements bind and read the
stored form directly (`Engine.to_db`, `Engine.from_db`).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import TIMESTAMP, BigInteger, Boolean, Dialect, Integer, SmallInteger, Text, TypeDecorator, Uuid
from sqlalchemy.types import JSON, TypeEngine

from machine_monitor.database import instants

# Equality and order are by code point on both engines: SQLite's BINARY collation is, PostgreSQL's "C" is.
EXACT_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


class InstantType(TypeDecorator[datetime]):
    """An aware datetime in UTC, whatever the time zone of PostgreSQL's session."""

    # SQLite: UTC as text without a `Z`, a fraction only if it is not zero: so texts sort as instants.
    impl = Text().with_variant(TIMESTAMP(timezone=True), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """The stored form of a datetime; raises `ValueError` if it has no time zone."""
        if value is None:
            return None
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise ValueError("A time is a datetime with a time zone, such as datetime.now(UTC).")
        return value if dialect.name == "postgresql" else instants.format_instant(value)[:-1]

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The datetime in UTC."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)
        return datetime.fromisoformat(value).replace(tzinfo=UTC)


class RankType(TypeDecorator[str]):
    """A word of an ordered set, stored as its place: `Log.severity >= "major"` compares as the API does."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, choices: tuple[str, ...]) -> None:
        super().__init__()
        # SQLAlchemy caches statements by the arguments of a type: two ranks are told apart by this attribute.
        self.choices = choices

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        """The word's place; raises `ValueError` for another word."""
        del dialect
        if value is not None and value not in self.choices:
            raise ValueError(f"Expected one of {', '.join(self.choices)}.")
        return None if value is None else self.choices.index(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> str | None:
        """The word."""
        del dialect
        return None if value is None else self.choices[value]


class ObjectType(TypeDecorator[dict[str, Any]]):
    """A JSON object as a dict; `json`, not `jsonb`, keeps the text as it was sent."""

    impl = Text().with_variant(JSON(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> Any:
        """The object's text where the engine has no JSON type of its own."""
        return value if value is None or self._is_native(dialect) else to_json(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any] | None:
        """The object."""
        return value if value is None or self._is_native(dialect) else json.loads(value)

    def _is_native(self, dialect: Dialect) -> bool:
        return dialect.name == "postgresql"


class VerbatimJsonType(ObjectType):
    """A JSON object that is stored as its very text on both engines."""

    impl = EXACT_TEXT
    cache_ok = True

    def _is_native(self, dialect: Dialect) -> bool:
        del dialect
        return False


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
TIME = Kind("time", InstantType())
BOOLEAN = Kind("boolean", Boolean())
UUID = Kind("uuid", Text().with_variant(Uuid(as_uuid=False), "postgresql"))
OBJECT = Kind("object", ObjectType())
# An object kept as its very text on both engines, as evidence is.
VERBATIM_JSON = Kind("evidence", VerbatimJsonType())
# Rows of a child table, shown as a JSON array: no column holds them.
LIST = Kind("list", EXACT_TEXT)


def choice(*names: str) -> Kind:
    """A closed set of texts, compared as texts."""
    return Kind("choice", EXACT_TEXT, names)


def rank(*names: str) -> Kind:
    """A closed set in an order of its own, lowest first; kept as a small integer."""
    return Kind("rank", RankType(names), names)
