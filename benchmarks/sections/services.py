"""Services and their PostgreSQL servers: one that is milliseconds away, slow commits, and a standby that is read."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import postgresql_server, servers
from benchmarks.load import CLIENTS, WRITERS, Load, generate_load, get, post, spread_load, summarize
from benchmarks.options import Options
from benchmarks.queries import NEWEST
from benchmarks.sections.writes import BODIES, bodies
from benchmarks.servers import Command, Server
from benchmarks.standby_server import running_standby
from machine_monitor.database import database_urls

ROWS = 10_000
# In each direction; a round trip takes twice as long.
DELAY_SECONDS = 0.0025
SLOW_COMMITS = {"commit_delay": "20000", "commit_siblings": "0"}
SERVICES = (1, 4)
MANY_WRITERS = 64


def measure(options: Options) -> dict[str, Any]:
    """Measure requests per second at a distance and with slow commits, and the work of a primary with a standby."""
    with postgresql_server.running_server(options.folder) as (url, server):
        filled = postgresql_server.filled_database(url, ROWS)
        with _copy(url, filled) as copied:
            distance = _measure_distance(options, copied)
        with _copy(url, filled, SLOW_COMMITS) as copied:
            slow_commits = _measure_slow_commits(options, copied)
        found = {"rows": ROWS, "distance": distance, "slow_commits": slow_commits}
        if server is None:
            return found
        with running_standby(url, server) as standby:
            name = database_urls.parse(filled).sqlalchemy_url.database or ""
            return found | {"standby": _measure_standby(options, filled, standby.url(name))}


def _measure_distance(options: Options, url: str) -> dict[str, Any]:
    """Measure pages and writes of a service beside the server, and of one that is DELAY_SECONDS away."""
    posts = [post("/logs", body) for body in bodies(BODIES)]
    kinds = {
        "page": (1, [get(NEWEST)]),
        "post": (1, posts),
        "post_together": (2 * WRITERS, posts),
    }
    with ExitStack() as stack:
        distant = stack.enter_context(_distant(url))
        running = {
            "near": [stack.enter_context(servers.running(servers.product(url)))],
            "distant": [stack.enter_context(servers.running(servers.product(distant)))],
        }
        return {
            kind: _compare(options, {name: (each, clients) for name, each in running.items()}, requests)
            for kind, (clients, requests) in kinds.items()
        }


def _measure_slow_commits(options: Options, url: str) -> dict[str, Any]:
    """Measure the writes of one service and of several, with as many clients in all."""
    posts = [post("/logs", body) for body in bodies(BODIES)]
    with ExitStack() as stack:
        started = [stack.enter_context(servers.running(servers.product(url))) for _ in range(max(SERVICES))]
        chosen = {str(count): (started[:count], MANY_WRITERS // count) for count in SERVICES}
        return _compare(options, chosen, posts)


def _measure_standby(options: Options, url: str, standby_url: str) -> dict[str, Any]:
    """Measure the primary's processor time for a page, in microseconds, without and with a standby that is read."""
    alone = servers.product(url)
    commands = {
        "without": alone,
        "with": replace(alone, environment={**alone.environment, "MM_DATABASE_READ_URL": standby_url}),
    }
    postmaster, seconds = _postmaster(url), max(options.seconds, 0.5)
    with ExitStack() as stack:
        running = {name: stack.enter_context(servers.running(command)) for name, command in commands.items()}
        for server in running.values():
            generate_load(server, [get(NEWEST)], 1, seconds)
        start = servers.cpu_seconds(postmaster)
        time.sleep(seconds)
        idle_share = (servers.cpu_seconds(postmaster) - start) / seconds
        found: dict[str, Any] = {}
        for clients, count in CLIENTS.items():
            costs: dict[str, list[float]] = {name: [] for name in running}
            for _ in range(options.rounds):
                for name, server in running.items():
                    start = servers.cpu_seconds(postmaster)
                    load = generate_load(server, [get(NEWEST)], count, seconds)
                    spent = servers.cpu_seconds(postmaster) - start - idle_share * load.seconds
                    costs[name].append(spent / len(load.latencies) * 1e6)
            found[clients] = {name: median(each) for name, each in costs.items()}
        return found


def _postmaster(url: str) -> int:
    """Return the process id of a local server."""
    with psycopg.connect(database_urls.parse(url).conninfo) as connection:
        ((folder,),) = connection.execute("SELECT current_setting('data_directory')").fetchall()
    return int((Path(folder) / "postmaster.pid").read_text().split()[0])


def _compare(options: Options, chosen: dict[str, tuple[list[Server], int]], requests: list[bytes]) -> dict[str, Any]:
    """Measure servers, each with some clients, in turn, for several rounds."""
    seconds = max(options.seconds, 0.5)
    loads: dict[str, list[Load]] = {name: [] for name in chosen}
    for _ in range(options.rounds):
        for name, (running, clients) in chosen.items():
            loads[name].append(spread_load(running, requests, clients, seconds))
    return {name: summarize(rounds) for name, rounds in loads.items()}


@contextmanager
def _distant(url: str) -> Iterator[str]:
    """Run a proxy to the server of a database; yield the URL of the database through it."""
    parsed = database_urls.parse(url)
    words = [servers.python(), "-m", "benchmarks.delaying_proxy", "{port}", str(DELAY_SECONDS), parsed.conninfo]
    with servers.running(Command(words, ready=None)) as proxy:
        distant = parsed.sqlalchemy_url.set(host="127.0.0.1", port=proxy.port, query={})
        yield distant.render_as_string(hide_password=False)


@contextmanager
def _copy(url: str, source: str, settings: dict[str, str] | None = None) -> Iterator[str]:
    """Copy a database and set the settings of its sessions; the copy is deleted at the end."""
    template = database_urls.parse(source).sqlalchemy_url
    name = f"{template.database}_copy"
    copy, original = sql.Identifier(name), sql.Identifier(template.database or "")
    with psycopg.connect(database_urls.parse(url).conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(copy))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(copy, original))
        try:
            for setting, value in (settings or {}).items():
                change = sql.SQL("ALTER DATABASE {} SET {} = {}")
                connection.execute(change.format(copy, sql.Identifier(setting), sql.Literal(value)))
            yield template.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(copy))
