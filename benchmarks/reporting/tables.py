"""The report: the table of all figures in Markdown, and the README's part between its marks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.options import HERE
from benchmarks.reporting import chart
from benchmarks.reporting.figures import SERVERS, Figure, figures

README = HERE / "README.md"
PICTURE = HERE / "latency.svg"
MARKS = ("<!-- run -->", "<!-- end of run -->")


def table(known: Mapping[str, Any]) -> str:
    """All figures of one number of rows."""
    rows = list(figures(known["sections"]))
    shown = [name for name in SERVERS if any(name in row.cells for row in rows)]
    head = ["what", *shown, "seen", "wanted", "met"]
    lines = [head, ["---"] * len(head), *[_row(row, shown) for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def about(known: Mapping[str, Any]) -> str:
    """Where and when the figures were seen, on one machine or on several, and how far rounds differ."""
    sections = sorted(known["sections"].items(), key=lambda item: item[1]["at"])
    machines = [_place(part["machine"]) for _, part in sections]
    lines = []
    for place in dict.fromkeys(machines):
        seen = {name: part for (name, part), machine in zip(sections, machines, strict=True) if machine == place}
        named = "" if len(seen) == len(sections) else f"{', '.join(seen)}: "
        lines.append(f"{named}{place} {_time(list(seen.values()))}")
    if spreads := list(_spreads(known)):
        lines.append(
            f"Between its rounds a server's processor time differed by {median(spreads):.0%} of the median in the "
            f"middle, by {max(spreads):.0%} at most."
        )
    return "\n\n".join([f"{known['rows']:,} logs. {lines[0]}", *lines[1:]])


def _place(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"Python {machine['python']}, SQLite {machine['sqlite']}, {packages}."
    )


def _time(parts: Sequence[Mapping[str, Any]]) -> str:
    days = sorted({part["at"][:10] for part in parts})
    commits = ", ".join(dict.fromkeys(str(part["commit"]) for part in parts))
    return (
        f"{' to '.join(dict.fromkeys((days[0], days[-1])))}, commit {commits}; "
        f"the load average before the run was {max(part['load_before'] for part in parts):.2f}."
    )


def write(results: Sequence[Mapping[str, Any]]) -> None:
    """Put the largest run's table and the picture of all runs into the README."""
    if len(results) > 1:
        PICTURE.write_text(chart.picture(results))
    largest = results[-1]
    picture = f"![latency over rows]({PICTURE.name})\n\n" if len(results) > 1 else ""
    part = f"{MARKS[0]}\n\n{about(largest)}\n\n{table(largest)}\n\n{picture}{MARKS[1]}"
    pattern = re.compile(f"{MARKS[0]}.*{MARKS[1]}", re.DOTALL)
    README.write_text(pattern.sub(lambda _: part, README.read_text()))


def _row(figure: Figure, shown: Sequence[str]) -> list[str]:
    cells = [figure.cells.get(name, "") for name in shown]
    seen = figure.note or "; ".join(goal.shown for goal in figure.goals)
    wanted = "; ".join(goal.wanted for goal in figure.goals)
    met = "; ".join("yes" if goal.met else "**no**" for goal in figure.goals)
    return [figure.what, *cells, seen, wanted, met]


def _spreads(known: Mapping[str, Any]) -> Iterator[float]:
    for kinds in known["sections"].get("reads", {"found": {}})["found"].values():
        for servers in kinds.values():
            for seen in servers.values():
                yield (seen["cpu_us_high"] - seen["cpu_us_low"]) / seen["cpu_us"]
