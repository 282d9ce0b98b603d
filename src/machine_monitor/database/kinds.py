"""Field types: a `Kind` is the logical type of a field, with its column type on both engines.

In an ORM session these column types convert values, so that its rows hold the same values as the API's schemas. They
convert only values, never SQL, so that the text of a statement does not depend on them. The service's own statements
bind and read the stored form directly (`Engine.to_db`, `Engine.from_db`).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import TIMESTAMP, BigInteger, Boolean, Dialect, Integer, SmallInteger, Text, TypeDecorator, Uuid
from sqlalchemy.types import JSON, TypeEngine

from machine_monitor.database import instants

# Both engines compare and sort by code point: SQLite's BINARY collation and PostgreSQL's "C" do.
EXACT_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


class InstantType(TypeDecorator[datetime]):
    """An aware datetime in UTC, independent of the time zone of PostgreSQL's session."""

    # SQLite stores UTC text without `Z`, with a fraction only if it is not zero, so that the texts sort by time.
    impl = Text().with_variant(TIMESTAMP(timezone=True), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert a datetime to the stored form; raises `ValueError` if it has no time zone."""
        if value is None:
            return None
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise ValueError("A time is a datetime with a time zone, such as datetime.now(UTC).")
        return value if dialect.name == "postgresql" else instants.format_instant(value)[:-1]

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert the stored form to a datetime in UTC."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)
        return datetime.fromisoformat(value).replace(tzinfo=UTC)


class RankType(TypeDecorator[str]):
    """A member of an ordered enum, stored as its index, so that `Log.severity >= "major"` works in SQL."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, choices: tuple[str, ...]) -> None:
        super().__init__()
        # SQLAlchemy's statement cache tells two rank types apart by the attribute named like the argument.
        self.choices = choices

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        """Convert a name to its index; raises `ValueError` for an unknown name."""
        del dialect
        if value is not None and value not in self.choices:
            raise ValueError(f"Expected one of {', '.join(self.choices)}.")
        return None if value is None else self.choices.index(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> str | None:
        """Convert an index to its name."""
        del dialect
        return None if value is None else self.choices[value]


class ObjectType(TypeDecorator[dict[str, Any]]):
    """A JSON object as a dict. PostgreSQL's `json`, unlike `jsonb`, keeps the text that the service wrote."""

    impl = Text().with_variant(JSON(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> Any:
        """Convert the object to text on SQLite, which has no JSON type."""
        return value if value is None or self._is_native(dialect) else to_json(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any] | None:
        """Convert the stored form to a dict."""
        return value if value is None or self._is_native(dialect) else json.loads(value)

    def _is_native(self, dialect: Dialect) -> bool:
        return dialect.name == "postgresql"


class VerbatimJsonType(ObjectType):
    """A JSON object stored as text, byte for byte, on both engines; the audit log's hashes cover that text."""

    impl = EXACT_TEXT
    cache_ok = True

    def _is_native(self, dialect: Dialect) -> bool:
        del dialect
        return False


@dataclass(frozen=True)
class Kind:
    """A logical field type; `choices` are its only values, in order, if it is an enum."""

    name: str
    column_type: TypeEngine
    choices: tuple[str, ...] = ()


# 64 bits on PostgreSQL. On SQLite only `INTEGER PRIMARY KEY` is an alias of the rowid.
INTEGER = Kind("integer", BigInteger().with_variant(Integer(), "sqlite"))
TEXT = Kind("text", EXACT_TEXT)
# ASCII-only text: SQL `lower` gives the same result on both engines.
CODE = Kind("code", EXACT_TEXT)
TIME = Kind("time", InstantType())
BOOLEAN = Kind("boolean", Boolean())
UUID = Kind("uuid", Text().with_variant(Uuid(as_uuid=False), "postgresql"))
OBJECT = Kind("object", ObjectType())
# An object stored as text, byte for byte: hashes cover it.
VERBATIM_JSON = Kind("verbatim", VerbatimJsonType())
# Rows of a child table, shown as a JSON array; the parent's table has no column for them.
LIST = Kind("list", EXACT_TEXT)


def choice(*names: str) -> Kind:
    """An enum, stored and compared as text."""
    return Kind("choice", EXACT_TEXT, names)


def rank(*names: str) -> Kind:
    """An ordered enum, lowest first; stored as a small integer."""
    return Kind("rank", RankType(names), names)
