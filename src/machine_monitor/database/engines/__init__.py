"""The two database engines. Every difference between SQLite and PostgreSQL is a method of `Engine`.

No other module tests which engine it has. `engine.py` is the interface. Each engine has a folder: `engine.py` (SQL,
locks, migrations, transfer), `driver.py` (connections, timeouts, errors) and its full text index.
"""

from machine_monitor.database.engines.engine import Engine, as_text, canonical_json
from machine_monitor.database.engines.postgresql.engine import PostgresqlEngine
from machine_monitor.database.engines.sqlite.engine import SqliteEngine

__all__ = ["POSTGRESQL", "SQLITE", "Engine", "as_text", "canonical_json"]

SQLITE = SqliteEngine()
POSTGRESQL = PostgresqlEngine()
