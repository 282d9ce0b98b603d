"""The table of results that `make proof` prints."""

from types import SimpleNamespace

from proof_table import COUNTS, FAULT, table


def report(fault, engine, **counts):
    return SimpleNamespace(user_properties=[(FAULT, (fault, engine)), *([(COUNTS, counts)] if counts else [])])


def test_table_has_one_row_per_fault_and_engine_and_shows_failures():
    passed = [
        report("kill -9", "sqlite", times=2, lost=0, p95="7 ms"),
        report("kill -9", "sqlite", times=1_000, lost=1, p95="9 ms"),
        report("kill -9", "postgresql", times=1),
        report("full", ""),
        SimpleNamespace(user_properties=[]),
    ]
    uncollected = SimpleNamespace()
    failed, skipped = report("kill -9", "postgresql"), report("locked", "")
    lines = table({"passed": passed, "error": [uncollected], "failed": [failed], "skipped": [skipped]})
    rows = [tuple(cell.strip() for cell in line.split("|")) for line in lines if "|" in line]
    assert rows == [
        ("fault", "engine", "times", "results", "passed"),
        ("full", "", "0", "", "yes"),
        ("kill -9", "postgresql", "1", "", "NO"),
        ("kill -9", "sqlite", "1,002", "1 lost, p95 7 ms, 9 ms", "yes"),
        ("locked", "", "0", "", "skipped"),
    ]
