"""Lists that have no statement of their own here: facets, statistics and search, over HTTP with one client."""

from typing import Any

from benchmarks import build, servers
from benchmarks.load import drive, get, require, summary
from benchmarks.options import Missing, Options
from benchmarks.questions import Questions

FACETS = (
    "/logs/facets?by=type,machine&severity=major",
    "/logs/facets?by=type,machine&type=error",
    "/logs/facets?by=type,machine&status=open",
)
STATS = ("/logs/stats?group_by=type,month",)


def measure(options: Options) -> dict[str, Any]:
    """By kind of list: processor time and latency."""
    path = build.sqlite_file(options, options.rows)
    asked = Questions(path).query_strings("q_one", 500)
    kinds = {"facets": FACETS, "stats": STATS, "search": [f"/logs?{text}" for text in asked]}
    with servers.running(servers.product(f"sqlite:///{path}")) as server:
        return {kind: _measured(server, list(paths), options) for kind, paths in kinds.items()}


def _measured(server: servers.Server, paths: list[str], options: Options) -> dict[str, Any]:
    try:
        require(server, paths[0].partition("?")[0])
        return summary([drive(server, list(map(get, paths)), 1, options.seconds) for _ in range(options.rounds)])
    except Missing as missing:
        return {"missing": str(missing)}
