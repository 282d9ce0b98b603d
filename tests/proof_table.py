"""The table that `make proof` prints at the end: each fault or attack, how often it was made, and its results.

A test declares its fault with a marker, `pytest.mark.proof("kill -9 ...")`, and reports its results with the fixture
`record_counts`. Tests with the same fault share a row for each engine.
"""

from typing import Any

import pytest

ENGINES = ("sqlite", "postgresql")
FAULT, COUNTS = "fault", "counts"
HEADER = ("fault", "engine", "times", "results", "passed")
LONG_SECONDS = 3_600
Rows = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def record_counts(request):
    """Records how often a test made its fault, and its results. Numbers of the same name are added, texts joined."""
    row: dict[str, Any] = {}
    request.node.user_properties.append((COUNTS, row))
    return lambda times, **counts: _add(row, {"times": times, **counts})


@pytest.fixture(scope="session")
def extent(pytestconfig):
    """A function that selects the short variant of a duration or a number in `make test`, the long in `make proof`.

    A time limit is generous in `make test`, which also runs on busy machines, and exact in `make proof`.
    """
    is_long = pytestconfig.getoption("--long")
    return lambda short, long: long if is_long else short


def label(config, items):
    """Attach the fault and the engine of each proof test to its report."""
    for item in items:
        if marker := item.get_closest_marker("proof"):
            parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
            engine = next((value for value in parameters if value in ENGINES), "")
            item.user_properties.append((FAULT, (marker.args[0], engine)))
            if config.getoption("--long"):
                item.add_marker(pytest.mark.timeout(LONG_SECONDS), append=False)


def table(stats: dict[str, list[Any]]) -> list[str]:
    """Return the lines of the table. A fault has a row even if its test failed or was skipped."""
    rows: Rows = {}
    for outcome, passed in (("passed", "yes"), ("failed", "NO"), ("error", "NO"), ("skipped", "skipped")):
        for report in stats.get(outcome, []):
            # The report of a collection error has no properties.
            properties = dict(getattr(report, "user_properties", ()))
            if FAULT in properties:
                row = rows.setdefault(tuple(properties[FAULT]), {"times": 0, "passed": passed})
                row["passed"] = passed if passed != "yes" else row["passed"]
                _add(row, properties.get(COUNTS, {}))
    lines = [HEADER, *(_cells(*found) for found in sorted(rows.items()))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [" | ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines]
    return ["", shown[0], "-+-".join("-" * width for width in widths), *shown[1:]]


def _add(row: dict[str, Any], counts: dict[str, Any]) -> None:
    for name, value in counts.items():
        before = row.get(name)
        together = f"{before}, {value}" if isinstance(value, str) else (before or 0) + value
        row[name] = value if before is None else together


def _cells(key: tuple[str, str], row: dict[str, Any]) -> tuple[str, ...]:
    times, passed, counts = row.pop("times"), row.pop("passed"), row
    words = ", ".join(
        f"{value:,} {name.replace('_', ' ')}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"
        for name, value in counts.items()
    )
    return (*key, f"{times:,}", words, passed)
