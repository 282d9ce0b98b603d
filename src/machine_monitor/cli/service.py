"""Commands about the service: run it, try it, look at it."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from machine_monitor.cli import site
from machine_monitor.errors import UsageError

if TYPE_CHECKING:
    from machine_monitor.config import Settings
    from machine_monitor.services.demo import Account

Host = Annotated[str | None, typer.Option(help="Address to listen on; MM_HOST if absent.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; MM_PORT if absent.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, help="How many processes.")] = 1,
    open_: Annotated[
        bool, typer.Option("--open", help="While there is no account at all, let anyone read and write.")
    ] = False,
) -> None:
    """Serve the API. While no admin has a password, print a link that makes one."""
    from machine_monitor import config
    from machine_monitor.api.serving import console
    from machine_monitor.database.connect import Database
    from machine_monitor.services.accounts import invitations
    from machine_monitor.services.projections import counters, maintenance

    if open_:
        # The workers read the environment.
        os.environ["MM_OPEN"] = "true"
    settings = config.load()
    host, port = host or settings.host, settings.port if port is None else port
    # Here rather than in each worker: a database that does not fit is one sentence, and one process sets it up.
    database = Database(settings.database_url)
    maintenance.prepare_database(database)
    counters.ensure_zone(database, settings.zone)
    first = database.transact(invitations.invite_first)
    database.close_writer()
    if first is not None:
        typer.echo(
            f"No admin has a password yet. Until {first.expires_at}, whoever opens this link becomes an admin:\n"
            f"  {first.url(site.address(host, port))}\n"
            'By hand: POST /setup {"code": the part behind "code=", "password", "trigram"}.'
        )
    if console.load() is None:
        typer.echo("The console is not there, this is the API alone: `make console` builds it in a checkout.", err=True)
    if settings.open:
        typer.echo("Whoever reaches this service may read and write, until there is an account.", err=True)
    _run("machine_monitor.asgi:app", settings, host=host, port=port, workers=workers)


def demo(
    port: Port = None,
    machines: Annotated[int, typer.Option(min=1, max=500, help="How many machines.")] = 40,
    logs: Annotated[int, typer.Option(min=0, max=200_000, help="How many logs.")] = 5_000,
) -> None:
    """Fill a throw-away database with a believable plant, and serve it on this machine."""
    import signal
    import tempfile
    from pathlib import Path

    from machine_monitor import config
    from machine_monitor.api.app import create_app
    from machine_monitor.api.serving import console
    from machine_monitor.api.serving.logs import configure
    from machine_monitor.services.demo.plant import ADMIN

    settings = config.load()
    # uvicorn passes the signal on when it has stopped; by default that would end the process before the folder is gone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix="machine-monitor-") as folder:
        chosen = settings.model_copy(update={"database_url": f"sqlite:///{Path(folder) / 'demo.db'}"})
        account = _fill(chosen, machines, logs)
        here = site.address("127.0.0.1", settings.port if port is None else port)
        place = "/ui/" if console.load() else "/docs"
        typer.echo(
            f"{machines} machines and {logs} logs, until you press Ctrl-C. Try it: {here}{place}\n"
            f"To sign in as its admin, {ADMIN}, once; afterwards with the password at its end: {account.url(here)}\n"
            f"What programs send (Swagger's Authorize takes the token alone): Authorization: Bearer {account.token}"
        )
        _run(create_app(chosen, configure(chosen)), chosen, host="127.0.0.1", port=int(here.rpartition(":")[2]))


def doctor(
    rebuild_search: Annotated[
        bool, typer.Option("--rebuild-search", help="First make the search index and the counts again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the settings and the state of the database; exit 1 if something needs mending."""
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.services.checks import health
    from machine_monitor.services.projections import counters, maintenance

    if rebuild_search:
        with site.opened() as (settings, database), bar("Indexing") as progress:
            database.transact(lambda tx: maintenance.rebuild_search(tx, progress))
            database.transact(lambda tx: counters.rebuild(tx, settings.zone))
    report = health.examine(config.load())
    if as_json:
        typer.echo(json.dumps(report.document(), indent=2))
    else:
        for name, value in report.lines():
            typer.echo(f"{name:24} {value}")
    raise typer.Exit(0 if report.healthy else 1)


def verify(
    head: Annotated[
        str | None, typer.Option(help="A head printed before, which the history must contain: its end may be cut.")
    ] = None,
) -> None:
    """Check the chain of the history, and compare the search index and the counts with the records.

    Prints the head of the history; exit 1 if something is not as it was written.
    """
    from machine_monitor.cli.progress import bar
    from machine_monitor.services.audit import hash_chain
    from machine_monitor.services.checks import verify

    known = None if head is None else hash_chain.parse_head(head)
    with site.opened() as (_, database), bar("Verifying") as progress:
        verdict = verify.verify(database, known, progress)
    for fault in verdict.faults or ["Everything is as it was written."]:
        typer.echo(fault)
    typer.echo(f"head {verdict.head}")
    raise typer.Exit(1 if verdict.faults else 0)


def openapi() -> None:
    """Print the OpenAPI document."""
    from machine_monitor.api.app import create_app
    from machine_monitor.config import Settings

    # Of the product, not of this site: the document does not depend on settings.
    document = create_app(Settings.model_construct()).openapi()
    typer.echo(json.dumps(document, indent=1, ensure_ascii=False))


def _fill(settings: "Settings", machines: int, logs: int) -> "Account":
    """Fill a new database with a plant; what lets its admin in."""
    from datetime import datetime

    from machine_monitor.cli.progress import bar
    from machine_monitor.database.connect import Database
    from machine_monitor.services import demo as plant
    from machine_monitor.services.projections import counters, maintenance

    database = Database(settings.database_url)
    maintenance.prepare_database(database)
    counters.ensure_zone(database, settings.zone)
    with bar("Filling a plant") as progress:
        plant.fill(database, plant.plan(machines, logs, until=datetime.now(settings.zone)), progress)
    account = database.transact(plant.open_account)
    database.close_writer()
    return account


def _run(app: Any, settings: "Settings", **options: Any) -> None:
    """Serve until told to stop; raises `UsageError` if the server cannot start."""
    from machine_monitor.api.serving import server

    try:
        server.run(app, settings, **options)
    except SystemExit as stopped:
        if stopped.code:
            message = f"The server did not start on {options['host']}:{options['port']}: the lines above say why."
            raise UsageError(message) from None
        raise
