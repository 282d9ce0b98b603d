"""The product's SQL statements on one SQLite connection, without HTTP, with many different values."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from benchmarks import build, data
from benchmarks.load import percentiles
from benchmarks.options import Options
from benchmarks.queries import CASES, QueryGenerator
from machine_monitor.database import instants
from machine_monitor.database.engines import SQLITE, Engine
from machine_monitor.database.statements import Statement
from machine_monitor.models import LOGS
from machine_monitor.query import lists
from machine_monitor.query.language import cursors, parser
from machine_monitor.query.language.cursors import Cursor
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.language.times import TimeContext

# TIMEOUT is the product's query timeout. TIME_BUDGET limits the time for one kind of query, by `is_quick_run`.
TIMEOUT = 5.0
TIME_BUDGET = {True: 2.0, False: 60.0}
COUNT = {True: 200, False: 1_000}
DEPTHS = (0.1, 0.5, 0.9)
# The lists for the cursor benchmark: the query string, and the same filter as SQL.
CURSOR_LISTS = {
    "default sort": ("", "1 = 1"),
    "sort=machine": ("sort=machine", "1 = 1"),
    "sort=type": ("sort=type", "1 = 1"),
    "type=error": ("type=error", "+logs.type = 'error'"),
    "one machine": ("machine={machine}", "machines.name = '{machine}'"),
}

Run = Callable[[Statement, list[Any]], Any]


def measure(options: Options) -> dict[str, Any]:
    """Measure the milliseconds of each kind of query, and of pages by cursor at several depths."""
    path = build.sqlite_file(options, options.rows)
    generator = QueryGenerator(path)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA query_only=ON")
        run = _StatementRunner(connection)
        measured = {
            case: measure_queries(SQLITE, run, generator.query_strings(case, COUNT[options.is_quick_run]), options)
            for case in CASES
        }
        measured["walks"] = measure_cursors(connection, run, generator, options)
        run.stopped.set()
        return measured


def measure_queries(engine: Engine, run: Run, query_strings: Sequence[str], options: Options) -> dict[str, Any]:
    """Return the percentiles of these queries, each run once after a warm-up, until the time budget is spent."""
    prepared = [prepare(engine, query(text)) for text in query_strings]
    return _percentiles(run, prepared, TIME_BUDGET[options.is_quick_run])


def query(text: str, cursor: str | None = None) -> ListQuery:
    """Parse a query string of the list of logs, as the API does."""
    pairs = parse_qsl(text) + ([("cursor", cursor)] if cursor else [])
    return parser.parse_list_query(LOGS, pairs, TimeContext(ZoneInfo("UTC"), instants.now()), fingerprint_scope="/logs")


def prepare(engine: Engine, list_query: ListQuery) -> tuple[Statement, list[Any]]:
    """Return the statement that the product would run, and its bound values."""
    statement, values = lists.compile_list(engine, list_query)
    return statement, statement.bind(values)


def measure_cursors(
    connection: sqlite3.Connection, run: Run, generator: QueryGenerator, options: Options
) -> dict[str, Any]:
    """Measure, for each list, its first page, a page at each depth, and random pages.

    The first page and those at a depth run repeatedly, so that all are warm; each random page runs once, in any order.
    """
    measured, machine = {}, data.machine_names()[0]
    for name, (template, condition) in CURSOR_LISTS.items():
        text = template.replace("{machine}", machine.replace(" ", "+"))
        first = query(text)
        positions = _positions(
            connection, generator, condition.replace("{machine}", machine), COUNT[options.is_quick_run] // 5
        )
        # Build each cursor from its record: following `next` links to a deep page would take too long.
        cursor_values = [tuple(place[field] for field, _ in first.order) for place in positions]
        cursor_values.sort(reverse=first.order[0][1])
        pages_after = [
            prepare(SQLITE, query(text, cursors.encode(Cursor(first.fingerprint, values)))) for values in cursor_values
        ]
        at = {f"{depth:.0%}": [pages_after[int(len(cursor_values) * depth)]] * len(cursor_values) for depth in DEPTHS}
        any_order = generator.rng.sample(pages_after, len(pages_after))
        page_sets = {"first": [prepare(SQLITE, first)] * len(cursor_values), **at, "any": any_order}
        time_budget = TIME_BUDGET[options.is_quick_run] / len(page_sets)
        measured[name] = {where: _percentiles(run, prepared, time_budget) for where, prepared in page_sets.items()}
    return measured


def _positions(connection: sqlite3.Connection, generator: QueryGenerator, condition: str, count: int) -> Iterator[dict]:
    """Pick random records of a list, with the fields that lists are sorted by."""
    query = f"""SELECT machines.name AS machine, logs.type, logs.started_at || 'Z' AS started_at, logs.id
        FROM logs CROSS JOIN machines ON machines.id = logs.machine_id
        WHERE logs.id >= ? AND {condition} ORDER BY logs.id LIMIT 1"""
    for _ in range(count):
        cursor = connection.execute(query, (generator.rng.randint(1, generator.last),))
        row = cursor.fetchone()
        if row is not None:
            yield dict(zip([column[0] for column in cursor.description], row, strict=True))


def _percentiles(run: Run, prepared: Sequence[tuple[Statement, list[Any]]], time_budget: float) -> dict[str, Any]:
    """Measure the milliseconds of each statement, after a warm-up; stop after `time_budget` seconds."""
    end = time.perf_counter() + time_budget
    for statement, values in prepared[: len(prepared) // 10]:
        if time.perf_counter() < end - time_budget / 2:
            run(statement, values)
    seconds = []
    for statement, values in prepared:
        start = time.perf_counter()
        if start > end and seconds:
            break
        run(statement, values)
        seconds.append(time.perf_counter() - start)
    return percentiles(seconds) | {"queries": len(prepared)}


class _StatementRunner:
    """Runs statements on SQLite; a thread cancels a statement that exceeds the product's query timeout."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.began: float | None = None
        self.stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def __call__(self, statement: Statement, values: list[Any]) -> None:
        """Fetch all rows of a statement, or none if it is cancelled."""
        self.began = time.perf_counter()
        try:
            self.connection.execute(statement.sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT":
                raise
        self.began = None

    def _watch(self) -> None:
        while not self.stopped.wait(0.25):
            began = self.began
            if began is not None and time.perf_counter() - began > TIMEOUT:
                self.connection.interrupt()
