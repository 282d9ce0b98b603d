"""ORM sessions inside a unit of work: `tx.session` shares the unit's connection and its transaction.

This is SQLAlchemy's recipe for joining a session to an external transaction, with one difference: nothing that a
session does can end the transaction, for the dialect here ignores commit, rollback and close. The unit of work commits.
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
    """The session of one unit of work: what is added is flushed at its end, and committed with all else."""

    def commit(self) -> NoReturn:
        """Refuse: the other units of the batch would be committed too."""
        raise RuntimeError("A unit of work is committed by `Database.write`, not by its session.")

    def rollback(self) -> NoReturn:
        """Refuse: a unit of work is undone by raising an error."""
        raise RuntimeError("A unit of work is undone by the error that it raises, not by its session.")


def open_session(engine: Engine, connection: Any) -> UnitSession:
    """A session on a driver's connection that is in a transaction."""
    dialect, compiled = _dialect(engine.name)
    pool = StaticPool(lambda: connection, reset_on_return=None, dialect=dialect)
    bind = sqlalchemy.Engine(
        pool,
        dialect,
        URL.create(DRIVERS[engine.name]),
        # By default each engine has a cache of its own, and each unit has an engine.
        execution_options={"compiled_cache": compiled, UNIT: True},
        hide_parameters=True,
    )
    return UnitSession(bind, expire_on_commit=False)


def is_unit(connection: Connection) -> bool:
    """Whether a SQLAlchemy connection belongs to the session of a unit of work."""
    return UNIT in connection.get_execution_options()


@cache
def _dialect(name: str) -> tuple[Dialect, dict[Any, Any]]:
    """The dialect of all sessions on an engine, and the statements that it has compiled.

    `create_engine` would run statements of its own on a connection that is new to it, to learn the server's version.
    The defaults of the dialect are right for every version that the service supports.
    """
    of_driver: Any = URL.create(DRIVERS[name]).get_dialect()
    dialect = of_driver(dbapi=of_driver.import_dbapi())
    dialect.do_commit = dialect.do_rollback = dialect.do_close = dialect.do_terminate = _do_nothing
    return dialect, {}


def _do_nothing(connection: Any) -> None:
    del connection
