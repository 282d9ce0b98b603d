"""Commands that run and check the service."""

import json
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from machine_monitor.cli import site
from machine_monitor.errors import UsageError

if TYPE_CHECKING:
    from machine_monitor.config import Settings
    from machine_monitor.services.accounts.invitations import InvitationLink
    from machine_monitor.services.demo import AdminAccess

Host = Annotated[str | None, typer.Option(help="The address to listen on. Default: MM_HOST.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="The port to listen on. Default: MM_PORT.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, help="The number of worker processes.")] = 1,
    open_: Annotated[
        bool, typer.Option("--open", help="Allow everyone to read and write, until the first account exists.")
    ] = False,
    https: Annotated[
        bool, typer.Option("--https", help="Serve HTTPS, with a certificate authority that phones install once.")
    ] = False,
    root_path: Annotated[
        str | None, typer.Option(help="The path below which a proxy publishes the service. Default: MM_ROOT_PATH.")
    ] = None,
) -> None:
    """Run the service: the API and the web console.

    On the first start it prints a link that creates the first admin. Stop it with Ctrl-C.
    """
    from machine_monitor import config
    from machine_monitor.api.serving import tracing

    # The workers read their settings from the environment.
    os.environ |= {name: "true" for name, given in (("MM_OPEN", open_), ("MM_HTTPS", https)) if given}
    if root_path is not None:
        os.environ["MM_ROOT_PATH"] = root_path
    settings = config.load()
    tracing.is_configured()  # before the database is created
    host, port = host or settings.host, settings.port if port is None else port
    _require_free_addresses(settings, host, port)
    first = _prepare(settings)
    with _listening_for_phones(settings, host, port):
        if first is not None:
            typer.echo(
                "There is no admin with a password yet. Open this link to create the first one "
                f"(it works once, until {first.expires_at}):\n"
                f"  {first.url(site.base_url(settings, host, port))}\n"
                'Without a browser: POST /setup {"code": "<the part after code=>", "trigram": "...", "password": "..."}'
            )
        _warn(settings)
        _run("machine_monitor.asgi:app", settings, host=host, port=port, workers=workers)


def demo(
    port: Port = None,
    machines: Annotated[int, typer.Option(min=1, max=500, help="The number of machines.")] = 40,
    logs: Annotated[int, typer.Option(min=0, max=200_000, help="The number of logs.")] = 5_000,
) -> None:
    """Try the service with sample data, in a temporary database on this machine."""
    import signal
    import tempfile
    from pathlib import Path

    from machine_monitor import config
    from machine_monitor.api.app import create_app
    from machine_monitor.api.serving import console, tracing
    from machine_monitor.api.serving.logs import configure
    from machine_monitor.services.demo.plant import ADMIN

    settings = config.load()
    site.require_free_address("127.0.0.1", settings.port if port is None else port)
    # After its shutdown uvicorn raises the signal again, which by default would end the process before the cleanup.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix="machine-monitor-") as folder:
        own = {"database_url": f"sqlite:///{Path(folder) / 'demo.db'}", "files": "", "https": False}
        chosen = settings.model_copy(update=own)
        account = _fill(chosen, machines, logs)
        port = settings.port if port is None else port
        here = site.base_url(chosen, "127.0.0.1", port)
        page = "/ui/" if console.load() else "/docs"
        typer.echo(
            f"Demo with {machines} machines and {logs} logs: {here}{page} (stop it with Ctrl-C)\n"
            f"Sign in as the admin {ADMIN} with this link, which works once: {account.url(here)}\n"
            f"Later sign-ins: user {ADMIN}, password {account.password}\n"
            f"For programs, and for Authorize at /docs (there the token alone): Authorization: Bearer {account.token}"
        )
        _run(create_app(chosen, configure(chosen), tracing.from_environment()), chosen, host="127.0.0.1", port=port)


