"""The two database engines, and all that differs between them. Other modules ask an engine; they never ask which.

`engine.py` says what an engine offers. Each engine has a folder: `engine.py` (SQL, locks, migrations, transfer),
`driver.py` (connections, timeouts, errors) and its full text index.
"""

from machine_monitor.database.engines.engine import Engine, as_text, canonical_json
from machine_monitor.database.engines.postgresql.engine import PostgresqlEngine
from machine_monitor.database.engines.sqlite.engine import SqliteEngine

__all__ = ["POSTGRESQL", "SQLITE", "Engine", "as_text", "canonical_json"]

SQLITE = SqliteEngine()
POSTGRESQL = PostgresqlEngine()
