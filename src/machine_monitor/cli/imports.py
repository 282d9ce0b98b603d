"""The command that imports tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from machine_monitor.cli import site
from machine_monitor.cli.files import Json
from machine_monitor.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from machine_monitor.database.connect import Database
    from machine_monitor.services.imports import ImportOptions
    from machine_monitor.services.imports.mapping import Mapping


Source = Annotated[
    Path,
    typer.Argument(
        help="The file: CSV with any delimiter, XLSX, XLS, ODS or NDJSON, also as .gz or .xz.", show_default=False
    ),
]
MappingName = Annotated[str | None, typer.Option("--map", help="The file of a mapping: what the columns become.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="Show the first records and what was recognised; write nothing.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Report what would be done; write nothing.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Also overwrite records that were edited here since their import.")
]
DateMissing = Annotated[
    str | None, typer.Option(help="The start of logs without one: now, or a time. Default: they are refused.")
]
New = Annotated[
    bool, typer.Option("--new", help="Rows without a uuid become new logs, which the same rows find again.")
]
Reset = Annotated[bool, typer.Option("--reset", help="Fields without a column take their default, not what is stored.")]
Rejected = Annotated[Path | None, typer.Option(help="A CSV file for the refused rows, with a column that says why.")]
Timezone = Annotated[
    str | None, typer.Option(help="The zone of times without an offset. Default: the mapping's, or MM_TIMEZONE.")
]


def import_(
    source: Source,
    mapping: MappingName = None,
    preview: Preview = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    date_missing: DateMissing = None,
    new: New = False,
    reset: Reset = False,
    rejected: Rejected = None,
    timezone: Timezone = None,
    as_json: Json = False,
) -> None:
    """Import logs, machines, log types or users from a table. Safe to repeat: a second run changes nothing.

    The columns are fields of this product, or a mapping says what they become. Without one, a table with other columns
    gets a proposal beside it, to check and to use with --map.
    Refused rows are reported, all others are imported. Fields without a column keep what is stored.
    Exit status 1 if a row was refused or is in conflict, 2 if nothing was done.
    """
    from machine_monitor.services.imports import ImportOptions

    with site.exit_on_sigterm(), site.open_for_import(dry_run=dry_run) as (settings, database):
        zone = site.time_zone(timezone, settings)
        options = ImportOptions(
            zone,
            dry_run=dry_run,
            new=new,
            absent="reset" if reset else "keep",
            overwrite=overwrite,
            date_missing=_date(date_missing, zone),
            rejected=rejected,
        )
        del preview
        _import(database, source, options, _mapping(mapping, timezone), as_json=as_json)


def _import(
    database: "Database", source: Path, options: "ImportOptions", mapping: "Mapping | None", *, as_json: bool
) -> None:
    """Import the file and print the report."""
    from dataclasses import replace

    from machine_monitor.cli import reports
    from machine_monitor.cli.progress import bar
    from machine_monitor.services.imports import import_file

    with bar("Importing") as progress:
        report = import_file(database, source, replace(options, progress=progress), mapping)
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False, indent=1))
    else:
        reports.print_import(report.document(), dry_run=options.dry_run)
    raise typer.Exit(0 if report.clean else 1)


def _date(text: str | None, zone: "ZoneInfo") -> "datetime | None":
    """Return the time that --date-missing gives."""
    from machine_monitor.database import instants
    from machine_monitor.query.language.times import BadTime, DayRange, TimeContext, parse_time_filter

    if text is None:
        return None
    try:
        found = parse_time_filter(text, TimeContext(zone, instants.now()))
    except BadTime as error:
        raise UsageError(f"--date-missing: {error}") from None
    return found.start if isinstance(found, DayRange) else found


def _mapping(name: str | None, timezone: str | None) -> "Mapping | None":
    """Read the mapping of this file or name; a time zone of the command line replaces its own."""
    from machine_monitor.services.imports import mapping

    if name is None:
        return None
    found = mapping.read_file(Path(name))
    return found if timezone is None else found.model_copy(update={"zone": timezone})
