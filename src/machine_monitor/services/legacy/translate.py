"""One legacy record as the API would have it, and what was adjusted on the way; nothing here knows the database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.query.schema import Resource
from machine_monitor.services.legacy import values
from machine_monitor.services.legacy.read import Raw
from machine_monitor.services.legacy.values import Edit
from machine_monitor.services.records import validation
from machine_monitor.services.reports import Finding
from machine_monitor.suggestions import PROTOTYPE_FIELDS

# Any that nothing else uses: a file name that is no uuid gives the same one on every run.
NAMESPACE = UUID("6c1f3a52-8d0e-5b7a-9f43-2e1c7d8a4b60")
MACHINE_TEXTS = ("sector", "usage", "manufacturer", "model", "serial_number", "comment")
MACHINE_KEYS = frozenset({*MACHINE_TEXTS, "year_of_acquisition", "in_service"})
EDIT_KEYS = ("modified", "modifications")
LOG_KEYS = frozenset({"machineName", "type", "project", "comment", "timeStamp", "userName", *EDIT_KEYS})
USER_KEYS = frozenset({"firstName", "first_name", "lastName", "last_name", "trigram", "authorisation"})
ROLES = {role: role for role in ("admin", "lead", "supervisor", "operator", "viewer")} | {"user": "operator"}
# How the legacy tool calls what the API calls otherwise.
LEGACY_NAMES = {fields[0]: name for name, fields in PROTOTYPE_FIELDS.items()}
SHIFTS = {
    "ambiguous": "The clock showed this time twice; the earlier one is taken.",
    "skipped": "The clock never showed this time; it is moved on by the gap.",
}


@dataclass(slots=True)
class Record:
    """A legacy record in the API's terms: `values` has what its file can say, `declared` whether it has a file."""

    resource: Resource
    file: str
    key: str
    values: dict[str, Any]
    raw: str | None = None
    notes: tuple[Finding, ...] = ()
    edits: tuple[Edit, ...] = ()
    type_label: str | None = None
    declared: bool = True


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be imported, with the reasons and whatever else there is to say."""

    resource: Resource
    findings: tuple[Finding, ...]


@dataclass
class Reading:
    """A record on its way: what it says, and what there is to say of it."""

    raw: Raw
    zone: ZoneInfo
    members: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)

    def note(self, name: str | None, code: str, message: str) -> None:
        """Tell how a value was read."""
        self.findings.append(Finding(self.raw.file, name, "note", code, message))

    def refuse(self, name: str | None, code: str, message: str) -> None:
        """Tell why the record cannot be imported."""
        self.findings.append(Finding(self.raw.file, name, "error", code, message))

    def text(self, name: str, *, trimmed: bool = False) -> Any:
        """A text, null if it is empty; a number is taken as its digits, what is neither is left to the schema."""
        value = self.members.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.note(name, "number", "A number stands where a text belongs; its digits are taken.")
            value = str(value)
        if isinstance(value, str):
            return (value.strip() if trimmed else value) or None
        return value

    def attributes(self, known: frozenset[str]) -> dict[str, Any]:
        """What the keys say that nobody declared."""
        kept: dict[str, Any] = {}
        unknown = {key: value for key, value in self.members.items() if key not in known and value not in ("", None)}
        for key, value in unknown.items():
            name = values.attribute_key(key, kept.keys() | unknown.keys())
            kept[name], adjusted = values.attribute_content(value)
            if name != key:
                self.note(key, "attribute-key", f"The key cannot be an attribute's; it is kept as '{name}'.")
            if adjusted:
                self.note(key, "attribute-value", adjusted)
        return kept

    def checked(self, resource: Resource, found: dict[str, Any]) -> dict[str, Any]:
        """The values as the resource's schema has them; what does not pass is refused."""
        try:
            body = resource.create.model_validate(found)
        except ValidationError as error:
            for fault in validation.faults(error, resource.create):
                name = (fault.pointer or "/").split("/")[1]
                self.refuse(LEGACY_NAMES.get(name, name) or None, fault.code, fault.message)
            return found
        return body.model_dump(mode="json", include=set(found))


def record(raw: Raw, zone: ZoneInfo) -> Record | Rejected:
    """The record that a legacy record becomes, or why it becomes none; times are taken in `zone`."""
    resource, convert = CONVERSIONS[raw.kind]
    if raw.members is None:
        code, message = raw.fault or ("bad-json", "It is not a JSON object.")
        return Rejected(resource, (Finding(raw.file, None, "error", code, message),))
    reading = Reading(raw, zone, raw.members)
    found = convert(reading)
    if any(finding.level == "error" for finding in reading.findings):
        return Rejected(resource, tuple(reading.findings))
    found.notes = tuple(reading.findings)
    return found


