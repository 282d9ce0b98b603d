"""Import a file: as a mapping says, or by its own column names."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from machine_monitor import config
from machine_monitor.database.connect import Database
from machine_monitor.errors import BadSetting, Fault, Forbidden, Invalid, MonitorError, UsageError
from machine_monitor.models import USERS
from machine_monitor.services.imports import own_tables
from machine_monitor.services.imports.candidates import RowSource
from machine_monitor.services.imports.execution.running import ImportRun
from machine_monitor.services.imports.mapping import RowMapper, TableMapping
from machine_monitor.services.imports.mapping.proposal import Proposal
from machine_monitor.services.imports.options import ImportOptions
from machine_monitor.services.imports.own_tables import OwnRows
from machine_monitor.services.imports.preview import preview
from machine_monitor.services.imports.reader import Table, open_table
from machine_monitor.services.imports.report import ImportReport

NO_USERS = "An import that creates or changes users requires the admin role, and a credential with the admin scope."


class ForeignTable(MonitorError):
    """The columns of a table are not ours: it needs a mapping."""

    def __init__(self, table: Table) -> None:
        super().__init__(f"{table.path} needs a mapping: its columns are no fields of this product.")
        self.table = table


@dataclass(frozen=True)
class ImportFile:
    """A file that is opened and found to be readable, with the options and the mapping of its import."""

    source: RowSource
    options: ImportOptions
    mapping: TableMapping | None = None

    def run(self, database: Database) -> ImportReport:
        """Import the file."""
        return ImportRun(database, self.source, self.options, self.mapping).execute()

    def preview(self, database: Database) -> dict[str, Any]:
        """Return what an import would do, as JSON; nothing is written."""
        return preview(database, self.source, self.options, self.mapping)


def open_file(path: Path, options: ImportOptions, mapping: TableMapping | None = None) -> ImportFile:
    """Open a file. Raises `UsageError`, `Invalid` for a mapping that does not fit, or `ForeignTable` without one."""
    return ImportFile(row_source(path, options, mapping), options, mapping)


def import_file(
    database: Database, path: Path, options: ImportOptions, mapping: TableMapping | None = None
) -> ImportReport:
    """Open and import a file."""
    return open_file(path, options, mapping).run(database)


class ProposedMapping(NamedTuple):
    """The file of a proposed mapping, whether it is new, and the names of the columns that it leaves out."""

    path: Path
    is_new: bool
    left_out: Sequence[str] = ()


def propose_file(table: Table, zone: ZoneInfo) -> ProposedMapping:
    """Write a proposal of a mapping beside the file. An existing one stays as it is."""
    path = table.path.with_name(f"{table.path.name}.map.json")
    if path.exists():
        return ProposedMapping(path, is_new=False)
    document, left_out = propose_mapping(table, zone)
    try:
        path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error
    return ProposedMapping(path, is_new=True, left_out=left_out)


def propose_mapping(table: Table, zone: ZoneInfo) -> tuple[dict[str, Any], Sequence[str]]:
    """Return a proposal of a mapping as JSON, named like the file, and the names of the columns that it leaves out."""
    name = re.sub(r"[\x00-\x1f/]", " ", table.path.name.split(".")[0])[:100].strip() or "table"
    proposal = Proposal(table)
    return proposal.document(name, str(zone)), proposal.left_out


def row_source(path: Path, options: ImportOptions, mapping: TableMapping | None = None) -> RowSource:
    """Open a file and return its rows as candidates."""
    if mapping is not None:
        zone = zone_of(mapping)
        _check_rights(mapping, options)
        return RowMapper(open_table(path, mapping.read.options()), mapping, zone)
    table = open_table(path, is_known=own_tables.has_own_names)
    header = own_tables.recognise(table, new=options.new)
    if header is None:
        raise ForeignTable(table)
    if header.resource is USERS and not options.manages_users:
        raise Forbidden(NO_USERS)
    return OwnRows(table, header, options.zone, new=options.new)


def zone_of(mapping: TableMapping) -> ZoneInfo | None:
    """Return the time zone of a mapping, if it names one; raises `Invalid` if that does not exist."""
    try:
        return None if mapping.zone is None else config.zone(mapping.zone)
    except BadSetting as error:
        raise Invalid(faults=[Fault(error.detail, "invalid", "/zone")]) from None


def _check_rights(mapping: TableMapping, options: ImportOptions) -> None:
    """Raise `Forbidden` or `Invalid` if the mapping does to users what the importing user may not do."""
    if not options.manages_users:
        places = {
            "/resource": mapping.resource == "users",
            "/users": bool(mapping.users),
            "/unknown_user": mapping.unknown_user == "create",
        }
        if any(places.values()):
            raise Forbidden(
                faults=[Fault(NO_USERS, "forbidden", place) for place, is_used in places.items() if is_used]
            )
    faults = [
        Fault(f"Only a user of that role can give somebody the role {meaning.role}.", "forbidden", f"/users/{key}/role")
        for key, meaning in mapping.users.items()
        if meaning.role is not None and type(options.role)[meaning.role.upper()] > options.role
    ]
    if faults:
        raise Invalid(faults=faults)
