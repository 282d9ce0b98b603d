"""Reading over HTTP: the product, the naive twin, the limit and the peers, round after round."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks import build, servers, targets
from benchmarks.load import CLIENTS, Load, drive, get, summary
from benchmarks.options import Options
from benchmarks.questions import NEWEST, READS, Questions
from benchmarks.servers import Server
from benchmarks.targets import Target


def measure(options: Options) -> dict[str, Any]:
    """By kind of request, clients and server: processor time, requests a second, latency."""
    path = build.sqlite_file(options, options.rows)
    questions = Questions(path)
    with ExitStack() as stack:
        chosen = [*targets.on_sqlite(path), *targets.peers(path)]
        running = {target.name: stack.enter_context(servers.running(target.command)) for target in chosen}
        return {kind: compare(options, chosen, running, list(READS[kind](questions))) for kind in READS}


def compare(
    options: Options, chosen: Sequence[Target], running: dict[str, Server], paths: Sequence[str]
) -> dict[str, Any]:
    """One kind of request to each server in turn, several rounds; their items are compared first."""
    chosen = [target for target in chosen if target.page is None or list(paths) == [NEWEST]]
    targets.verify({target.name: running[target.name] for target in chosen if target.page is None}, paths)
    requests = {target.name: [get(target.page or path) for path in paths] for target in chosen}
    seen: dict[str, dict[str, list[Load]]] = {clients: {name: [] for name in requests} for clients in CLIENTS}
    for _ in range(options.rounds):
        for clients, count in CLIENTS.items():
            for name, asked in requests.items():
                seen[clients][name].append(drive(running[name], asked, count, options.seconds))
    return {clients: {name: summary(loads) for name, loads in found.items()} for clients, found in seen.items()}
