"""How each engine is connected to: reads that wait for nobody, one transaction for writes, errors as problems."""

from typing import Any

from machine_monitor.database.addresses import Address
from machine_monitor.database.drivers.sqlite import SqliteDriver
from machine_monitor.database.engines import SQLITE


def driver_of(address: Address, query_timeout: float) -> Any:
    """The driver of a database that is there."""
    if address.engine is SQLITE:
        return SqliteDriver(address.path, query_timeout)
    from machine_monitor.database.drivers.postgresql import (  # noqa: PLC0415 -- a service on SQLite need not carry psycopg
        PostgresqlDriver,
    )

    return PostgresqlDriver(address.conninfo, query_timeout)
