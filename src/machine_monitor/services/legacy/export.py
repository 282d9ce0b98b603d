"""Export records in the format of the legacy tool, and count what that format cannot store."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.query.schema import Resource
from machine_monitor.query.sql.documents import undeleted_records_statement
from machine_monitor.services import records
from machine_monitor.services.audit import history
from machine_monitor.services.legacy import imports, translate, values
from machine_monitor.services.legacy.read import Kind, Raw
from machine_monitor.services.legacy.values import Edit
from machine_monitor.services.records import validation

MAX_FILE_NAME = 255  # bytes, on common file systems
FLAGS = {True: "Oui", False: "Non", None: ""}
LEGACY_ROLES = {"operator": "user"}
# Log types that every new database has.
INITIAL_TYPES = ("info", "error", "reload", "maintenance", "inspection", "cleaning", "setting")
INITIAL_FAILURE_TYPES = ("error",)


@dataclass
class ExportReport:
    """The number of files written, and per field (`logs.severity`) of records whose value the format cannot store."""

    written: Counter[str] = field(default_factory=Counter)
    not_held: Counter[str] = field(default_factory=Counter)

    def count_lost(self, resource: Resource, names: Iterable[str]) -> None:
        """Count the fields of one record that are lost."""
        self.not_held.update(f"{resource.name}.{name}" for name in names)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `--json` prints it."""
        counts = {resource.name: self.written[resource.name] for resource in (MACHINES, LOGS, USERS)}
        return {**counts, "not_held": dict(sorted(self.not_held.items()))}


@dataclass
class LegacyFolderWriter:
    """Writes records into a folder of the legacy tool."""

    target: Path
    zone: ZoneInfo
    report: ExportReport = field(default_factory=ExportReport)

    def write(self, kind: Kind, record: Mapping[str, Any], members: dict[str, Any], stem: str = "") -> None:
        """Write one record, and count the fields that reading the file back would not restore.

        The file is named `stem`, or else by the record's key.
        """
        resource, _ = translate.CONVERSIONS[kind]
        stem = stem if stem and not (self.target / kind / f"{stem}.json").exists() else record[resource.key]
        path = self.target / kind / f"{stem}.json"
        # A name with a path separator (a backslash on Windows) would leave the target folder.
        if len(path.name.encode()) > MAX_FILE_NAME or path.parent != self.target / kind:
            self.report.count_lost(resource, [resource.key])
            return
        path.write_text(json.dumps(members, ensure_ascii=False, indent=2), encoding="utf-8")
        self.report.written[resource.name] += 1
        self.report.count_lost(resource, [name for name in resource.managed_lists if record[name]])
        back = translate.record(Raw(kind, path.name, stem, members=members), self.zone)
        if isinstance(back, translate.Rejected):
            self.report.count_lost(resource, {finding.field or "record" for finding in back.findings})
            return
        returned = resource.create.model_validate(back.values).model_dump(mode="json")
        self.report.count_lost(resource, history.changes_between({name: record[name] for name in returned}, returned))


class Snapshot(NamedTuple):
    """All records that are not deleted, as of one moment; logs as rows of (document, id, version)."""

    users: list[dict[str, Any]]
    machines: list[dict[str, Any]]
    log_types: list[dict[str, Any]]
    logs: list[tuple[str, int, int]]
    edits: Mapping[int, list[Edit]]
    # The people as they were imported, by key.
    people: Mapping[str, str | None]


def export(database: Database, target: Path, zone: ZoneInfo) -> ExportReport:
    """Write all records into a new or empty folder, in the legacy format; raises `UsageError` if that is impossible."""
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target} already exists and is not an empty folder: name a new one.")
        for kind in translate.CONVERSIONS:
            (target / kind).mkdir(parents=True, exist_ok=True)
        return _export(database.snapshot(_read_all), LegacyFolderWriter(target, zone))
    except OSError as error:
        raise UsageError(f"Cannot write {target}: {error.strerror}.") from error


