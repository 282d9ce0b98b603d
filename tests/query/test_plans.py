"""Query plans: at a million logs, each common query uses the expected index, on both engines."""

import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import SQLITE
from machine_monitor.models import LOGS
from machine_monitor.query import lists
from machine_monitor.query.language import cursors, parser
from machine_monitor.query.language.cursors import Cursor
from machine_monitor.query.language.times import TimeContext

pytestmark = [pytest.mark.plans, pytest.mark.timeout(600)]

ROWS = 1_000_000
TIME, MACHINE, TYPE = "started_at_id", "machine_id_started_at_id", "type_started_at_id"
MACHINE_TYPE, USER, STATUS, PROJECT = (
    "machine_id_type_started_at_id",
    "user_started_at_id",
    "status_started_at_id",
    "project_started_at_id",
)
RANGE = "started_at__gte=2015-01-01&started_at__lt=2016-01-01"
# A query, and the index of logs that it must use.
QUERIES = {
    "": TIME,
    "sort=started_at": TIME,
    "limit=500&expand=machine,type,user": TIME,
    "offset=200": TIME,
    RANGE: TIME,
    "started_at=2015-05-05": TIME,
    "severity=info": TIME,
    "machine=Machine 7": MACHINE,
    "machine.id=7": MACHINE,
    "machine.name=Machine 7": MACHINE,
    f"machine=Machine 7&{RANGE}": MACHINE,
    "machine=Machine 7&sort=started_at": MACHINE,
    "type=error": TYPE,
    "type.code=error": TYPE,
    f"type=error&{RANGE}": TYPE,
    "machine=Machine 7&type=error": MACHINE_TYPE,
    f"machine=Machine 7&type=error&{RANGE}": MACHINE_TYPE,
    "user=U3": USER,
    "user.trigram=U3": USER,
    "status=open": STATUS,
    "project=P77": PROJECT,
    "project=P77&type=error": PROJECT,
    "machine.sector=S3": TIME,
    "type=error&type=info": TIME,
    "sort=type": TYPE,
    "uuid=00000007-0000-4000-8000-000000000000": "uq_logs_uuid",
}
# Queries with several values or a related field merge two access paths; the others select the rows of a page first.
SORTED = {
    "machine.sector=S3",
    "type=error&type=info",
    "sort=type",
    "uuid=00000007-0000-4000-8000-000000000000",
}
PAGED = ("", "sort=started_at", "machine=Machine 7", "type=error", "machine=Machine 7&type=error", "user=U3")
TABLES = {
    "users": "(id, trigram, trigram_key, role, active, version, created_at, updated_at) "
    "SELECT n, 'U' || n, 'u' || n, 1, true, 1, {now}, {now} FROM {series} WHERE n <= 30",
    "machines": "(id, name, name_key, sector, listed, attributes, version, created_at, updated_at) "
    "SELECT n, 'Machine ' || n, 'machine ' || n, 'S' || n % 12, true, '{{}}', 1, {now}, {now} "
    "FROM {series} WHERE n <= 500",
    "logs": '(id, uuid, machine_id, type, severity, status, project, "user", started_at, attributes, version, '
    "created_at, updated_at) SELECT n, {uuid}, 1 + n * 7919 % 500, CASE n % 10 WHEN 0 THEN 'error' WHEN 1 THEN 'info' "
    "ELSE 'maintenance' END, n % 4, CASE n % 100 WHEN 0 THEN 'open' ELSE 'done' END, CASE n % 3 WHEN 0 THEN 'P' || "
    "n % 50021 END, 'U' || (1 + n % 30), {at}, '{{}}', 1, {now}, {now} FROM {series} WHERE n <= {rows}",
}
SQLITE_TEXTS = {
    "series": f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ROWS}) SELECT n FROM s)",
    "now": "'2025-01-01T00:00:00'",
    "at": "strftime('%Y-%m-%dT%H:%M:%S', 1104537600 + n * 2654435761 % 630720000, 'unixepoch')",
    "uuid": "printf('%08x-0000-4000-8000-000000000000', n)",
    "rows": ROWS,
}
POSTGRESQL_TEXTS = {
    "series": f"(SELECT n::bigint FROM generate_series(1, {ROWS}) n) s",
    "now": "timestamptz '2025-01-01T00:00:00Z'",
    "at": "to_timestamp(1104537600 + n * 2654435761 % 630720000)",
    "uuid": "(lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000')::uuid",
    "rows": ROWS,
}
# The word `w0` occurs in 40 % of the logs, each `r...` in about 20 logs.
VECTORS = """INSERT INTO logs_search SELECT n, array_to_tsvector(array_remove(ARRAY[
'a', 'r' || n % 50021, 'w' || n % 977, CASE WHEN n % 5 < 2 THEN 'w0' END], NULL)) FROM generate_series(1, {}) n"""


