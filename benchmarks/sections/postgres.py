"""The same on PostgreSQL: a server of our own, seeded by the same path; its rows stay for the next run."""

from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg import errors

from benchmarks import build, clusters, servers, targets
from benchmarks.options import Options
from benchmarks.questions import READS, Questions
from benchmarks.sections import reads, statements
from benchmarks.targets import LIMIT, NAIVE, PRODUCT, Target
from machine_monitor.database import database_urls
from machine_monitor.database.engines import POSTGRESQL
from machine_monitor.database.engines.postgresql.driver import read_options
from machine_monitor.database.statements import Statement


def measure(options: Options) -> dict[str, Any]:
    """The product and the naive twin on PostgreSQL beside the limit on SQLite; the product's statements."""
    rows = options.write_rows
    path = build.sqlite_file(options, rows)
    questions = Questions(path)
    with clusters.started(options.folder) as url, ExitStack() as stack:
        seeded = clusters.database(url, rows)
        async_url = seeded.replace("postgresql://", "postgresql+psycopg://", 1)
        chosen = [
            Target(PRODUCT, servers.product(seeded)),
            Target(NAIVE, targets.naive(async_url)),
            next(target for target in targets.on_sqlite(path) if target.name == LIMIT),
        ]
        running = {target.name: stack.enter_context(servers.running(target.command)) for target in chosen}
        found = {kind: reads.compare(options, chosen, running, list(READS[kind](questions))) for kind in READS}
        return {"rows": rows, "reads": found, "statements": _statements(seeded, questions, options)}


def _statements(url: str, questions: Questions, options: Options) -> dict[str, Any]:
    """Milliseconds from psycopg's call to the last row."""
    conninfo = database_urls.parse(url).conninfo
    reading = read_options(conninfo, statements.TIMEOUT)
    with psycopg.connect(conninfo, autocommit=True, options=reading) as connection:

        def run(statement: Statement, values: list[Any]) -> None:
            try:
                connection.execute(statement.sql, values, prepare=not statement.uses_fulltext).fetchall()
            except errors.QueryCanceled:
                return  # it counts as the time that it had

        count = statements.COUNT[options.glance]
        return {
            case: statements.ask(POSTGRESQL, run, questions.query_strings(case, count), options)
            for case in statements.CASES
        }
