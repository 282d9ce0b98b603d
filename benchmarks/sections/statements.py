"""The product's own statements in the database, without HTTP: many different values of each kind, on one connection."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from benchmarks import build, data
from benchmarks.load import percentiles
from benchmarks.options import Options
from benchmarks.questions import CASES, Questions
from machine_monitor.database import instants
from machine_monitor.database.engines import SQLITE, Engine
from machine_monitor.database.statements import Statement
from machine_monitor.models import LOGS
from machine_monitor.query import lists
from machine_monitor.query.language import cursors, parser
from machine_monitor.query.language.cursors import Cursor
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.language.times import TimeContext

# As the product stops a query; a kind of question that takes so long is not asked to its end.
TIMEOUT = 5.0
PATIENCE = {True: 2.0, False: 60.0}
COUNT = {True: 200, False: 1_000}
DEPTHS = (0.1, 0.5, 0.9)
# Lists that are walked: the query string, and which logs are in it.
WALKS = {
    "default sort": ("", "1 = 1"),
    "sort=machine": ("sort=machine", "1 = 1"),
    "sort=type": ("sort=type", "1 = 1"),
    "type=error": ("type=error", "+logs.type = 'error'"),
    "one machine": ("machine={machine}", "machines.name = '{machine}'"),
}

Run = Callable[[Statement, list[Any]], Any]


def measure(options: Options) -> dict[str, Any]:
    """By kind of question, and for cursors at any depth: milliseconds in SQLite."""
    path = build.sqlite_file(options, options.rows)
    questions = Questions(path)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA query_only=ON")
        run = _Watched(connection)
        found = {
            case: ask(SQLITE, run, questions.query_strings(case, COUNT[options.glance]), options) for case in CASES
        }
        found["walks"] = walks(connection, run, questions, options)
        run.over.set()
        return found


def ask(engine: Engine, run: Run, query_strings: Sequence[str], options: Options) -> dict[str, Any]:
    """The percentiles of these questions, each asked once after a few that warm."""
    prepared = [prepare(engine, query(text)) for text in query_strings]
    return _percentiles(run, prepared, PATIENCE[options.glance])


def query(text: str, cursor: str | None = None) -> ListQuery:
    """A list of logs as the API would read it."""
    pairs = parse_qsl(text) + ([("cursor", cursor)] if cursor else [])
    return parser.read_list(LOGS, pairs, TimeContext(ZoneInfo("UTC"), instants.now()), fingerprint_scope="/logs")


def prepare(engine: Engine, asked: ListQuery) -> tuple[Statement, list[Any]]:
    """The statement that the product would run, with its values bound."""
    statement, values = lists.compile_list(engine, asked)
    return statement, statement.bind(values)


def walks(connection: sqlite3.Connection, run: Run, questions: Questions, options: Options) -> dict[str, Any]:
    """By list: its first page, a page at each depth, and pages anywhere.

    The first and those at a depth are asked again and again, so that all of them are warm; those anywhere once each.
    """
    found, machine = {}, data.machine_names()[0]
    for name, (template, condition) in WALKS.items():
        text = template.replace("{machine}", machine.replace(" ", "+"))
        first = query(text)
        places = _places(connection, questions, condition.replace("{machine}", machine), COUNT[options.glance] // 5)
        # One that was followed so far would be the same; it is made of the record, since the way there is long.
        made = sorted(tuple(place[field] for field, _ in first.order) for place in places)
        pages_after = [
            prepare(SQLITE, query(text, cursors.encode(Cursor(first.fingerprint, values)))) for values in made
        ]
        at = {f"{depth:.0%}": [pages_after[int(len(made) * depth)]] * len(made) for depth in DEPTHS}
        asked = {"first": [prepare(SQLITE, first)] * len(made), **at, "any": pages_after}
        patience = PATIENCE[options.glance] / len(asked)
        found[name] = {where: _percentiles(run, prepared, patience) for where, prepared in asked.items()}
    return found


def _places(connection: sqlite3.Connection, questions: Questions, condition: str, count: int) -> Iterator[dict]:
    """Records picked at random among those of a list, by what they are sorted by."""
    query = f"""SELECT machines.name AS machine, logs.type, logs.started_at || 'Z' AS started_at, logs.id
        FROM logs CROSS JOIN machines ON machines.id = logs.machine_id
        WHERE logs.id >= ? AND {condition} ORDER BY logs.id LIMIT 1"""
    for _ in range(count):
        cursor = connection.execute(query, (questions.rng.randint(1, questions.last),))
        row = cursor.fetchone()
        if row is not None:
            yield dict(zip([column[0] for column in cursor.description], row, strict=True))


def _percentiles(run: Run, prepared: Sequence[tuple[Statement, list[Any]]], patience: float) -> dict[str, Any]:
    """Milliseconds of each, without those that only warm; stops when patience is over."""
    end = time.perf_counter() + patience
    for statement, values in prepared[: len(prepared) // 10]:
        if time.perf_counter() < end - patience / 2:
            run(statement, values)
    seconds = []
    for statement, values in prepared:
        start = time.perf_counter()
        if start > end and seconds:
            break
        run(statement, values)
        seconds.append(time.perf_counter() - start)
    return percentiles(seconds) | {"asked": len(prepared)}


class _Watched:
    """Runs statements on SQLite; a thread stops one that takes longer than the product lets it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.began: float | None = None
        self.over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def __call__(self, statement: Statement, values: list[Any]) -> None:
        """Run one to its last row, or until it is stopped: then it counts as the time that it had."""
        self.began = time.perf_counter()
        with suppress(sqlite3.OperationalError):
            self.connection.execute(statement.sql, values).fetchall()
        self.began = None

    def _watch(self) -> None:
        while not self.over.wait(0.25):
            began = self.began
            if began is not None and time.perf_counter() - began > TIMEOUT:
                self.connection.interrupt()