@pytest.fixture
def filled(database_url):
    """A database with a million logs, and planner statistics as after a large import."""
    database = Database(database_url)
    database.transact(_fill)
    database.analyze("logs")
    yield database
    database.close_writer()


def _fill(tx) -> None:
    lite = tx.engine is SQLITE
    index_query = "SELECT sql, name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'logs' AND sql IS NOT NULL"
    if not lite:
        index_query = "SELECT indexdef, indexname FROM pg_indexes WHERE tablename = 'logs' AND indexname LIKE 'ix%'"
    tx.cursor.execute(index_query)
    indexes = tx.cursor.fetchall()
    # Create indexes at the end: sorting once is faster than a million index insertions.
    for _, name in indexes:
        tx.cursor.execute(f"DROP INDEX {name}")
    if not lite:
        # The generated rows are consistent, so skip three million foreign key checks.
        tx.cursor.execute("SET LOCAL session_replication_role = replica")
        tx.cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
    for table, text in TABLES.items():
        tx.cursor.execute(f"INSERT INTO {table} " + text.format(**(SQLITE_TEXTS if lite else POSTGRESQL_TEXTS)))
    for definition, _ in indexes:
        tx.cursor.execute(definition)
    if not lite:
        tx.cursor.execute("DROP INDEX ix_logs_search_words")
        tx.cursor.execute(VECTORS.format(ROWS))
        tx.cursor.execute("CREATE INDEX ix_logs_search_words ON logs_search USING gin (words) WITH (fastupdate = off)")


def _list_query(text: str, cursor: str | None = None):
    pairs = parser.parse_query_string(text.replace(" ", "+").encode()) + ([("cursor", cursor)] if cursor else [])
    return parser.parse_list_query(LOGS, pairs, TimeContext(ZoneInfo("UTC"), datetime.now(UTC)))


def _query_after_cursor(text: str):
    """Return the query of a page in the middle of the list."""
    first = _list_query(text)
    return _list_query(text, cursors.encode(Cursor(first.fingerprint, ("2015-06-01T00:00:00Z", 500_000))))


def _plan(tx, query) -> str:
    statement, values = lists.compile_list(tx.engine, query)
    explain = "EXPLAIN QUERY PLAN " if tx.engine is SQLITE else "EXPLAIN (FORMAT JSON) "
    tx.cursor.execute(explain + statement.sql, statement.bind(values))
    rows = tx.cursor.fetchall()
    return "\n".join(row[3] for row in rows) if tx.engine is SQLITE else json.dumps(rows[0][0])


def _indexes(plan: str) -> set[str]:
    """Return the indexes of logs in a plan; `scan` stands for a full table scan."""
    indexes = re.findall(r"\bix_logs_(\w+)|\b(uq_logs_uuid)|(sqlite_autoindex_logs_1)", plan)
    names = {a or b or ("uq_logs_uuid" if c else "") for a, b, c in indexes}
    scanned = re.search(r'SCAN logs(?! USING)|"Seq Scan", [^{}]*"Relation Name": "logs"', plan)
    return names | ({"scan"} if scanned else set())


def test_lists_use_the_expected_index(filled):
    def wrong(tx):
        queries = {text: (_list_query(text), index) for text, index in QUERIES.items()}
        queries |= {f"{text} (paged)": (_query_after_cursor(text), QUERIES[text]) for text in PAGED}
        used = {text: (_indexes(_plan(tx, query)), index) for text, (query, index) in queries.items()}
        return {
            text: (sorted(read), index) for text, (read, index) in used.items() if index not in read or "scan" in read
        }

    assert filled.snapshot(wrong) == {}
    if filled.engine is SQLITE:
        assert filled.snapshot(_sorts) == []
    else:
        assert filled.snapshot(_words) == {}


def _sorts(tx) -> list[str]:
    """Return the queries that SQLite sorts although an index has the right order."""
    return [text for text in {*QUERIES} - SORTED if "TEMP B-TREE" in _plan(tx, _list_query(text))]


def _words(tx) -> dict[str, list[str]]:
    """Return searches with the wrong plan: PostgreSQL should find common words by time, rare ones by the word index."""
    expected = {"q=w0": TIME, "q=r77": "search_words", "q=w0 r77": "search_words", "q=-w0": TIME}
    used = {text: _indexes(_plan(tx, _list_query(text))) for text in expected}
    return {text: sorted(read) for text, read in used.items() if expected[text] not in read}
