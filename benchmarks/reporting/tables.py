"""The report as a Markdown table, and the section of the README between two marks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from textwrap import fill
from typing import Any

from benchmarks.options import HERE
from benchmarks.reporting import chart
from benchmarks.reporting.report_rows import SERVERS, ReportRow, report_rows

README = HERE / "README.md"
CHART = HERE / "latency.svg"
PROSE_WIDTH = 100
MARKS = ("<!-- run -->", "<!-- end of run -->")


def table(report: Mapping[str, Any]) -> str:
    """Return the table of all results for one number of rows."""
    rows = list(report_rows(report["sections"]))
    servers = [name for name in SERVERS if any(name in row.cells for row in rows)]
    head = ["measurement", *servers, "result", "goal", "met"]
    lines = [head, ["---"] * len(head), *[_row(row, servers) for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def environment(report: Mapping[str, Any]) -> str:
    """Describe on which machines and when the sections were measured, and how much the rounds differ."""
    sections = sorted(report["sections"].items(), key=lambda item: item[1]["at"])
    machines = [_describe_machine(part["machine"]) for _, part in sections]
    lines = []
    for description in dict.fromkeys(machines):
        parts = {name: part for (name, part), machine in zip(sections, machines, strict=True) if machine == description}
        names = "" if len(parts) == len(sections) else f"{', '.join(parts)}: "
        lines.append(f"{names}{description} {_describe_runs(list(parts.values()))}")
    if spreads := list(_spreads(report)):
        lines.append(
            f"Between rounds, the processor time of a server varied by {median(spreads):.0%} of its median "
            f"in the typical case, and by {max(spreads):.0%} at most."
        )
    return "\n\n".join([f"{report['rows']:,} logs. {lines[0]}", *lines[1:]])


def _describe_machine(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"Python {machine['python']}, SQLite {machine['sqlite']}, {packages}."
    )


def _describe_runs(parts: Sequence[Mapping[str, Any]]) -> str:
    days = sorted({part["at"][:10] for part in parts})
    commits = ", ".join(dict.fromkeys(str(part["commit"]) for part in parts))
    return (
        f"{' to '.join(dict.fromkeys((days[0], days[-1])))}, commit {commits}; "
        f"the load average before the run was {max(part['load_before'] for part in parts):.2f}."
    )


def write(results: Sequence[Mapping[str, Any]]) -> None:
    """Write the table of the largest run, and the chart of all runs, to the README."""
    if len(results) > 1:
        CHART.write_text(chart.draw_chart(results))
    largest = results[-1]
    picture = f"![latency over rows]({CHART.name})\n\n" if len(results) > 1 else ""
    prose = "\n\n".join(fill(paragraph, PROSE_WIDTH) for paragraph in environment(largest).split("\n\n"))
    part = f"{MARKS[0]}\n\n{prose}\n\n{table(largest)}\n\n{picture}{MARKS[1]}"
    pattern = re.compile(f"{MARKS[0]}.*{MARKS[1]}", re.DOTALL)
    README.write_text(pattern.sub(lambda _: part, README.read_text()))


def _row(row: ReportRow, servers: Sequence[str]) -> list[str]:
    cells = [row.cells.get(name, "") for name in servers]
    measured = row.note or "; ".join(goal.measured_text for goal in row.goals)
    bounds = "; ".join(goal.bound_text for goal in row.goals)
    verdicts = "; ".join("yes" if goal.is_met else "**no**" for goal in row.goals)
    return [row.title, *cells, measured, bounds, verdicts]


def _spreads(report: Mapping[str, Any]) -> Iterator[float]:
    for kinds in report["sections"].get("reads", {"found": {}})["found"].values():
        for servers in kinds.values():
            for measured in servers.values():
                yield (measured["cpu_us_high"] - measured["cpu_us_low"]) / measured["cpu_us"]
