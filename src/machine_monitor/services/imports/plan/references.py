"""The records that rows name: machines, types and users. They are found whatever their case, or made."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlmodel import SQLModel

from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOG_TYPES, MACHINES, USERS
from machine_monitor.models.fields import MAX_ATTRIBUTES
from machine_monitor.query.schema import Resource
from machine_monitor.services.imports.candidates import ATTRIBUTE, Candidate
from machine_monitor.services.imports.mapping import TableMapping
from machine_monitor.services.imports.plan import provenance
from machine_monitor.services.imports.report import RowProblem
from machine_monitor.services.records import storage, validation
from machine_monitor.services.records.storage import StoredRecord

MADE = "The {} '{}' does not exist yet: this import creates it."
UNKNOWN = "There is no {} '{}'."
RENAMED = "The machine was renamed or merged here: it is '{}' now."
SPELLED = "The {} is stored as '{}'."
DIFFERS = "The rows of a machine say different things, or something else than what is stored. What is stored stays."
# Fields of a machine of which only its name is known.
MINIMAL_VALUES: dict[str, dict[str, Any]] = {MACHINES.name: {"in_service": None}}
INVALID_CODES = {"type": "not-a-code", "user": "not-a-code", "machine": "not-allowed"}


@dataclass
class NamedRecord:
    """A record that rows name: its stored spelling and values; it is made if `stored` is None."""

    spelling: str
    values: dict[str, Any]
    stored: StoredRecord | None = None
    is_new: bool = False
    is_changed: bool = False
    is_counted: bool = False


@dataclass
class ReferencePolicy:
    """What a mapping says about records that do not exist, and about their meaning.

    An import that may not manage users refuses unknown ones instead of creating them.
    """

    mapping: TableMapping | None
    manages_users: bool = True

    def unknown(self, name: str) -> str:
        """Return what happens if the record does not exist: create, refuse or null."""
        policy = getattr(self.mapping, f"unknown_{name}", "create") if self.mapping is not None else "create"
        return "refuse" if name == "user" and policy == "create" and not self.manages_users else policy

    def values(self, resource: Resource, key: str, label: str | None) -> dict[str, Any]:
        """Return the values of a new record."""
        found: dict[str, Any] = {resource.key: key, **MINIMAL_VALUES.get(resource.name, {})}
        if resource is LOG_TYPES and label:
            found["label"] = label[:200]
        for given, meaning in self.meanings(resource).items():
            if resource.unique_key_of(given) == resource.unique_key_of(key):
                found |= meaning
        return found

    def meanings(self, resource: Resource) -> Mapping[str, dict[str, Any]]:
        """Return the values that the mapping gives records of a resource, by key."""
        given = {LOG_TYPES: "types", USERS: "users"}.get(resource)
        if self.mapping is None or given is None:
            return {}
        return {key: meaning.model_dump(exclude_unset=True) for key, meaning in getattr(self.mapping, given).items()}


@dataclass
class References:
    """The named records of one batch of rows.

    `made` are those that earlier batches made. In a dry run they are not in the database.
    """

    tx: Transaction
    policy: ReferencePolicy
    lock: bool
    made: Mapping[tuple[str, str], NamedRecord]
    known: dict[tuple[str, str], NamedRecord] = field(default_factory=dict)

    def load(self, resource: Resource, candidates: Iterable[Candidate]) -> None:
        """Look up what these rows name, with one query for each resource."""
        candidates = [*candidates]
        for name, related in resource.references.items():
            referenced = related.resource
            names = {value for each in candidates if isinstance(value := each.fields.get(name), str) and value}
            lock = self.lock and referenced is MACHINES and any(each.machine_fields for each in candidates)
            names = {each for each in names if "\0" not in each and not _has_surrogates(each)}
            found = storage.find_several(self.tx, referenced, names, lock=lock)
            if referenced is MACHINES:
                self._load_renamed({MACHINES.unique_key_of(each) for each in names} - found.keys(), lock=lock)
            for key, stored in found.items():
                values = stored.writable_values
                self.known[referenced.name, key] = NamedRecord(stored.values[referenced.key], values, stored)
            if not self.lock:
                keys = {(referenced.name, referenced.unique_key_of(each)) for each in names}
                self.known |= {key: self.made[key] for key in keys & self.made.keys()}

    def _load_renamed(self, unknown: set[str], *, lock: bool) -> None:
        """Find the machines that were renamed or merged here, by their former names."""
        former = provenance.former_machine_names(self.tx) if unknown else {}
        names = {key: former[key] for key in unknown & former.keys()}
        found = storage.find_several(self.tx, MACHINES, names.values(), lock=lock) if names else {}
        for key, name in names.items():
            present = MACHINES.unique_key_of(name)
            if (stored := found.get(present)) is not None:
                machine = NamedRecord(stored.values[MACHINES.key], stored.writable_values, stored)
                # Both names lead to one record, which is written once.
                self.known[MACHINES.name, key] = self.known.setdefault((MACHINES.name, present), machine)

    def resolve(
        self, name: str, referenced: Resource, values: dict[str, Any], candidate: Candidate
    ) -> list[RowProblem]:
        """Set the stored spelling of a name, or plan to make the record; returns the problems."""
        value = values[name]
        key = referenced.name, referenced.unique_key_of(value)
        found = self.known.get(key)
        noun, code, source = referenced.noun, f"unknown-{name}", candidate.source(name) or value
        if found is not None:
            values[name] = found.spelling
            return self._notes(name, referenced, value, found)
        unknown = self.policy.unknown(name)
        if unknown == "null":
            values[name] = None
            return [RowProblem(name, code, "note", source, UNKNOWN.format(noun, source) + " The log has no author.")]
        if unknown == "refuse":
            return [RowProblem(name, code, "error", source, UNKNOWN.format(noun, source))]
        return self._make(name, referenced, value, candidate)

    def _notes(self, name: str, referenced: Resource, value: str, found: NamedRecord) -> list[RowProblem]:
        """Say what is not obvious about a record that was found: this import makes it, or it is stored otherwise."""
        key = referenced.name, referenced.unique_key_of(value)
        if key in self.made or found.is_new:
            message = MADE.format(referenced.noun, found.spelling)
            return [RowProblem(name, f"unknown-{name}", "note", found.spelling, message)]
        if referenced.unique_key_of(found.spelling) != key[1]:
            return [RowProblem(name, "renamed", "note", value, RENAMED.format(found.spelling))]
        if found.spelling != value and referenced is not MACHINES:
            message = SPELLED.format(referenced.noun, found.spelling)
            return [RowProblem(name, "spelling", "note", value, message)]
        return []

    def _make(self, name: str, referenced: Resource, value: str, candidate: Candidate) -> list[RowProblem]:
        label = candidate.type_label if referenced is LOG_TYPES else None
        with suppress(ValidationError):
            body = referenced.create.model_validate(self.policy.values(referenced, value, label))
            if not validation.new_key_faults(referenced, value):
                return [self._plan_new(name, referenced, value, body)]
        message = f"'{value[:60]}' cannot be the {referenced.key} of a {referenced.noun}."
        code = INVALID_CODES.get(name, "not-allowed")
        return [RowProblem(name, code, "error", candidate.source(name) or value, message)]

    def _plan_new(self, name: str, referenced: Resource, value: str, body: SQLModel) -> RowProblem:
        record = NamedRecord(value, body.model_dump(mode="json"), is_new=True)
        self.known[referenced.name, referenced.unique_key_of(value)] = record
        return RowProblem(name, f"unknown-{name}", "note", value, MADE.format(referenced.noun, value))

    def drop_unused(self, written: Iterable[Mapping[str, Any]], resource: Resource) -> None:
        """Make no record that only rows name which are not written."""
        used = {
            (related.resource.name, related.resource.unique_key_of(values[name]))
            for values in written
            for name, related in resource.references.items()
            if values[name] is not None
        }
        self.known = {key: record for key, record in self.known.items() if not record.is_new or key in used}

    def fill_machine(self, name: str, candidate: Candidate) -> list[RowProblem]:
        """Fill the empty fields of the machine of a row with what the row says about it."""
        machine, problems = self.known.get((MACHINES.name, MACHINES.unique_key_of(name))), []
        if machine is None:
            return problems
        for path, value in candidate.machine_fields.items():
            if value is None:
                continue
            key = path.removeprefix(ATTRIBUTE)
            target = machine.values if key == path else machine.values.setdefault("attributes", {})
            if target.get(key) is None and (key == path or len(target) < MAX_ATTRIBUTES):
                if key != path:
                    target = machine.values["attributes"] = {**target}
                target[key] = value
                machine.is_changed = True
            elif target.get(key) != value:
                problems.append(RowProblem(f"machine.{path}", "machine-differs", "note", None, DIFFERS))
        return problems


def _has_surrogates(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
