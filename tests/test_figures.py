from types import SimpleNamespace

from figures import FAULT, FIGURE, table


def report(fault, engine, **seen):
    return SimpleNamespace(user_properties=[(FAULT, (fault, engine)), *([(FIGURE, seen)] if seen else [])])


def test_a_fault_is_a_row_for_each_engine_and_a_failure_shows():
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
        ("fault", "engine", "times", "what was seen", "held"),
        ("full", "", "0", "", "yes"),
        ("kill -9", "postgresql", "1", "", "NO"),
        ("kill -9", "sqlite", "1,002", "1 lost, p95 7 ms, 9 ms", "yes"),
        ("locked", "", "0", "", "not tried"),
    ]
