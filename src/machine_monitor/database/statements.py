"""Statements compiled once: the text that goes to the driver, and the names of its positional values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Executable
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler


class HasDialect(Protocol):
    """An engine, as far as compiling needs it: an engine's driver runs statements, so this cannot import engines."""

    @property
    def dialect(self) -> Dialect:
        """The dialect that writes the engine's SQL."""
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement, whose rows have these `columns`. One that is `searching` asks a full text index.

    PostgreSQL plans such a statement anew, by its words; SQLite may spend long in a single step of it.
    """

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    uses_fulltext: bool
    columns: tuple[str, ...] = ()

    def bind(self, values: Mapping[str, Any]) -> list[Any]:
        """The positional values, in the order of the text."""
        constants = self.constants
        return [values[name] if name in values else constants[name] for name in self.names]


def compile_statement(engine: HasDialect, clause: Executable, *, uses_fulltext: bool = False) -> Statement:
    """Compile for the engine's driver. This takes milliseconds, so callers cache the result."""
    compiled = clause.compile(dialect=engine.dialect)  # ty: ignore[missing-attribute] -- every Executable compiles
    assert isinstance(compiled, SQLCompiler)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    columns = tuple(getattr(column, "name", "") for column in getattr(clause, "selected_columns", ()))
    return Statement(str(compiled), tuple(compiled.positiontup or ()), constants, uses_fulltext, columns)
