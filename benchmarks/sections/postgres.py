"""Reads on PostgreSQL, on a local server that is filled like the SQLite file and reused by the next run."""

from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg import errors

from benchmarks import build, postgresql_server, servers, targets
from benchmarks.options import Options
from benchmarks.queries import READS, QueryGenerator
from benchmarks.sections import reads, statements
from benchmarks.targets import LIMIT, NAIVE, PRODUCT, Target
from machine_monitor.database import database_urls
from machine_monitor.database.engines import POSTGRESQL
from machine_monitor.database.engines.postgresql.readers import query_settings
from machine_monitor.database.statements import Statement


def measure(options: Options) -> dict[str, Any]:
    """Compare the product and the naive app on PostgreSQL with the limit on SQLite; time the product's statements."""
    rows = options.write_rows
    path = build.sqlite_file(options, rows)
    generator = QueryGenerator(path)
    with postgresql_server.running_server(options.folder) as (url, _), ExitStack() as stack:
        seeded = postgresql_server.filled_database(url, rows)
        async_url = seeded.replace("postgresql://", "postgresql+psycopg://", 1)
        chosen = [
            Target(PRODUCT, servers.product(seeded)),
            Target(NAIVE, targets.naive(async_url)),
            next(target for target in targets.on_sqlite(path) if target.name == LIMIT),
        ]
        running = {target.name: stack.enter_context(servers.running(target.command)) for target in chosen}
        compared = {kind: reads.compare(options, chosen, running, list(READS[kind](generator))) for kind in READS}
        return {"rows": rows, "reads": compared, "statements": _statements(seeded, generator, options)}


def _statements(url: str, generator: QueryGenerator, options: Options) -> dict[str, Any]:
    """Measure the milliseconds from psycopg's call to the last row."""
    conninfo = database_urls.parse(url).conninfo
    with psycopg.connect(conninfo, autocommit=True) as connection:
        query_settings(statements.TIMEOUT).configure(connection)

        def run(statement: Statement, values: list[Any]) -> None:
            try:
                connection.execute(statement.sql, values, prepare=not statement.uses_fulltext).fetchall()
            except errors.QueryCanceled:
                return  # its time counts as the query timeout

        count = statements.COUNT[options.is_quick_run]
        return {
            case: statements.measure_queries(POSTGRESQL, run, generator.query_strings(case, count), options)
            for case in statements.CASES
        }