def _read_all(tx: Transaction) -> Snapshot:
    people = dict(tx.execute(imports.raw_statement(tx.engine), {"resource": USERS.name}))
    lists = [records.read_all(tx, resource) for resource in (USERS, MACHINES, LOG_TYPES)]
    return Snapshot(
        *lists, tx.execute(undeleted_records_statement(tx.engine, LOGS), {}), imports.legacy_edits(tx), people
    )


def _export(snapshot: Snapshot, writer: LegacyFolderWriter) -> ExportReport:
    for user in snapshot.users:
        raw = snapshot.people.get(USERS.unique_key_of(user["trigram"]))
        # The legacy tool takes first and last name from the name of the file.
        stem = f"{user['first_name']} {user['last_name']}" if user["first_name"] and user["last_name"] else ""
        writer.write("employs", user, _employ(user, raw), "" if set(stem) & set("/\\\0") else stem)
    for machine in snapshot.machines:
        writer.write("machines", machine, _machine(machine))
    used = set()
    for body, identity, _ in snapshot.logs:
        log = json.loads(body)
        used.add(log["type"])
        writer.write("logs", log, _log(log, snapshot.edits.get(identity, []), writer.zone))
    for log_type in snapshot.log_types:
        writer.report.count_lost(LOG_TYPES, _lost_type_fields(log_type, used))
    return writer.report


def _employ(user: Mapping[str, Any], raw: str | None) -> dict[str, Any]:
    """Return the file of a person. The role has the word that it came with, or else the legacy tool's own."""
    word = str((json.loads(raw) if raw else {}).get("authorisation", "")).strip()
    if translate.ROLES.get(word.lower()) != user["role"]:
        word = LEGACY_ROLES.get(user["role"], user["role"])
    names = {"firstName": user["first_name"] or "", "lastName": user["last_name"] or ""}
    return {**names, "trigram": user["trigram"], "authorisation": word}


def _machine(machine: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: machine[name] or "" for name in translate.MACHINE_TEXTS}
    year = machine["year_of_acquisition"]
    members = {**texts, "year_of_acquisition": "" if year is None else str(year)}
    members["in_service"] = FLAGS[machine["in_service"]]
    return members | _attributes(machine, translate.MACHINE_KEYS)


def _log(log: Mapping[str, Any], edits: list[Edit], zone: ZoneInfo) -> dict[str, Any]:
    members = {
        "machineName": log["machine"],
        "type": values.RELOAD if log["type"] == "reload" else log["type"],
        "project": log["project"] or "",
        "comment": log["comment"] or "",
        "timeStamp": values.clock(log["started_at"], zone),
        "userName": log["user"] or _author_attribute(log["attributes"].get("userName")),
    }
    if edits:
        members["modified"] = [[values.clock(at, zone), user or ""] for at, user in edits]
    return members | _attributes(log, translate.LOG_KEYS)


def _author_attribute(text: Any) -> Any:
    """Return the attribute `userName` if it is not a valid trigram: the import stored such authors there."""
    return text if isinstance(text, str) and validation.key_faults(USERS, text) else ""


def _attributes(record: Mapping[str, Any], legacy_keys: frozenset[str]) -> dict[str, Any]:
    """Return the attributes that can be keys of the file: not the format's own keys, and not `token`."""
    return {
        name: value
        for name, value in record["attributes"].items()
        if name not in legacy_keys and name.lower() != "token"
    }


def _lost_type_fields(log_type: Mapping[str, Any], used: set[str]) -> list[str]:
    """Return the fields of a log type that an import of the exported logs into a new database would not restore."""
    code = log_type["code"]
    if code not in used and code not in INITIAL_TYPES:
        return ["code"]
    given = {"label": code, "counts_as_failure": code in INITIAL_FAILURE_TYPES, "active": True}
    return [name for name, value in given.items() if log_type[name] != value]