def _machine(reading: Reading) -> Record:
    found: dict[str, Any] = {"name": reading.raw.stem}
    found |= {name: reading.text(name, trimmed=True) for name in MACHINE_TEXTS}
    try:
        found["year_of_acquisition"] = values.year(reading.members.get("year_of_acquisition"))
    except ValueError as error:
        reading.refuse("year_of_acquisition", "invalid", str(error))
    try:
        found["in_service"] = values.flag(reading.members.get("in_service", True))
    except ValueError as error:
        reading.refuse("in_service", "invalid", str(error))
    found["attributes"] = reading.attributes(MACHINE_KEYS)
    found = reading.checked(MACHINES, found)
    return Record(MACHINES, reading.raw.file, MACHINES.unique_key_of(found["name"]), found, reading.raw.text)


def _user(reading: Reading) -> Record:
    for name in reading.members.keys() - USER_KEYS:
        reading.note(name, "dropped", "A user has no place for this key; it is left out.")
    found = {"trigram": reading.text("trigram", trimmed=True) or ""}
    for name, other in (("first_name", "firstName"), ("last_name", "lastName")):
        found[name] = reading.text(other if other in reading.members else name, trimmed=True)
    authorisation = str(reading.members.get("authorisation") or "").strip().lower()
    found["role"] = ROLES.get(authorisation, "operator")
    if authorisation not in ROLES:
        reading.note("authorisation", "unknown-role", "There is no such role; the user is an operator.")
    found = reading.checked(USERS, found)
    return Record(USERS, reading.raw.file, USERS.unique_key_of(str(found["trigram"])), found, reading.raw.text)


def _log(reading: Reading) -> Record:
    attributes = reading.attributes(LOG_KEYS)
    label, code = _type(reading)
    found = {
        "uuid": _uuid(reading),
        "machine": reading.text("machineName"),
        "type": code,
        "comment": reading.text("comment"),
        "project": reading.text("project"),
        "user": _author(reading, attributes),
        **_started_at(reading),
        "attributes": attributes,
    }
    if reading.raw.draft:
        found["status"] = "open"
    found = reading.checked(LOGS, {name: value for name, value in found.items() if value is not None or name != "type"})
    raw = reading.raw
    return Record(LOGS, raw.file, found["uuid"], found, raw.text, edits=_edits(reading), type_label=label)


def _uuid(reading: Reading) -> str:
    raw = reading.raw
    if not raw.draft and not validation.key_faults(LOGS, raw.stem):
        return raw.stem.lower()
    derived = str(uuid5(NAMESPACE, raw.stem))
    if raw.draft:
        reading.note(None, "draft", f"A draft that was never saved is imported with the status open, as {derived}.")
    else:
        reading.note(None, "derived-uuid", f"The file's name is no uuid; the log is {derived}.")
    return derived


def _type(reading: Reading) -> tuple[str | None, Any]:
    """The label, if the code had to be made, and the code."""
    text = reading.text("type", trimmed=True)
    if not isinstance(text, str):
        return None, text
    code, label = values.type_code(text)
    if label is None:
        return None, code
    try:
        LOG_TYPES.create.model_validate({"code": code, "label": label})
    except ValidationError as error:
        reading.refuse("type", "invalid", validation.faults(error, LOG_TYPES.create)[0].message)
    reading.note("type", "made-code", f"The type cannot be a code; it is kept as '{code}'.")
    return label, code


def _author(reading: Reading, attributes: dict[str, Any]) -> str | None:
    """The author's trigram; what cannot be one is kept among the attributes."""
    value = reading.members.get("userName")
    if value in ("", None):
        return None
    if isinstance(value, str) and not validation.key_faults(USERS, value):
        return value
    attributes["userName"] = values.attribute_content(value)[0]
    reading.note("userName", "no-trigram", "It cannot be a trigram; the log has no author, the text is an attribute.")
    return None


def _started_at(reading: Reading) -> dict[str, str]:
    value = reading.members.get("timeStamp")
    if value in ("", None):
        reading.refuse("timeStamp", "required", "It does not say when it was.")
        return {}
    try:
        at, shift = values.instant(value, reading.zone)
    except ValueError as error:
        reading.refuse("timeStamp", "time", str(error))
        return {}
    if shift:
        reading.note("timeStamp", shift, SHIFTS[shift])
    return {"started_at": at}


def _edits(reading: Reading) -> tuple[Edit, ...]:
    """The edits that the legacy tool made, in order of time; one that cannot be read is left out."""
    found = []
    for name in EDIT_KEYS:
        try:
            entries = values.entries(reading.members.get(name))
        except ValueError as error:
            reading.note(name, "edit", str(error))
            continue
        for entry in entries:
            try:
                found.append(values.edit(entry, reading.zone))
            except ValueError as error:
                reading.note(name, "edit", str(error))
    return tuple(sorted(found, key=lambda edit: edit.at))


CONVERSIONS: dict[str, tuple[Resource, Callable[[Reading], Record]]] = {
    "machines": (MACHINES, _machine),
    "logs": (LOGS, _log),
    "employs": (USERS, _user),
}
