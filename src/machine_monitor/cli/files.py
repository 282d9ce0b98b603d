"""The command that exports records to files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from machine_monitor.cli import site
from machine_monitor.errors import UsageError
from machine_monitor.suggestions import did_you_mean

if TYPE_CHECKING:
    from machine_monitor.query.language.times import TimeContext
    from machine_monitor.services.tabular import ExportRequest

RESOURCE_NAMES = ("logs", "machines", "log_types", "users")
DIALECTS = ("rfc4180", "excel")

Resource = Annotated[
    str,
    typer.Option(
        help="The records to export: logs, machines, log_types or users.", autocompletion=lambda: RESOURCE_NAMES
    ),
]
Dialect = Annotated[
    str | None, typer.Option(help="The CSV dialect: rfc4180 (default) or excel.", autocompletion=lambda: DIALECTS)
]
Timezone = Annotated[str | None, typer.Option(help="The time zone of times without an offset. Default: MM_TIMEZONE.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Target = Annotated[
    Path,
    typer.Argument(
        metavar="TARGET",
        help="The file to write: .ndjson, .csv or .xlsx. With --legacy: a new folder.",
        show_default=False,
    ),
]


def export(
    target: Target,
    resource: Resource = "logs",
    query: Annotated[str, typer.Option(help="Filters and sort order, as in a URL: 'type=error&sort=machine'.")] = "",
    dialect: Dialect = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    legacy_shape: Annotated[
        bool, typer.Option("--legacy", help="Export all records as a folder of the legacy tool.")
    ] = False,
    files: Annotated[
        Path | None, typer.Option(help="Also write the attachments of these records, into this folder.")
    ] = None,
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
        is_alone = resource == "logs" and not (query or dialect or force or files)
        return _export_folder(target, timezone, is_alone=is_alone, as_json=as_json)
    resources = {each.name: each for each in RESOURCES}
    if resource not in resources:
        raise UsageError(f"--resource must be one of {', '.join(resources)}.{did_you_mean(resource, resources)}")
    request = tabular.ExportRequest(target, resources[resource], query, dialect, force)
    with site.open_existing_database() as (settings, database), bar("Exporting") as progress:
        time_context = TimeContext(site.time_zone(timezone, settings), instants.now())
        count = asyncio.run(tabular.save(database, request, time_context, progress))
    return _print_counts({resource: count} | _export_files(request, time_context, files), as_json=as_json)


def _print_counts(counts: dict[str, int], *, as_json: bool) -> None:
    typer.echo(
        json.dumps(counts) if as_json else ", ".join(f"{count} {name} written" for name, count in counts.items())
    )


def _export_files(request: "ExportRequest", time_context: "TimeContext", folder: Path | None) -> dict[str, int]:
    """Write the attachments of an export, if there is a folder for them; exit 1 if some are missing from the store."""
    if folder is None:
        return {}
    import asyncio

    from machine_monitor.services import tabular
    from machine_monitor.services.files.store import store_of

    with site.open_existing_database() as (settings, database):
        store = store_of(settings.files, database.url)
        if store is None:
            raise UsageError("There is no folder for attachments: set MM_FILES.")
        written = asyncio.run(tabular.save_files(database, request, time_context, store, folder))
    if written.missing:
        typer.secho(f"Missing from the store: {', '.join(written.missing)}.", fg="red", err=True)
        raise typer.Exit(1)
    return {"files": written.files}


def _export_folder(target: Path, timezone: str | None, *, is_alone: bool, as_json: bool) -> None:
    """Export all records as a folder of the legacy tool, and report what that format cannot store.

    Raises `UsageError` unless this option is alone.
    """
    if not is_alone:
        raise UsageError("--legacy exports all records: omit --resource, --query, --dialect, --force and --files.")
    from machine_monitor.cli import reports
    from machine_monitor.services import legacy

    with site.open_existing_database() as (settings, database):
        report = legacy.export(database, target, site.legacy_zone(timezone, settings, database))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=1))
    else:
        reports.print_export(report.to_dict())
