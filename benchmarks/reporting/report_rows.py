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
    def is_met(self) -> bool:
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


def _reads(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    for kind, (what, bounds) in {**READ_GOALS, "unchanged": UNCHANGED}.items():
        for clients, results in section.get(kind, {}).items():
            yield _requests(f"{what}{CLIENT_SUFFIXES[clients]}", results, bounds)


def _requests(title: str, results: Mapping[str, Any], bounds: Mapping[str, float]) -> ReportRow:
    """Return the row of one kind of request; a goal is another server's processor time divided by the product's."""
    cells = {name: _request_cell(each) for name, each in results.items()}
    product_us, goals = results[PRODUCT]["cpu_us"], []
    for name, bound in bounds.items():
        if name not in results:
            continue
        ratio = results[name]["cpu_us"] / product_us
        ratio_format, bound_format = (OF_LIMIT, "{:.2f}") if name == LIMIT else (TIMES, "{:g} x")
        goals.append(Goal(ratio, ratio_format.format(ratio, name), bound, bound_format.format(bound)))
    return ReportRow(title, cells, tuple(goals))


def _request_cell(result: Mapping[str, Any]) -> str:
    failed = f", {result['failed']} failed" if result["failed"] else ""
    return f"{result['cpu_us']:,.0f} µs, {result['per_second']:,.0f}/s, {_latency(result)}{failed}"


def _latency(result: Mapping[str, Any]) -> str:
    return f"{result['p50_ms']:.2f} / {result['p99_ms']:.2f} ms"


def _p99_goals(result: Mapping[str, Any], bound: float, digits: int) -> tuple[Goal, ...]:
    """Return the goal for the 99th percentile of latency; none if the bound is 0."""
    if not bound:
        return ()
    p99 = result["p99_ms"]
    return (Goal(p99, f"p99 {p99:.{digits}f} ms", bound, f"< {bound:g} ms", is_upper_bound=True),)


def _statements(section: Mapping[str, Any], bounds: Mapping[str, float], where: str = "") -> Iterator[ReportRow]:
    for case, bound in bounds.items():
        result = section[case]
        count, queries = result["count"], result["queries"]
        incomplete = "" if count == queries else f" ({count} of {queries} in time)"
        cells = {PRODUCT: _latency(result) + incomplete}
        yield ReportRow(f"in the database{where}: {CASE_TITLES[case]}", cells, _p99_goals(result, bound, 2))


def _sqlite_statements(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    yield from _statements(
        section, {"newest": 0, "filtered": 2, "sector": 3, "q_one": 10, "q_two": 20, "q_machine": 10}
    )
    for name, walk in section["walks"].items():
        first, deep = walk["first"]["p50_ms"], max(walk[depth]["p50_ms"] for depth in ("10%", "50%", "90%"))
        cell = f"{deep:.2f} ms, page one {first:.2f} ms; anywhere {_latency(walk['any'])}"
        goal = Goal(deep / first, f"{deep / first:.2f} x page one", 1.2, "1.2 x", is_upper_bound=True)
        yield ReportRow(f"in the database: a page by cursor, {name}", {PRODUCT: cell}, (goal,))


def _aggregates(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    for kind, (what, bound) in AGGREGATES.items():
        result = section[kind]
        if "missing" in result:
            yield ReportRow(what, note=result["missing"])
            continue
        yield ReportRow(what, {PRODUCT: _request_cell(result)}, _p99_goals(result, bound, 1))


def _reliability(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    month = section["month"]["p50_ms"]
    for kind, what in RELIABILITY.items():
        result = section[kind]
        ratio = result["p50_ms"] / month
        goal = Goal(ratio, f"{ratio:.1f} x a month", 3, "3 x", is_upper_bound=True)
        title = f"reliability of {what}, {section['rows']:,} rows"
        yield ReportRow(title, {PRODUCT: _request_cell(result)}, (goal,) if kind == "all_time" else ())


def _writes(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    naive = section[NAIVE]
    for name, what, bound in ((PRODUCT, "durable POST", 5), (KEYED, "POST with an `Idempotency-Key`", 4)):
        product = section[name]
        ratio = product["per_second"] / naive["per_second"]
        goals = (
            Goal(ratio, f"{ratio:.1f} x naive in logs/s", bound, f"{bound} x"),
            Goal(product["p99_ms"], f"p99 {product['p99_ms']:.0f} ms", 160, "< 160 ms", is_upper_bound=True),
        )
        cells = {PRODUCT: _request_cell(product), NAIVE: _request_cell(naive)}
        yield ReportRow(f"{what}, 16 clients, into {section['rows']:,} rows", cells, goals)


IMPORTS = {
    "bulk": "POST /logs/bulk, 1,000 items per call",
    "bulk_old": "POST /logs/bulk with logs from twenty years",
    "sync": "`mm sync` of a legacy folder of twenty years",
}


def _imports(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    for kind, what in IMPORTS.items():
        result, title = section[kind], f"{what}, into {section['rows']:,} rows"
        if "missing" in result:
            yield ReportRow(title, note=result["missing"])
            continue
        goal = Goal(result["per_second"], f"{result['per_second']:,.0f} rows/s", 5_000, "5,000 rows/s")
        yield ReportRow(title, {PRODUCT: f"{result['cpu_us']:,.0f} µs per row"}, (goal,))


def _exports(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    if "missing" in section:
        yield ReportRow("GET /logs.ndjson", note=section["missing"])
        return
    speed, grown = section["per_second"], section["grown_mb"]
    goals = (
        Goal(speed, f"{speed:,.0f} rows/s", 70_000, "70,000 rows/s"),
        Goal(grown, f"+{grown:.0f} MB", 20, "< 20 MB", is_upper_bound=True),
    )
    yield ReportRow(
        f"GET /logs.ndjson, {section['rows']:,} rows", {PRODUCT: f"{section['cpu_us']:.1f} µs per row"}, goals
    )


def _idle(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    memory, seconds = section["resident_mb"], section["seconds_to_answer"]
    goals = (
        Goal(memory, f"{memory:.0f} MB", 90, "< 90 MB", is_upper_bound=True),
        Goal(seconds, f"{seconds:.1f} s", 2, "< 2 s", is_upper_bound=True),
    )
    yield ReportRow("idle memory, time to the first response", {}, goals)


def _postgres(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    where = f" on PostgreSQL, {section['rows']:,} rows"
    for kind, (what, _) in READ_GOALS.items():
        for clients, also in CLIENT_SUFFIXES.items():
            results = section["reads"][kind][clients]
            row = _requests(f"{what}{where}{also}", results, {NAIVE: 8} if kind == "page" else {})
            ratio = results[PRODUCT]["per_second"] / results[LIMIT]["per_second"]
            goal = Goal(ratio, f"{ratio:.2f} of SQLite's limit in requests/s", 0.6, "0.60")
            yield ReportRow(row.title, row.cells, (goal, *row.goals) if kind == "page" else ())
    bounds = {"newest": 0, "filtered": 0, "sector": 0, "q_one": 100, "q_two": 100, "q_machine": 100}
    yield from _statements(section["statements"], bounds, where)


def _services(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    where = f"PostgreSQL, {section['rows']:,} rows"
    for kind, (what, bound) in DISTANCE.items():
        near, distant = (section["distance"][kind][place] for place in ("near", "distant"))
        ratio = distant["per_second"] / near["per_second"]
        goal = Goal(ratio, f"{ratio:.2f} of {near['per_second']:,.0f}/s beside it", bound, f"{bound:.2f}")
        title = f"{what}, a round trip of 5 ms to {where}"
        yield ReportRow(title, {PRODUCT: _request_cell(distant)}, (goal,) if bound else ())
    one, four = (section["slow_commits"][count] for count in ("1", "4"))
    ratio = four["per_second"] / one["per_second"]
    goal = Goal(ratio, f"{ratio:.2f} of one service, {one['per_second']:,.0f}/s", 2.5, "2.5")
    title = f"POST, 64 clients, four services, a commit that takes 20 ms longer, {where}"
    yield ReportRow(title, {PRODUCT: _request_cell(four)}, (goal,))
    for clients, costs in section.get("standby", {}).items():
        ratio = costs["with"] / costs["without"]
        goal = Goal(ratio, f"{ratio:.2f} of {costs['without']:,.0f} µs without one", 0.05, "0.05", is_upper_bound=True)
        title = f"page of 50 newest from a standby{CLIENT_SUFFIXES[clients]}, the primary's processor time, {where}"
        yield ReportRow(title, {PRODUCT: f"{costs['with']:,.0f} µs"}, (goal,))


def _browser(section: Mapping[str, Any]) -> Iterator[ReportRow]:
    first, keys, memory = section["first_ms"], section["keys"], section["memory"]
    where = f"{section['rows']:,} rows"
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


CLIENT_SUFFIXES = {"alone": "", "together": ", 8 clients"}
READ_GOALS: dict[str, tuple[str, dict[str, float]]] = {
    "one": ("GET one log", {LIMIT: 0.28, NAIVE: 6}),
    "page": ("page of 50 newest", {LIMIT: 0.60, NAIVE: 7.5, DATASETTE: 7, DRF: 14}),
    "filtered": ("page by type, machine, range", {LIMIT: 0.65, NAIVE: 6}),
}
UNCHANGED = ("page of 50 newest, unchanged", {LIMIT: 5.0})
CASE_TITLES = {
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
RELIABILITY = {
    "month": "a month",
    "quarter": "90 days",
    "all_time": "twenty years",
    "machines": "twenty years, by machine",
}
DISTANCE: dict[str, tuple[str, float]] = {
    "page": ("page of 50 newest", 0),
    "post": ("POST", 0),
    "post_together": ("POST, 32 clients", 1 / 3),
}
ROWS = {
    "reads": _reads,
    "statements": _sqlite_statements,
    "aggregates": _aggregates,
    "reliability": _reliability,
    "writes": _writes,
    "imports": _imports,
    "exports": _exports,
    "idle": _idle,
    "browser": _browser,
    "postgres": _postgres,
    "services": _services,
}
