"""Rows of logs that Python adds up: the window they are read from, and how many there may be."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, bindparam

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import TIME
from machine_monitor.database.statements import Statement
from machine_monitor.errors import QueryTimeout

# Adding up so many takes about as long as a query may take by default, 5 s.
MAX_ROWS = 300_000


async def fetch_rows(database: Database, statement: Statement, values: Mapping[str, Any]) -> Sequence[Sequence]:
    """Return the rows of a statement that has LIMIT_PARAM; raises `QueryTimeout` if there are more than MAX_ROWS."""
    rows = await database.fetch(statement, {**values, "limit": MAX_ROWS + 1})
    if len(rows) > MAX_ROWS:
        raise QueryTimeout
    return rows


def window_values(engine: Engine, start: datetime, end: datetime) -> dict[str, Any]:
    """Return the values of the binds `from` and `to`."""
    return {
        name: engine.to_db(instants.format_instant(instant), TIME) for name, instant in (("from", start), ("to", end))
    }


def window_bound(name: str) -> BindParameter:
    """Return the bind `from` or `to` of a statement."""
    return bindparam(name, type_=TIME.column_type)
