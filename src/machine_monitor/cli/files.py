"""Commands that write files: exports of records, and the report of a period."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from machine_monitor.cli import site
from machine_monitor.errors import UsageError
from machine_monitor.suggestions import did_you_mean

if TYPE_CHECKING:
    from machine_monitor.query.language.times import TimeContext
    from machine_monitor.services.projections.reports.report import ReportQuery
    from machine_monitor.services.tabular import ExportRequest

RESOURCE_NAMES = ("logs", "machines", "log_types", "users")
DIALECTS = ("rfc4180", "excel")
LANGUAGES = ("en", "fr")

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


def report(
    period: Annotated[
        str,
        typer.Argument(
            metavar="PERIOD",
            help="week, month or year (the last whole one), this-week and so on (until now), "
            "or 2026-W47, 2026-11, 2026, 2026-11-02..2026-11-08.",
        ),
    ] = "week",
    to: Annotated[
        Path | None,
        typer.Option(help="The file to write: .html or .xlsx; an existing one is replaced.", show_default=False),
    ] = None,
    query: Annotated[str, typer.Option(help="Only these machines, as in a URL: 'machine.sector__in=1A,1B'.")] = "",
    language: Annotated[
        str, typer.Option(help="The language of the report: en or fr.", autocompletion=lambda: LANGUAGES)
    ] = "en",
    url: Annotated[str, typer.Option(help="The address of the service, for links: https://machines.example.org.")] = "",
    timezone: Timezone = None,
) -> None:
    """Write the report of a period beside the period before: stops, failures, causes, MTBF, MTTR, availability.

    Without --to it is written here, as machine-monitor-PERIOD.html.
    """
    import asyncio

    from machine_monitor.database import instants
    from machine_monitor.query.language.times import TimeContext
    from machine_monitor.services.projections.reports import files as report_files

    given = None if to is None else report_files.ReportFile(to)
    with site.open_existing_database() as (settings, database):
        time_context = TimeContext(site.time_zone(timezone, settings), instants.now())
        request = _report_query(period, query, time_context)
        request = replace(request, language=_report_language(language), base_url=_base_url(url))
        file = given or report_files.ReportFile(Path(f"{request.file_stem}.html"))
        asyncio.run(report_files.save(database, request, file))
    typer.echo(f"{file.target}: {request.period.name} written")


def _report_query(period: str, query: str, time_context: "TimeContext") -> "ReportQuery":
    from machine_monitor.query.language.parser import parse_query_string
    from machine_monitor.services.projections.reports.periods import BadPeriod, parse_period
    from machine_monitor.services.projections.reports.report import PARAMETERS, parse_report_query

    pairs = parse_query_string(query.removeprefix("?").encode(errors="surrogateescape"))
    if reserved := PARAMETERS & {name for name, _ in pairs}:
        raise UsageError(f"--query chooses machines: remove {', '.join(sorted(reserved))}.")
    try:
        return replace(parse_report_query(pairs, time_context), period=parse_period(period, time_context))
    except BadPeriod as error:
        raise UsageError(str(error)) from None


def _report_language(language: str) -> str:
    if language not in LANGUAGES:
        raise UsageError(f"--language must be {' or '.join(LANGUAGES)}.")
    return language


def _base_url(url: str) -> str:
    """Return the URL of the service with a slash at its end; empty if there is none."""
    if url and not re.fullmatch(r"https?://[^\s?#]+", url):
        raise UsageError(f"--url: '{url}' is not an address such as https://machines.example.org.")
    return f"{url.rstrip('/')}/" if url else ""


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