def doctor(
    rebuild_search: Annotated[
        bool, typer.Option("--rebuild-search", help="First rebuild the search index and the counters.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the settings and check the database. Exit status 1 if something needs attention."""
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.services.checks import health
    from machine_monitor.services.projections import counters, maintenance

    if rebuild_search:
        with site.open_existing_database() as (settings, database), bar("Indexing") as progress:
            database.transact(lambda tx: maintenance.rebuild_search(tx, progress))
            database.transact(lambda tx: counters.rebuild(tx, settings.zone))
    report = health.examine(config.load())
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        for name, value in report.lines():
            typer.echo(f"{name:24} {value}")
    raise typer.Exit(0 if report.healthy else 1)


def verify(
    head: Annotated[
        str | None,
        typer.Option(
            help="A head printed earlier. Checks that the history still contains it, so that its end was not removed."
        ),
    ] = None,
    files: Annotated[
        bool, typer.Option("--files", help="Also read every attachment, and compare its bytes with its digest.")
    ] = False,
    months: Annotated[
        bool, typer.Option("--months", help="Also print the head that the history had at the end of each month.")
    ] = False,
) -> None:
    """Compare the records with their history, verify its hash chain, and check schema and derived data.

    Prints the head of the history: keep it for a later --head.
    Exit status 1 if something was changed.
    """
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.services.audit import hash_chain
    from machine_monitor.services.checks import verify
    from machine_monitor.services.files import upkeep
    from machine_monitor.services.files.store import store_of
    from machine_monitor.services.projections import maintenance

    expected, settings = None if head is None else hash_chain.parse_head(head), config.load()
    with site.database_at(settings.database_url) as database, bar("Verifying") as progress:
        maintenance.require_current(database)
        verdict = verify.verify(database, expected, progress)
        inventory = upkeep.take_inventory(database, store_of(settings.files, database.url), progress) if files else None
        month_heads = database.snapshot(hash_chain.month_heads) if months else {}
    faults, notes = verdict.faults, verdict.notes
    if inventory is not None:
        faults, notes = [*faults, *inventory.faults], [*notes, *inventory.notes]
    heads = [f"{month} {its_head}" for month, its_head in month_heads.items()]
    typer.echo("\n".join([*(faults or ["Everything is as it was written."]), *notes, *heads, f"head {verdict.head}"]))
    raise typer.Exit(1 if faults else 0)


def openapi() -> None:
    """Print the OpenAPI document of the API."""
    from machine_monitor.api.app import create_app
    from machine_monitor.config import Settings

    # Default settings: the document does not depend on the site.
    document = create_app(Settings.model_construct()).openapi()
    typer.echo(json.dumps(document, indent=1, ensure_ascii=False))


def _require_free_addresses(settings: "Settings", host: str, port: int) -> None:
    """Raise `UsageError` if the service cannot listen there, or for phones beside it."""
    site.require_free_address(host, port)
    if settings.https:
        from machine_monitor.api.serving.https import listener

        site.require_free_address(host, listener.port_beside(port), ", where phones get the certificate")


def _prepare(settings: "Settings") -> "InvitationLink | None":
    """Set the database up; returns the link that creates the first admin, if there is none yet.

    Once, before the workers start: one process sets the database up, and an error, such as `BadSetting`, is reported
    once.
    """
    from machine_monitor.database import database_urls
    from machine_monitor.database.engines.engine import DatabaseReadOnly
    from machine_monitor.services.accounts import invitations
    from machine_monitor.services.projections import counters, maintenance

    if settings.root_path:
        from machine_monitor.api.app import check_root_path

        check_root_path(settings.root_path)
    with site.database_at(settings.database_url) as database:
        database_urls.parse_read_url(settings.database_read_url, database.url)
        database.url.require_usable()
        database.hold_service_lock()
        with site.announce_new_file(database):
            maintenance.prepare_database(database)
        try:
            counters.ensure_zone(database, settings.zone)
            return database.transact(invitations.invite_first)
        except DatabaseReadOnly as error:
            typer.echo(f"{error.detail} Writes are answered with 503.", err=True)
            return None


def _warn(settings: "Settings") -> None:
    """Print what the user should know about this service."""
    from machine_monitor.api.serving import console

    if console.load() is None:
        message = "The web console was not built, so only the API is available. In a checkout, run `make console`."
        typer.echo(message, err=True)
    if settings.open:
        message = "Open access: everyone who reaches this service may read and write, until the first account exists."
        typer.echo(message, err=True)


def _listening_for_phones(settings: "Settings", host: str, port: int) -> "AbstractContextManager[None]":
    """With HTTPS, prepare the certificates and the page from which phones get the authority."""
    if not settings.https:
        return nullcontext()
    from machine_monitor.cli import https

    return https.listening(settings, host, port)


def _fill(settings: "Settings", machines: int, logs: int) -> "AdminAccess":
    """Fill a new database with sample data; returns the access of its admin."""
    from datetime import datetime

    from machine_monitor.cli.progress import bar
    from machine_monitor.database.connect import Database
    from machine_monitor.services import demo as plant
    from machine_monitor.services.projections import counters, maintenance

    database = Database(settings.database_url)
    maintenance.prepare_database(database)
    counters.ensure_zone(database, settings.zone)
    with bar("Creating sample data") as progress:
        plant.fill(database, plant.plan(machines, logs, until=datetime.now(settings.zone)), progress)
    account = database.transact(plant.create_admin_access)
    database.close_writer()
    return account


def _run(app: Any, settings: "Settings", **options: Any) -> None:
    """Run the server until it is stopped; raises `UsageError` if it cannot start."""
    from machine_monitor.api.serving import server

    try:
        server.run(app, settings, **options)
    except SystemExit as stopped:
        if stopped.code:
            message = (
                f"The server could not start on {options['host']}:{options['port']}; see the message above. "
                "If the port is in use, choose another one with --port."
            )
            raise UsageError(message) from None
        raise
