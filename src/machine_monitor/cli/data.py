"""Commands about the records: the schema they live in, the folder they come from."""

import json
from pathlib import Path
from typing import Annotated

import typer

from machine_monitor.cli import site

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def migrate() -> None:
    """Bring the database to the schema of this version; safe to run twice, an SQLite file is copied first."""
    from machine_monitor import config
    from machine_monitor.database import database_urls
    from machine_monitor.database.connect import Database
    from machine_monitor.database.schema import migrations
    from machine_monitor.errors import SchemaMismatch
    from machine_monitor.services.checks import health
    from machine_monitor.services.projections import counters, maintenance

    settings = config.load()
    url = database_urls.parse(settings.database_url)
    done = migrations.upgrade(url)
    database = Database(settings.database_url)
    advice = database.snapshot(health.missing_migration)
    counted = False
    if advice is None:
        maintenance.rebuild_if_outdated(database)
        counted = counters.ensure_zone(database, settings.zone)
    database.close_writer()
    if done.copy is not None:
        typer.echo(f"The file as it was: {done.copy}", err=True)
    before = "nothing" if done.before is None else done.before
    moved = f"from {before} to {done.after}" if done.before != done.after else f"already at {done.after}"
    typer.echo(f"{url.redacted}: {moved}")
    if counted:
        typer.echo(f"Logs are now counted by the calendar of {settings.timezone}.", err=True)
    if advice is not None and done.before is not None:
        raise SchemaMismatch(advice)
    if advice is not None:
        typer.echo(advice, err=True)


def sync(
    source: Annotated[Path, typer.Argument(help="The legacy folder, or the legacy SQLite file.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report the same, write nothing.")] = False,
    timezone: Annotated[str | None, typer.Option(help="The zone of the legacy clock; MM_TIMEZONE if absent.")] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Import unsaved drafts too, as open logs.")] = False,
    as_json: Json = False,
) -> None:
    """Import a legacy folder or database; a second run changes nothing, conflicts are reported, not overwritten."""
    from machine_monitor.cli import reports
    from machine_monitor.cli.progress import bar
    from machine_monitor.services import legacy

    with site.opened() as (settings, database):
        zone = site.zone(timezone, settings)
        with bar("Importing") as progress:
            report = legacy.sync(database, source, zone, dry_run=dry_run, drafts=drafts, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False, indent=1))
    else:
        reports.print_sync(report.document(), dry_run=dry_run)
    raise typer.Exit(0 if report.clean else 1)
