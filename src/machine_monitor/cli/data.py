"""Commands that migrate the schema and import from the legacy tool."""

import json
from pathlib import Path
from typing import Annotated

import typer

from machine_monitor.cli import site

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def migrate() -> None:
    """Upgrade the database to the schema of this version. Copies an SQLite file first; safe to repeat."""
    from machine_monitor import config
    from machine_monitor.database import database_urls
    from machine_monitor.database.connect import Database
    from machine_monitor.database.schema import migrations
    from machine_monitor.errors import SchemaMismatch
    from machine_monitor.services.checks import health
    from machine_monitor.services.projections import counters, maintenance

    settings = config.load()
    url = database_urls.parse(settings.database_url)
    result = migrations.upgrade(url)
    database = Database(settings.database_url)
    advice = database.snapshot(health.missing_migration)
    recounted = False
    if advice is None:
        maintenance.rebuild_if_outdated(database)
        recounted = counters.ensure_zone(database, settings.zone)
    database.close_writer()
    if result.backup is not None:
        typer.echo(f"Copied the database to {result.backup} before the upgrade.", err=True)
    before = "nothing" if result.before is None else result.before
    moved = f"from {before} to {result.after}" if result.before != result.after else f"already at {result.after}"
    typer.echo(f"{url.redacted}: {moved}")
    if recounted:
        typer.echo(f"The counters of logs now use the time zone {settings.timezone}.", err=True)
    if advice is not None and result.before is not None:
        raise SchemaMismatch(advice)
    if advice is not None:
        typer.echo(advice, err=True)


def sync(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="The legacy tool's folder, also as .zip, or SQLite file.", show_default=False
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be done; write nothing.")] = False,
    timezone: Annotated[
        str | None,
        typer.Option(help="The zone of the legacy times. Default: that of the last sync, or MM_TIMEZONE."),
    ] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Also import unsaved drafts, as open logs.")] = False,
    as_json: Json = False,
) -> None:
    """Import the records of the legacy tool. Safe to repeat: a second run changes nothing.

    Records that were edited here since their import are reported as conflicts, not overwritten.
    Exit status 1 if there are conflicts or rejected records.
    """
    from machine_monitor.cli import reports
    from machine_monitor.cli.progress import bar
    from machine_monitor.services import legacy

    with site.open_for_import(dry_run=dry_run) as (settings, database):
        zone = site.legacy_zone(timezone, settings, database)
        with bar("Importing") as progress:
            report = legacy.sync(database, source, zone, dry_run=dry_run, drafts=drafts, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=1))
    else:
        reports.print_sync(report.to_dict(), dry_run=dry_run)
    raise typer.Exit(0 if report.clean else 1)
