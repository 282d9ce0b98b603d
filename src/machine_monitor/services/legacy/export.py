"""Writing the records back as the legacy tool kept them, and counting what that shape cannot hold."""

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

MAX_FILE_NAME = 255  # bytes, on the file systems that people have
FLAGS = {True: "Oui", False: "Non", None: ""}
# Every site has these types from its first start on.
SHIPPED_TYPES = ("info", "error", "reload", "maintenance", "inspection", "cleaning", "setting")
SHIPPED_FAILURES = ("error",)


@dataclass
class ExportReport:
    """How many files were written, and of how many records that shape cannot hold a field, as in `logs.severity`."""

    written: Counter[str] = field(default_factory=Counter)
    not_held: Counter[str] = field(default_factory=Counter)

    def lose(self, resource: Resource, names: Iterable[str]) -> None:
        """Count what one record loses."""
        self.not_held.update(f"{resource.name}.{name}" for name in names)

    def document(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        counts = {resource.name: self.written[resource.name] for resource in (MACHINES, LOGS, USERS)}
        return {**counts, "not_held": dict(sorted(self.not_held.items()))}


@dataclass
class Writing:
    """A folder that is being written."""

    target: Path
    zone: ZoneInfo
    report: ExportReport = field(default_factory=ExportReport)

    def write(self, kind: Kind, record: Mapping[str, Any], members: dict[str, Any]) -> None:
        """Write one file, and count what reading it back would not give."""
        resource, _ = translate.CONVERSIONS[kind]
        stem = record[resource.key]
        path = self.target / kind / f"{stem}.json"
        # A sign that some system takes for a folder's would lead out of the target there.
        if len(path.name.encode()) > MAX_FILE_NAME or path.parent != self.target / kind:
            self.report.lose(resource, [resource.key])
            return
        path.write_text(json.dumps(members, ensure_ascii=False, indent=2), encoding="utf-8")
        self.report.written[resource.name] += 1
        back = translate.record(Raw(kind, path.name, stem, members=members), self.zone)
        if isinstance(back, translate.Rejected):
            self.report.lose(resource, {finding.field or "record" for finding in back.findings})
            return
        returned = resource.create.model_validate(back.values).model_dump(mode="json")
        self.report.lose(resource, history.changes_between({name: record[name] for name in returned}, returned))


class Living(NamedTuple):
    """The records as they were at one moment, logs as rows of (document, id, version)."""

    users: list[dict[str, Any]]
    machines: list[dict[str, Any]]
    log_types: list[dict[str, Any]]
    logs: list[tuple[str, int, int]]
    edits: Mapping[int, list[Edit]]


def export(database: Database, target: Path, zone: ZoneInfo) -> ExportReport:
    """Write the living records into a folder that is new or empty, in the legacy shape; raises `UsageError`."""
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target} is there already and is not an empty folder.")
        for kind in translate.CONVERSIONS:
            (target / kind).mkdir(parents=True, exist_ok=True)
        return _export(database.snapshot(_living), Writing(target, zone))
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.") from error


def _living(tx: Transaction) -> Living:
    found = [records.read_all(tx, resource) for resource in (USERS, MACHINES, LOG_TYPES)]
    return Living(*found, tx.run(undeleted_records_statement(tx.engine, LOGS), {}), imports.edits(tx))


def _export(living: Living, writing: Writing) -> ExportReport:
    for user in living.users:
        writing.write("employs", user, _employ(user))
    for machine in living.machines:
        writing.write("machines", machine, _machine(machine))
    used = set()
    for body, identity, _ in living.logs:
        log = json.loads(body)
        used.add(log["type"])
        writing.write("logs", log, _log(log, living.edits.get(identity, []), writing.zone))
    for log_type in living.log_types:
        writing.report.lose(LOG_TYPES, _lost_of_type(log_type, used))
    return writing.report


def _employ(user: Mapping[str, Any]) -> dict[str, Any]:
    names = {"firstName": user["first_name"] or "", "lastName": user["last_name"] or ""}
    return {**names, "trigram": user["trigram"], "authorisation": user["role"]}


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
        "userName": log["user"] or _unlike_trigram(log["attributes"].get("userName")),
    }
    if edits:
        members["modified"] = [[values.clock(at, zone), user or ""] for at, user in edits]
    return members | _attributes(log, translate.LOG_KEYS)


def _unlike_trigram(text: Any) -> Any:
    """An author's name that is an attribute because it is no trigram goes back to its place."""
    return text if isinstance(text, str) and validation.key_faults(USERS, text) else ""


def _attributes(record: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The attributes that can be keys of the file; its own keys cannot, and none is called a token."""
    return {
        name: value for name, value in record["attributes"].items() if name not in known and name.lower() != "token"
    }


def _lost_of_type(log_type: Mapping[str, Any], used: set[str]) -> list[str]:
    """What of a type a new site would not have, if only the logs are there to name it."""
    code = log_type["code"]
    if code not in used and code not in SHIPPED_TYPES:
        return ["code"]
    given = {"label": code, "counts_as_failure": code in SHIPPED_FAILURES, "active": True}
    return [name for name, value in given.items() if log_type[name] != value]
