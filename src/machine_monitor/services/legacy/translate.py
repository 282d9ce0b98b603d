"""Translate a legacy record into fields of the API, and report what was adjusted. Does not use the database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.query.language.attributes import derive_key
from machine_monitor.query.schema import Resource
from machine_monitor.services.legacy import values
from machine_monitor.services.legacy.read import Raw
from machine_monitor.services.legacy.report import Finding
from machine_monitor.services.legacy.values import Edit
from machine_monitor.services.records import validation
from machine_monitor.suggestions import PROTOTYPE_FIELDS

# A random namespace: a file name that is not a UUID gets the same UUIDv5 in every run.
NAMESPACE = UUID("6c1f3a52-8d0e-5b7a-9f43-2e1c7d8a4b60")
MACHINE_TEXTS = ("sector", "usage", "manufacturer", "model", "serial_number", "comment")
MACHINE_KEYS = frozenset({*MACHINE_TEXTS, "year_of_acquisition", "in_service"})
EDIT_KEYS = ("modified", "modifications")
LOG_KEYS = frozenset({"machineName", "type", "project", "comment", "timeStamp", "userName", *EDIT_KEYS})
USER_KEYS = frozenset({"firstName", "first_name", "lastName", "last_name", "trigram", "authorisation"})
ROLES = {role: role for role in ("admin", "lead", "supervisor", "operator", "viewer")} | {"user": "operator"}
# Field names of the API, and their names in the legacy tool where they differ.
LEGACY_NAMES = {fields[0]: name for name, fields in PROTOTYPE_FIELDS.items()}
# The machine of drafts that have none; it is created as one that nobody has listed.
NO_MACHINE = "(unlisted)"
SHIFTS = {
    "ambiguous": "This local time occurred twice (clock change). The earlier one is used.",
    "skipped": "This local time did not exist (clock change). It is moved forward by the length of the gap.",
}


@dataclass(slots=True)
class Record:
    """A legacy record as fields of the API; `declared` is False if it has no file and only logs mention it."""

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
    """A record that cannot be imported, with its findings."""

    resource: Resource
    findings: tuple[Finding, ...]
    stem: str


@dataclass
class Translation:
    """A record in translation: its members, and the findings so far."""

    raw: Raw
    zone: ZoneInfo
    members: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)

    def note(self, name: str | None, code: str, message: str) -> None:
        """Add a note: a value was adjusted."""
        self.findings.append(Finding(self.raw.file, name, "note", code, message))

    def reject(self, name: str | None, code: str, message: str) -> None:
        """Add an error: the record cannot be imported."""
        self.findings.append(Finding(self.raw.file, name, "error", code, message))

    def text(self, name: str, *, trimmed: bool = False) -> Any:
        """Return a text, or None if it is empty. Converts numbers; other types are left for the schema to reject."""
        value = self.members.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.note(name, "number", "Expected a text but found a number. It is imported as text.")
            value = str(value)
        if isinstance(value, str):
            return (value.strip() if trimmed else value) or None
        return value

    def attributes(self, legacy_keys: frozenset[str]) -> dict[str, Any]:
        """Return the members with unknown keys, as attributes."""
        attributes: dict[str, Any] = {}
        unknown = {
            key: value for key, value in self.members.items() if key not in legacy_keys and value not in ("", None)
        }
        for key, value in unknown.items():
            name = derive_key(key, attributes.keys() | unknown.keys())
            attributes[name], adjusted = values.attribute_content(value)
            if name != key:
                self.note(key, "attribute-key", f"This key is not allowed for an attribute. It is stored as '{name}'.")
            if adjusted:
                self.note(key, "attribute-value", adjusted)
        return attributes

    def validate(self, resource: Resource, record_values: dict[str, Any]) -> dict[str, Any]:
        """Validate the values against the resource's schema, and reject what is invalid."""
        try:
            body = resource.create.model_validate(record_values)
        except ValidationError as error:
            for fault in validation.faults(error, resource.create):
                name = (fault.pointer or "/").split("/")[1]
                legacy = LEGACY_NAMES.get(name, name)
                self.reject(legacy or None, fault.code, fault.message.replace(f"'{name}'", f"'{legacy}'", 1))
            return record_values
        return body.model_dump(mode="json", include=set(record_values))


def record(raw: Raw, zone: ZoneInfo) -> Record | Rejected:
    """Translate a legacy record, or reject it with the reasons. `zone` is the zone of its local times."""
    resource, convert = CONVERSIONS[raw.kind]
    if raw.members is None:
        code, message = raw.fault or ("bad-json", "Expected a JSON object.")
        return Rejected(resource, (Finding(raw.file, None, "error", code, message),), raw.stem)
    translation = Translation(raw, zone, raw.members)
    translated = convert(translation)
    if any(finding.level == "error" for finding in translation.findings):
        findings = [finding for finding in translation.findings if finding.code != "draft"]
        return Rejected(resource, tuple(findings), raw.stem)
    translated.notes = tuple(translation.findings)
    return translated


def _machine(translation: Translation) -> Record:
    machine: dict[str, Any] = {"name": translation.raw.stem}
    machine |= {name: translation.text(name, trimmed=True) for name in MACHINE_TEXTS}
    try:
        machine["year_of_acquisition"] = values.year(translation.members.get("year_of_acquisition"))
    except ValueError as error:
        translation.reject("year_of_acquisition", "invalid", str(error))
    try:
        machine["in_service"] = values.flag(translation.members.get("in_service", True))
    except ValueError as error:
        translation.reject("in_service", "invalid", str(error))
    machine["attributes"] = translation.attributes(MACHINE_KEYS)
    machine = translation.validate(MACHINES, machine)
    return Record(
        MACHINES, translation.raw.file, MACHINES.unique_key_of(machine["name"]), machine, translation.raw.text
    )


