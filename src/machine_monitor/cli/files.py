"""The command that exports records to files."""

import json
from pathlib import Path
from typing import Annotated

import typer

from machine_monitor.cli import site
from machine_monitor.errors import UsageError
from machine_monitor.suggestions import did_you_mean

Timezone = Annotated[str | None, typer.Option(help="The time zone of times without an offset. Default: MM_TIMEZONE.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def export(
    target: Annotated[
        Path,
        typer.Argument(
            help="The file to write: .ndjson, .csv or .xlsx. With --legacy: a new folder.", show_default=False
        ),
    ],
    resource: Annotated[str, typer.Option(help="The records to export: logs, machines, log_types or users.")] = "logs",
    query: Annotated[str, typer.Option(help="Filters and sort order, as in a URL: 'type=error&sort=machine'.")] = "",
    dialect: Annotated[str | None, typer.Option(help="The CSV dialect: rfc4180 (default) or excel.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    legacy_shape: Annotated[
        bool, typer.Option("--legacy", help="Export all records as a folder of the legacy tool.")
    ] = False,
    timezone: Timezone = None,
    as_json: Json = False,
) -> None:
    """Export records to a file, which `mm import` can read back. Logs are written oldest first."""
    import asyncio

    from machine_monitor.cli.progress import bar
    from machine_monitor.database import instants
    from machine_monitor.models import RESOURCES
    from machine_monitor.query.language.times import TimeContext
    from machine_monitor.services import tabular

    if legacy_shape:
        if resource != "logs" or query or dialect or force:
            raise UsageError("--legacy exports all records: omit --resource, --query, --dialect and --force.")
        _export_folder(target, timezone, as_json=as_json)
        return
    resources = {each.name: each for each in RESOURCES}
    if resource not in resources:
        raise UsageError(f"--resource must be one of {', '.join(resources)}.{did_you_mean(resource, resources)}")
    request = tabular.ExportRequest(target, resources[resource], query, dialect, force)
    with site.open_database() as (settings, database), bar("Exporting") as progress:
        time_context = TimeContext(site.time_zone(timezone, settings), instants.now())
        count = asyncio.run(tabular.save(database, request, time_context, progress))
    typer.echo(json.dumps({resource: count}) if as_json else f"{count} {resource} written")


def _export_folder(target: Path, timezone: str | None, *, as_json: bool) -> None:
    """Export all records as a folder of the legacy tool, and report what that format cannot store."""
    from machine_monitor.cli import reports
    from machine_monitor.services import legacy

    with site.open_database() as (settings, database):
        report = legacy.export(database, target, site.legacy_zone(timezone, settings, database))
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False, indent=1))
    else:
        reports.print_export(report.document())
