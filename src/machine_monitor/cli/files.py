"""Commands about files of records: write them out, and read them back."""

import json
from pathlib import Path
from typing import Annotated

import typer

from machine_monitor.cli import site
from machine_monitor.errors import UsageError
from machine_monitor.suggestions import nearest

Timezone = Annotated[str | None, typer.Option(help="The zone of local times; MM_TIMEZONE if absent.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def export(
    target: Annotated[
        Path, typer.Argument(help="A file .ndjson, .csv or .xlsx; with --legacy, a new folder.", show_default=False)
    ],
    resource: Annotated[str, typer.Option(help="What to write: logs, machines, log_types or users.")] = "logs",
    query: Annotated[str, typer.Option(help="Which of it, as in a URL: 'type=error&sort=machine'.")] = "",
    dialect: Annotated[str | None, typer.Option(help="How CSV is written: rfc4180 or excel.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    legacy_shape: Annotated[bool, typer.Option("--legacy", help="Write all there is, as the legacy folder.")] = False,
    timezone: Timezone = None,
    as_json: Json = False,
) -> None:
    """Write records to a file that other programs read and `import` reads back; logs oldest first."""
    import asyncio

    from machine_monitor.cli.progress import bar
    from machine_monitor.database import instants
    from machine_monitor.models import RESOURCES
    from machine_monitor.query.language.times import TimeContext
    from machine_monitor.services import tabular

    if legacy_shape:
        if resource != "logs" or query or dialect or force:
            raise UsageError("--legacy writes all there is: it goes with no --resource, --query, --dialect or --force.")
        _export_folder(target, timezone, as_json=as_json)
        return
    chosen = {known.name: known for known in RESOURCES}
    if resource not in chosen:
        raise UsageError(
            f"There is no resource '{resource}'; there are {', '.join(chosen)}.{nearest(resource, chosen)}"
        )
    wish = tabular.Wish(target, chosen[resource], query, dialect, force)
    with site.opened() as (settings, database), bar("Exporting") as progress:
        clock = TimeContext(site.zone(timezone, settings), instants.now())
        count = asyncio.run(tabular.save(database, wish, clock, progress))
    typer.echo(json.dumps({resource: count}) if as_json else f"{count} {resource} written")


def import_(
    source: Annotated[Path, typer.Argument(help="A file .ndjson or .csv, as `export` writes it.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report the same, write nothing.")] = False,
    timezone: Timezone = None,
    as_json: Json = False,
) -> None:
    """Read logs or machines from a file: each line is what a PUT by its key does; a second run changes nothing."""
    from machine_monitor.cli import reports
    from machine_monitor.cli.progress import bar
    from machine_monitor.services import tabular

    with site.opened() as (settings, database), bar("Importing") as progress:
        zone = site.zone(timezone, settings)
        report = tabular.import_file(database, source, zone, dry_run=dry_run, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False, indent=1))
    else:
        reports.print_sync(report.document(), dry_run=dry_run)
    raise typer.Exit(0 if report.clean else 1)


def _export_folder(target: Path, timezone: str | None, *, as_json: bool) -> None:
    """Write the records as the legacy folder; what that shape cannot hold is counted."""
    from machine_monitor.cli import reports
    from machine_monitor.services import legacy

    with site.opened() as (settings, database):
        report = legacy.export(database, target, site.zone(timezone, settings))
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False, indent=1))
    else:
        reports.print_export(report.document())