def _user(translation: Translation) -> Record:
    for name in translation.members.keys() - USER_KEYS:
        translation.note(name, "dropped", "Users have no attributes: this key is not imported.")
    user = {"trigram": translation.text("trigram", trimmed=True) or ""}
    for name, other in (("first_name", "firstName"), ("last_name", "lastName")):
        user[name] = translation.text(other if other in translation.members else name, trimmed=True)
    _make_trigram(translation, user)
    authorisation = str(translation.members.get("authorisation") or "").strip().lower()
    user["role"] = ROLES.get(authorisation, "operator")
    if authorisation not in ROLES:
        message = f"Unknown role {authorisation!r:.60}. The user is imported as an operator."
        translation.note("authorisation", "unknown-role", message)
    user = translation.validate(USERS, user)
    return Record(USERS, translation.raw.file, USERS.unique_key_of(str(user["trigram"])), user, translation.raw.text)


def _make_trigram(translation: Translation, user: dict[str, Any]) -> None:
    """Make a trigram of a name: the legacy tool's own database has first and last name in its place."""
    words = str(user["trigram"]).split()
    if len(words) < 2 or not validation.key_faults(USERS, str(user["trigram"])):
        return
    trigram = values.trigram(words[0], words[-1])
    if trigram:
        user["first_name"] = user["first_name"] or words[0]
        user["last_name"] = user["last_name"] or " ".join(words[1:])
        user["trigram"] = trigram
        translation.note("trigram", "made-trigram", f"The trigram is a name. It is imported as '{trigram}'.")


def _log(translation: Translation) -> Record:
    attributes = translation.attributes(LOG_KEYS)
    label, code = _type(translation)
    log = {
        "uuid": _uuid(translation),
        "machine": _machine_name(translation),
        "type": code,
        "comment": translation.text("comment"),
        "project": translation.text("project"),
        "user": _author(translation, attributes),
        **_started_at(translation),
        "attributes": attributes,
    }
    if translation.raw.draft:
        log["status"] = "open"
    log = translation.validate(
        LOGS, {name: value for name, value in log.items() if value is not None or name != "type"}
    )
    raw = translation.raw
    return Record(LOGS, raw.file, log["uuid"], log, raw.text, edits=_edits(translation), type_label=label)


def _machine_name(translation: Translation) -> Any:
    """Return the name of the log's machine. The legacy tool saves a draft where the machine is not listed."""
    name = translation.text("machineName")
    if translation.raw.draft and name is None:
        translation.note("machineName", "no-machine", f"The draft has no machine. It is imported under '{NO_MACHINE}'.")
        return NO_MACHINE
    return name


def _uuid(translation: Translation) -> str:
    raw = translation.raw
    if not raw.draft and not validation.key_faults(LOGS, raw.stem):
        return raw.stem.lower()
    derived = str(uuid5(NAMESPACE, raw.stem))
    if raw.draft:
        translation.note(
            None, "draft", f"An unsaved draft. It is imported with the status open and the UUID {derived}."
        )
    else:
        translation.note(None, "derived-uuid", f"The file name is not a UUID. The log gets the UUID {derived}.")
    return derived


def _type(translation: Translation) -> tuple[str | None, Any]:
    """Return the label, if the code had to be derived from it, and the code."""
    text = translation.text("type", trimmed=True)
    if not isinstance(text, str):
        return None, text
    code, label = values.type_code(text)
    if label is None:
        return None, code
    try:
        LOG_TYPES.create.model_validate({"code": code, "label": label})
    except ValidationError as error:
        translation.reject("type", "invalid", validation.faults(error, LOG_TYPES.create)[0].message)
    translation.note("type", "made-code", f"The type is not a valid code. It is imported as '{code}'.")
    return label, code


def _author(translation: Translation, attributes: dict[str, Any]) -> str | None:
    """Return the author's trigram. A text that is not a valid trigram becomes an attribute."""
    value = translation.members.get("userName")
    if value in ("", None):
        return None
    if isinstance(value, str) and not validation.key_faults(USERS, value):
        return value
    attributes["userName"] = values.attribute_content(value)[0]
    translation.note(
        "userName",
        "no-trigram",
        "Not a valid trigram. The log has no author, and the text becomes the attribute userName.",
    )
    return None


def _started_at(translation: Translation) -> dict[str, str]:
    value = translation.members.get("timeStamp")
    if value in ("", None):
        translation.reject("timeStamp", "required", "'timeStamp' is missing.")
        return {}
    try:
        at, shift = values.instant(value, translation.zone)
    except ValueError as error:
        translation.reject("timeStamp", "time", str(error))
        return {}
    if shift:
        translation.note("timeStamp", shift, SHIFTS[shift])
    return {"started_at": at}


def _edits(translation: Translation) -> tuple[Edit, ...]:
    """Return the edits made in the legacy tool, oldest first; invalid ones are skipped with a note."""
    edits = []
    for name in EDIT_KEYS:
        try:
            entries = values.entries(translation.members.get(name))
        except ValueError as error:
            translation.note(name, "edit", str(error))
            continue
        for entry in entries:
            try:
                edits.append(values.edit(entry, translation.zone))
            except ValueError as error:
                translation.note(name, "edit", str(error))
    return tuple(sorted(edits, key=lambda edit: edit.at))


CONVERSIONS: dict[str, tuple[Resource, Callable[[Translation], Record]]] = {
    "machines": (MACHINES, _machine),
    "logs": (LOGS, _log),
    "employs": (USERS, _user),
}
