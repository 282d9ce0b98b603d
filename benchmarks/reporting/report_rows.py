"""The rows of the report: each measurement with its goal and whether the goal is met."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sections.writes import KEYED
from benchmarks.targets import DATASETTE, DRF, LIMIT, LITESTAR, NAIVE, PRODUCT

SERVERS = (PRODUCT, LIMIT, NAIVE, LITESTAR, DATASETTE, DRF)
OF_LIMIT, TIMES = "{:.2f} of the limit", "{:.1f} x {}"


@dataclass(frozen=True)
class Goal:
    """A measured value and its goal, as numbers and as texts; the bound is a lower one unless `is_upper_bound`."""

    measured: float
    measured_text: str
    bound: float
    bound_text: str
    is_upper_bound: bool = False

    @property
    def met(self) -> bool:
        """Whether the measured value is within the bound."""
        return self.measured <= self.bound if self.is_upper_bound else self.measured >= self.bound


@dataclass(frozen=True)
class ReportRow:
    """A row of the report: a cell for each server, and the goals; or a `note` why there is no measurement."""

    title: str
    cells: Mapping[str, str] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    note: str = ""


def report_rows(sections: Mapping[str, Any]) -> Iterator[ReportRow]:
    """Generate the rows of all measured sections."""
    for name, rows in ROWS.items():
        if name in sections:
            yield from rows(sections[name]["found"])


def _reads(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    for kind, (what, bounds) in READS.items():
        for clients, also in CLIENTS.items():
            yield _requests(f"{what}{also}", found[kind][clients], bounds)


def _requests(title: str, seen: Mapping[str, Any], bounds: Mapping[str, float]) -> ReportRow:
    """Return the row of one kind of request; its goals are ratios of processor time to the product."""
    cells = {name: _request_cell(each) for name, each in seen.items()}
    ours, goals = seen[PRODUCT]["cpu_us"], []
    for name, bound in bounds.items():
        if name not in seen:
            continue
        ratio = seen[name]["cpu_us"] / ours
        shown, wanted = (OF_LIMIT, "{:.2f}") if name == LIMIT else (TIMES, "{:g} x")
        goals.append(Goal(ratio, shown.format(ratio, name), bound, wanted.format(bound)))
    return ReportRow(title, cells, tuple(goals))


def _request_cell(seen: Mapping[str, Any]) -> str:
    failed = f", {seen['failed']} failed" if seen["failed"] else ""
    return f"{seen['cpu_us']:,.0f} µs, {seen['per_second']:,.0f}/s, {_latency(seen)}{failed}"


def _latency(seen: Mapping[str, Any]) -> str:
    return f"{seen['p50_ms']:.2f} / {seen['p99_ms']:.2f} ms"


def _statements(found: Mapping[str, Any], bounds: Mapping[str, float], where: str = "") -> Iterator[ReportRow]:
    for case, bound in bounds.items():
        seen = found[case]
        left = "" if seen["count"] == seen["asked"] else f" ({seen['count']} of {seen['asked']} in time)"
        goals = (
            (Goal(seen["p99_ms"], f"p99 {seen['p99_ms']:.2f} ms", bound, f"< {bound:g} ms", is_upper_bound=True),)
            if bound
            else ()
        )
        yield ReportRow(f"in the database{where}: {CASES[case]}", {PRODUCT: _latency(seen) + left}, goals)


def _sqlite_statements(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    yield from _statements(found, {"newest": 0, "filtered": 2, "sector": 3, "q_one": 10, "q_two": 20, "q_machine": 10})
    for name, seen in found["walks"].items():
        first, deep = seen["first"]["p50_ms"], max(seen[depth]["p50_ms"] for depth in ("10%", "50%", "90%"))
        cell = f"{deep:.2f} ms, page one {first:.2f} ms; anywhere {_latency(seen['any'])}"
        goal = Goal(deep / first, f"{deep / first:.2f} x page one", 1.2, "1.2 x", is_upper_bound=True)
        yield ReportRow(f"in the database: a page by cursor, {name}", {PRODUCT: cell}, (goal,))


def _aggregates(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    for kind, (what, bound) in AGGREGATES.items():
        seen = found[kind]
        if "missing" in seen:
            yield ReportRow(what, note=seen["missing"])
            continue
        goals = (
            (Goal(seen["p99_ms"], f"p99 {seen['p99_ms']:.1f} ms", bound, f"< {bound:g} ms", is_upper_bound=True),)
            if bound
            else ()
        )
        yield ReportRow(what, {PRODUCT: _request_cell(seen)}, goals)


def _writes(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    theirs = found[NAIVE]
    for name, what, wanted in ((PRODUCT, "durable POST", 5), (KEYED, "POST with an `Idempotency-Key`", 4)):
        ours = found[name]
        ratio = ours["per_second"] / theirs["per_second"]
        goals = (
            Goal(ratio, f"{ratio:.1f} x naive in logs/s", wanted, f"{wanted} x"),
            Goal(ours["p99_ms"], f"p99 {ours['p99_ms']:.0f} ms", 160, "< 160 ms", is_upper_bound=True),
        )
        cells = {PRODUCT: _request_cell(ours), NAIVE: _request_cell(theirs)}
        yield ReportRow(f"{what}, 16 clients, into {found['rows']:,} rows", cells, goals)


IMPORTS = {
    "bulk": "POST /logs/bulk, 1,000 items per call",
    "bulk_old": "POST /logs/bulk with logs from twenty years",
    "sync": "`mm sync` of a legacy folder of twenty years",
}


def _imports(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    for kind, what in IMPORTS.items():
        seen, named = found[kind], f"{what}, into {found['rows']:,} rows"
        if "missing" in seen:
            yield ReportRow(named, note=seen["missing"])
            continue
        goal = Goal(seen["per_second"], f"{seen['per_second']:,.0f} rows/s", 5_000, "5,000 rows/s")
        yield ReportRow(named, {PRODUCT: f"{seen['cpu_us']:,.0f} µs per row"}, (goal,))


def _exports(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    if "missing" in found:
        yield ReportRow("GET /logs.ndjson", note=found["missing"])
        return
    speed, grown = found["per_second"], found["grown_mb"]
    goals = (
        Goal(speed, f"{speed:,.0f} rows/s", 70_000, "70,000 rows/s"),
        Goal(grown, f"+{grown:.0f} MB", 20, "< 20 MB", is_upper_bound=True),
    )
    yield ReportRow(f"GET /logs.ndjson, {found['rows']:,} rows", {PRODUCT: f"{found['cpu_us']:.1f} µs per row"}, goals)


def _idle(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    memory, seconds = found["resident_mb"], found["seconds_to_answer"]
    goals = (
        Goal(memory, f"{memory:.0f} MB", 90, "< 90 MB", is_upper_bound=True),
        Goal(seconds, f"{seconds:.1f} s", 2, "< 2 s", is_upper_bound=True),
    )
    yield ReportRow("idle memory, time to the first response", {}, goals)


def _postgres(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    where = f" on PostgreSQL, {found['rows']:,} rows"
    for kind, (what, _) in READS.items():
        for clients, also in CLIENTS.items():
            seen = found["reads"][kind][clients]
            row = _requests(f"{what}{where}{also}", seen, {NAIVE: 8} if kind == "page" else {})
            ratio = seen[PRODUCT]["per_second"] / seen[LIMIT]["per_second"]
            goal = Goal(ratio, f"{ratio:.2f} of SQLite's limit in requests/s", 0.6, "0.60")
            yield ReportRow(row.title, row.cells, (goal, *row.goals) if kind == "page" else ())
    bounds = {"newest": 0, "filtered": 0, "sector": 0, "q_one": 100, "q_two": 100, "q_machine": 100}
    yield from _statements(found["statements"], bounds, where)


def _browser(found: Mapping[str, Any]) -> Iterator[ReportRow]:
    first, keys, memory = found["first_ms"], found["keys"], found["memory"]
    where = f"{found['rows']:,} rows"
    goal = Goal(first, f"{first:.0f} ms", 1_000, "< 1 s", is_upper_bound=True)
    yield ReportRow(f"the console in Chromium, {where}: first logs on screen, empty cache", {}, (goal,))
    goal = Goal(keys["p99_ms"], f"p99 {keys['p99_ms']:.0f} ms", 100, "< 100 ms", is_upper_bound=True)
    cell = f"{_latency(keys)}; {keys['count']} keys"
    yield ReportRow(f"the console in Chromium, {where}: key press to result", {PRODUCT: cell}, (goal,))
    before, after = memory
    cell = f"{before['heap_mb']:.1f} MB, {before['nodes']:,} nodes; then {after['heap_mb']:.1f} MB, {after['nodes']:,}"
    grown = after["heap_mb"] / before["heap_mb"]
    goal = Goal(grown, f"{grown:.2f} x", 1.1, "flat", is_upper_bound=True)
    yield ReportRow("memory of a tab after 1,000 and after 10,000 rows", {PRODUCT: cell}, (goal,))


CLIENTS = {"alone": "", "together": ", 8 clients"}
READS: dict[str, tuple[str, dict[str, float]]] = {
    "one": ("GET one log", {LIMIT: 0.28, NAIVE: 6}),
    "page": ("page of 50 newest", {LIMIT: 0.60, NAIVE: 7.5, DATASETTE: 7, DRF: 14}),
    "filtered": ("page by type, machine, range", {LIMIT: 0.65, NAIVE: 6}),
}
CASES = {
    "newest": "50 newest",
    "filtered": "page by type, machine, range",
    "sector": "page of a sector",
    "q_one": "`q`, one word of any frequency",
    "q_two": "`q`, two words",
    "q_machine": "`q`, a word and a machine",
}
AGGREGATES = {
    "facets": ("facets of type and machine under a filter", 50),
    "stats": ("stats by type and month", 10),
    "search": ("page by `q`, one word of any frequency", 0),
}
ROWS = {
    "reads": _reads,
    "statements": _sqlite_statements,
    "aggregates": _aggregates,
    "writes": _writes,
    "imports": _imports,
    "exports": _exports,
    "idle": _idle,
    "browser": _browser,
    "postgres": _postgres,
}
