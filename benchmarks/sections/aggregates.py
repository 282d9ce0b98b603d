"""Facets, statistics and search, over HTTP with one client."""

from typing import Any

from benchmarks import build, servers
from benchmarks.load import generate_load, get, require_path, summarize
from benchmarks.options import NotImplementedYet, Options
from benchmarks.queries import QueryGenerator

FACETS = (
    "/logs/facets?by=type,machine&severity=major",
    "/logs/facets?by=type,machine&type=error",
    "/logs/facets?by=type,machine&status=open",
)
STATS = ("/logs/stats?group_by=type,month",)


def measure(options: Options) -> dict[str, Any]:
    """Measure processor time and latency for each kind of request."""
    path = build.sqlite_file(options, options.rows)
    searches = QueryGenerator(path).query_strings("q_one", 500)
    kinds = {"facets": FACETS, "stats": STATS, "search": [f"/logs?{text}" for text in searches]}
    with servers.running(servers.product(f"sqlite:///{path}")) as server:
        return {kind: _measure_kind(server, list(paths), options) for kind, paths in kinds.items()}


def _measure_kind(server: servers.Server, paths: list[str], options: Options) -> dict[str, Any]:
    try:
        require_path(server, paths[0].partition("?")[0])
        return summarize(
            [generate_load(server, list(map(get, paths)), 1, options.seconds) for _ in range(options.rounds)]
        )
    except NotImplementedYet as missing:
        return {"missing": str(missing)}
