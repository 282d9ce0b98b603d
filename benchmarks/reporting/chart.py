"""The chart: latency over the number of rows, as an SVG with two panels and logarithmic axes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Any

from benchmarks.reporting.report_rows import CASE_TITLES, SERVERS

Points = list[tuple[float, float]]
COLOURS = ("#1b6ca8", "#2e8540", "#c05621", "#6b46c1", "#b83280", "#4a5568", "#975a16")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 600, 360, 60, 200, 40, 46


@dataclass(frozen=True)
class Panel:
    """One diagram: its title, and its lines by name."""

    title: str
    lines: Mapping[str, Points]


def draw_chart(results: Sequence[Mapping[str, Any]]) -> str:
    """Draw two panels: all servers over HTTP, and the product's queries in the database."""

    def collect(name: str, value: Callable[[Any], float]) -> Points:
        measured = [
            (result["rows"], result["sections"][name]["found"]) for result in results if name in result["sections"]
        ]
        points = [(rows, value(section)) for rows, section in measured]
        return [(rows, latency) for rows, latency in points if latency]

    pages = {
        server: collect("reads", lambda section, server=server: _p99(section["page"]["alone"].get(server)))
        for server in SERVERS
    }
    cases = {
        label.replace("`", ""): collect("statements", lambda section, case=case: _p99(section[case]))
        for case, label in CASE_TITLES.items()
    }
    cases["at any cursor"] = collect("statements", lambda section: _p99(section["walks"]["default sort"]["any"]))
    panels = [
        Panel("page of 50 newest over HTTP, one client, p99 in ms", pages),
        Panel("product, in SQLite, p99 in ms", cases),
    ]
    parts = "".join(f'<g transform="translate({i * WIDTH},0)">{_panel(panel)}</g>' for i, panel in enumerate(panels))
    size = f'width="{len(panels) * WIDTH}" height="{HEIGHT}" viewBox="0 0 {len(panels) * WIDTH} {HEIGHT}"'
    style = '<rect width="100%" height="100%" fill="#fff"/>'
    font = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{style}{parts}</svg>\n'


def _p99(latency: Mapping[str, float] | None) -> float:
    return latency["p99_ms"] if latency else 0


def _panel(panel: Panel) -> str:
    lines = {name: points for name, points in panel.lines.items() if points}
    xs = [log10(x) for points in lines.values() for x, _ in points]
    ys = [log10(y) for points in lines.values() for _, y in points]
    x_of = _scale(floor(min(xs)), max(ceil(max(xs)), floor(min(xs)) + 1), LEFT, WIDTH - RIGHT)
    y_of = _scale(floor(min(ys)), max(ceil(max(ys)), floor(min(ys)) + 1), HEIGHT - BOTTOM, TOP)
    parts = [f'<text x="{LEFT}" y="20" font-weight="bold">{escape(panel.title)}</text>']
    for power in range(floor(min(xs)), ceil(max(xs)) + 1):
        x = x_of(power)
        parts.append(f'<path d="M{x:.0f},{TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>')
    for power in range(floor(min(ys)), ceil(max(ys)) + 1):
        y = y_of(power)
        parts.append(f'<path d="M{LEFT},{y:.0f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">logs in the file</text>')
    positions = _without_overlaps([y_of(log10(points[-1][1])) for points in lines.values()])
    for (name, points), colour, position in zip(lines.items(), COLOURS, positions, strict=False):
        dots = [(f"{x_of(log10(x)):.1f}", f"{y_of(log10(y)):.1f}") for x, y in points]
        path = " ".join(f"{x},{y}" for x, y in dots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in dots]
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{position + 4:.0f}" fill="{colour}">{escape(name)}</text>')
    return "".join(parts)


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _without_overlaps(positions: Sequence[float], least: float = 15) -> list[float]:
    """Return the positions of labels, moved down where two would overlap."""
    moved, last = list(positions), -1000.0
    for index in sorted(range(len(positions)), key=positions.__getitem__):
        last = moved[index] = max(positions[index], last + least)
    return moved
