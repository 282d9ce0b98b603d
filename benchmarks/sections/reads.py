"""Reads over HTTP: the product, the naive app, the limit and other frameworks, in interleaved rounds."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks import build, servers, targets
from benchmarks.load import CLIENTS, Load, generate_load, get, summarize
from benchmarks.options import Options
from benchmarks.queries import NEWEST, READS, QueryGenerator
from benchmarks.servers import Server
from benchmarks.targets import LIMIT, PRODUCT, Target


def measure(options: Options) -> dict[str, Any]:
    """Measure processor time, requests per second and latency, by kind of request, number of clients and server."""
    path = build.sqlite_file(options, options.rows)
    generator = QueryGenerator(path)
    with ExitStack() as stack:
        chosen = [*targets.on_sqlite(path), *targets.peers(path)]
        running = {target.name: stack.enter_context(servers.running(target.command)) for target in chosen}
        found = {kind: compare(options, chosen, running, list(READS[kind](generator))) for kind in READS}
        running[PRODUCT] = stack.enter_context(servers.running(servers.product(f"sqlite:///{path}", caches=True)))
        chosen = [target for target in chosen if target.name in (PRODUCT, LIMIT)]
        return {**found, "unchanged": compare(options, chosen, running, [NEWEST])}


def compare(
    options: Options, chosen: Sequence[Target], running: dict[str, Server], paths: Sequence[str]
) -> dict[str, Any]:
    """Verify that all servers return equal items, then measure one kind of request on each server in turn."""
    chosen = [target for target in chosen if target.page is None or list(paths) == [NEWEST]]
    targets.verify({target.name: running[target.name] for target in chosen if target.page is None}, paths)
    requests = {target.name: [get(target.page or path) for path in paths] for target in chosen}
    loads: dict[str, dict[str, list[Load]]] = {clients: {name: [] for name in requests} for clients in CLIENTS}
    for _ in range(options.rounds):
        for clients, count in CLIENTS.items():
            for name, server_requests in requests.items():
                loads[clients][name].append(generate_load(running[name], server_requests, count, options.seconds))
    return {clients: {name: summarize(rounds) for name, rounds in each.items()} for clients, each in loads.items()}
