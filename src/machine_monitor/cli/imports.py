"""The command that imports tables, and those that manage saved mappings."""

import json
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from machine_monitor.cli import site
from machine_monitor.cli.files import Json
from machine_monitor.errors import Invalid, UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from machine_monitor.services.imports.mapping import TableMapping
    from machine_monitor.services.imports.reader import Table


Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="The file: CSV with any delimiter, XLSX, XLS, ODS or NDJSON, also as .gz or .xz.",
        show_default=False,
    ),
]
MappingName = Annotated[
    str | None,
    typer.Option("--map", help="What the columns become: the file of a mapping, or the name of a saved one."),
]
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
    bool,
    typer.Option(
        "--new", help="Rows without a uuid become new logs. A second import of the same rows finds these logs again."
    ),
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

    A table whose columns have the names of fields is imported at once. For any other table, a mapping is first
    proposed in a file beside it: check it, then import with --map.
    Refused rows are reported, all others are imported. Fields without a column keep what is stored.
    Exit status 1 if a row was refused or is in conflict, 2 if nothing was done.
    """
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.services.imports import ForeignTable, ImportOptions, open_file
    from machine_monitor.services.imports.rejected import check_path

    check_path(rejected, source, Path(mapping or source))
    zone, absent = site.time_zone(timezone, config.load()), "reset" if reset else "keep"
    with site.exit_on_sigterm(), bar("Importing") as progress:
        date, warn = _date(date_missing, zone), partial(typer.echo, err=True)
        options = ImportOptions(zone, dry_run, new, absent, overwrite, date, rejected, warn=warn, progress=progress)
        try:
            file = open_file(source, options, _mapping(mapping, timezone))
        except ForeignTable as foreign:
            _propose(foreign.table, zone)
        except Invalid as invalid:
            _refuse_import(mapping, invalid)
        with site.open_for_import(dry_run=dry_run or preview) as (_, database):
            found = file.preview(database) if preview else file.run(database).to_dict()
    _print(found, as_json=as_json, dry_run=dry_run)


def list_mappings(as_json: Json = False) -> None:
    """List the saved mappings: their names, and who saved them."""
    from machine_monitor.cli import reports
    from machine_monitor.services.imports import saved_mappings

    with site.open_existing_database() as (_, database):
        found = database.snapshot(saved_mappings.read_all)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        reports.print_mappings(found)


def show_mapping(name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)]) -> None:
    """Print a saved mapping as JSON: a file for `mm import --map`, and for `mm mapping save`."""
    from machine_monitor.services.imports import saved_mappings

    with site.open_existing_database() as (_, database):
        found = database.snapshot(lambda tx: saved_mappings.find(tx, name))
    typer.echo(json.dumps(json.loads(found.body), ensure_ascii=False, indent=1))


def save_mapping(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The JSON file of a mapping.", show_default=False)],
) -> None:
    """Save a mapping under the name that it has, over an earlier one of that name."""
    from machine_monitor.cli.accounts import VIA
    from machine_monitor.models import MAPPINGS
    from machine_monitor.services.audit.history import ChangeContext
    from machine_monitor.services.imports import mapping, saved_mappings
    from machine_monitor.services.records import Target

    try:
        document = saved_mappings.validate(mapping.read_document(file))
    except Invalid as invalid:
        _refuse(f"Nothing was saved: {file} is no mapping.", invalid)
    target = Target(MAPPINGS, document["name"])
    with site.open_database() as (_, database):
        result = database.transact(lambda tx: saved_mappings.save(tx, target, document, ChangeContext(VIA)))
    typer.echo(f"{'Saved' if result.created else 'Replaced'} the mapping {target.key}.")


def _print(found: dict[str, Any], *, as_json: bool, dry_run: bool) -> "NoReturn":
    """Print a report or a preview; the exit status says whether a row was refused or is in conflict."""
    from machine_monitor.cli import previews, reports

    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
    elif "preview" in found:
        previews.print_preview(found)
    else:
        reports.print_import(found, dry_run=dry_run)
    counts = found["preview"]["counts"] if "preview" in found else found
    outcomes = [each for each in counts.values() if isinstance(each, dict) and "rejected" in each]
    failed = any(each["rejected"] or each["conflict"] for each in outcomes)
    raise typer.Exit(1 if failed else 0)


def _propose(table: "Table", zone: "ZoneInfo") -> "NoReturn":
    """Show what was recognised in a foreign table, write a mapping beside it, and say how to go on."""
    from machine_monitor.cli import previews
    from machine_monitor.models.fields import MAX_ATTRIBUTES
    from machine_monitor.services.imports import propose_file

    if table.width == 0:
        raise UsageError(f"{table.path} has no table: it has no header and no rows.")
    previews.print_table(table)
    proposed = propose_file(table, zone)
    verb = "A mapping is proposed" if proposed.is_new else "There is a mapping already"
    columns = ", ".join(f"'{name}'" for name in proposed.left_out)
    left_out = f"A record has at most {MAX_ATTRIBUTES} attributes, so it leaves out {columns}. " if columns else ""
    raise UsageError(
        f"Nothing was imported: the columns of {table.path} are not ours. {verb} in {proposed.path}. {left_out}"
        "Check it, then run:\n"
        f"mm import {shlex.quote(str(table.path))} --map {shlex.quote(str(proposed.path))} --preview"
    )


def _refuse_import(mapping: str | None, invalid: Invalid) -> "NoReturn":
    """Raise why a file cannot be imported, with each fault of its mapping if it has one."""
    if mapping is None:
        raise invalid
    _refuse(f"Nothing was imported: the mapping {mapping} does not fit.", invalid)


def _refuse(outcome: str, invalid: Invalid) -> "NoReturn":
    """Name each fault of a mapping with its place."""
    lines = [f"{fault.pointer or '/'}: {fault.message}" for fault in invalid.faults]
    raise UsageError("\n".join([outcome, *lines])) from None


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


def _mapping(name: str | None, timezone: str | None) -> "TableMapping | None":
    """Read the mapping of this file or name; a time zone of the command line replaces its own."""
    from machine_monitor.services.imports import mapping

    if name is None:
        return None
    is_file = name.endswith(".json") or Path(name).exists()
    found = mapping.read_file(Path(name)) if is_file else _saved_mapping(name)
    return found if timezone is None else found.model_copy(update={"zone": timezone})


def _saved_mapping(name: str) -> "TableMapping":
    """Read a mapping that was saved by `PUT /mappings/{name}`; raises `UsageError`."""
    from machine_monitor.errors import NotFound
    from machine_monitor.services.imports import mapping, saved_mappings

    with site.open_existing_database() as (_, database):
        try:
            return mapping.parse(database.snapshot(lambda tx: saved_mappings.find(tx, name)).values)
        except NotFound as unknown:
            raise UsageError(f"There is no file {name}, and no saved mapping. {unknown.detail}") from None
