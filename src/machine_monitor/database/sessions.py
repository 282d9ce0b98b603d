"""ORM sessions inside a unit of work: `tx.session` shares the unit's connection and its transaction.

This is SQLAlchemy's recipe for joining a session to an external transaction, with one difference: a session cannot end
the transaction, because this dialect ignores commit, rollback and close. `Database.write` commits.
"""

from functools import cache
from typing import Any, NoReturn

import sqlalchemy
from sqlalchemy import URL, Connection, Dialect, StaticPool
from sqlalchemy.orm import Session

from machine_monitor.database.engines import Engine

# The execution option that marks the connection of a unit of work.
UNIT = "unit_of_work"
DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


class UnitSession(Session):
    """The ORM session of a unit of work: flushed at the end of the unit, committed by `Database.write`."""

    def commit(self) -> NoReturn:
        """Not allowed: it would commit the other units of the batch too."""
        raise RuntimeError("A unit of work is committed by `Database.write`, not by its session.")

    def rollback(self) -> NoReturn:
        """Not allowed: to roll back a unit of work, raise an error."""
        raise RuntimeError("To roll back a unit of work, raise an error; its session cannot.")


def open_session(engine: Engine, connection: Any) -> UnitSession:
    """Create an ORM session on a connection that is already in a transaction."""
    dialect, compiled = _dialect(engine.name)
    pool = StaticPool(lambda: connection, reset_on_return=None, dialect=dialect)
    bind = sqlalchemy.Engine(
        pool,
        dialect,
        URL.create(DRIVERS[engine.name]),
        # Each unit of work has its own SQLAlchemy engine; share one statement cache among them.
        execution_options={"compiled_cache": compiled, UNIT: True},
        hide_parameters=True,
    )
    return UnitSession(bind, expire_on_commit=False)


def is_unit(connection: Connection) -> bool:
    """Whether an SQLAlchemy connection belongs to the session of a unit of work."""
    return UNIT in connection.get_execution_options()


@cache
def _dialect(name: str) -> tuple[Dialect, dict[Any, Any]]:
    """Return the dialect of all sessions on an engine, and its statement cache.

    This avoids `create_engine`, which runs statements on each new connection to detect the server's version. The
    dialect's defaults are right for every version that the service supports.
    """
    of_driver: Any = URL.create(DRIVERS[name]).get_dialect()
    dialect = of_driver(dbapi=of_driver.import_dbapi())
    dialect.do_commit = dialect.do_rollback = dialect.do_close = dialect.do_terminate = _do_nothing
    return dialect, {}


def _do_nothing(connection: Any) -> None:
    del connection
