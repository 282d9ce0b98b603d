"""The table of figures that `make proof` ends with: what was done to the service, how often, and what was seen.

A test of the proof is marked with its fault, `pytest.mark.proof("kill -9 ...")`, and tells `figure` what it counted.
Tests that are marked alike are one row for each engine.
"""

from typing import Any

import pytest

ENGINES = ("sqlite", "postgresql")
FAULT, FIGURE = "fault", "figure"
HEAD = ("fault", "engine", "times", "what was seen", "held")
LONG_SECONDS = 3_600
Rows = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def figure(request):
    """Tells the table how often a test made its fault, and what it saw: numbers, which are added up, or words."""
    row: dict[str, Any] = {}
    request.node.user_properties.append((FIGURE, row))
    return lambda times, **seen: _add(row, {"times": times, **seen})


def label(config, items):
    """Note which fault a test of the proof makes, and on which engine."""
    for item in items:
        if marker := item.get_closest_marker("proof"):
            parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
            engine = next((value for value in parameters if value in ENGINES), "")
            item.user_properties.append((FAULT, (marker.args[0], engine)))
            if config.getoption("--long"):
                item.add_marker(pytest.mark.timeout(LONG_SECONDS), append=False)


def table(stats: dict[str, list[Any]]) -> list[str]:
    """The lines of the table: a row for each fault that was made, also for one whose test failed."""
    rows: Rows = {}
    for outcome, held in (("passed", "yes"), ("failed", "NO"), ("error", "NO"), ("skipped", "not tried")):
        for report in stats.get(outcome, []):
            # What could not be collected has none.
            told = dict(getattr(report, "user_properties", ()))
            if FAULT in told:
                row = rows.setdefault(tuple(told[FAULT]), {"times": 0, "held": held})
                row["held"] = held if held != "yes" else row["held"]
                _add(row, told.get(FIGURE, {}))
    lines = [HEAD, *(_cells(*found) for found in sorted(rows.items()))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [" | ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines]
    return ["", shown[0], "-+-".join("-" * width for width in widths), *shown[1:]]


def _add(row: dict[str, Any], told: dict[str, Any]) -> None:
    for name, value in told.items():
        before = row.get(name)
        together = f"{before}, {value}" if isinstance(value, str) else (before or 0) + value
        row[name] = value if before is None else together


def _cells(key: tuple[str, str], row: dict[str, Any]) -> tuple[str, ...]:
    times, held, seen = row.pop("times"), row.pop("held"), row
    words = ", ".join(
        f"{value:,} {name.replace('_', ' ')}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"
        for name, value in seen.items()
    )
    return (*key, f"{times:,}", words, held)
