"""Bulk writes: each item is an upsert by its key.

Items are validated one by one; new records are inserted together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlmodel import SQLModel

from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, Gone, Problem, UnknownMachine, invalid
from machine_monitor.models.schemas import EXPANDED
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.access import rules
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import references, storage, unlisted, validation
from machine_monitor.services.records.references import UnknownNames
from machine_monitor.services.records.storage import NewRecord, StoredRecord

MAX_ITEM_FIELDS = 100
Status = Literal["created", "updated", "unchanged", "error"]


class Outcome(NamedTuple):
    """The result of one item; `problem` is set if its status is `error`, `warning` if the record has one."""

    index: int
    key: str | None
    status: Status
    version: int | None = None
    problem: Problem | None = None
    warning: str | None = None


@dataclass(frozen=True)
class BulkContext:
    """The context of a bulk write: resource, change context, and the time zone of local times.

    `schema` validates an item, if it accepts more than the resource's fields. With `allows_unlisted` an item may create
    the machine that it names.
    """

    resource: Resource
    change_context: ChangeContext
    zone: ZoneInfo
    schema: type[SQLModel] | None = None
    allows_unlisted: bool = False


@dataclass
class _BulkWrite:
    """The state of one bulk call: stored records, unknown names, and new records to insert."""

    tx: Transaction
    context: BulkContext
    stored: Mapping[str, StoredRecord]
    unknown: UnknownNames = field(default_factory=dict)
    new: list[tuple[int, NewRecord]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def put_item(self, index: int, item: Any, key: str | None) -> Outcome:
        """Update the stored record of an item, or queue the item for insertion."""
        resource = self.context.resource
        try:
            if not isinstance(item, dict):
                raise invalid([Fault("An item must be a JSON object.", pointer="")])
            if key in self.seen:
                message = f"Another item of this request has the same {resource.key}."
                raise invalid([Fault(message, "duplicate", f"/{resource.key}")])
            if key is not None:
                self.seen.add(key)
            stored = None if key is None else self.stored.get(key)
            body = self._complete(item, stored)
            values = validation.as_json(body)
            if stored is not None:
                records.reject_immutable_changes(resource, {name: values[name] for name in resource.immutable}, stored)
            try:
                return self._write(index, values, stored)
            except UnknownMachine:
                if not (self.context.allows_unlisted and unlisted.is_unlisted(body)):
                    raise
            unlisted.create_machine(self.tx, values["machine"], self.context.change_context)
            return self._write(index, values, stored)
        except Problem as problem:
            return Outcome(index, key, "error", problem=problem)

    def _write(self, index: int, values: dict[str, Any], stored: StoredRecord | None) -> Outcome:
        resource = self.context.resource
        warning = None if resource.warning is None else resource.warning(values)
        if stored is None:
            validation.require_new_key(resource, values[resource.key])
            resolved = references.resolve(self.tx, resource, values, unknown=self.unknown)
            self.new.append((index, NewRecord({**values, **resolved.names}, resolved.columns)))
            return Outcome(index, values[resource.key], "created", 1, warning=warning)
        written = records.apply_values(self.tx, stored, values, self.context.change_context)
        status: Status = "unchanged" if written.version == stored.version else "updated"
        return Outcome(index, written.key, status, written.version, warning=warning)

    def _complete(self, item: Mapping[str, Any], stored: StoredRecord | None) -> SQLModel:
        """Complete an item to a whole record.

        Absent fields take their default or, if preserved on PUT, their stored value.
        """
        resource = self.context.resource
        if len(item) > MAX_ITEM_FIELDS:
            raise invalid([Fault(f"An item may have at most {MAX_ITEM_FIELDS} fields.", pointer="")])
        if stored is not None and stored.is_deleted:
            raise Gone
        preset = rules.default_author(resource, self.context.change_context, item)
        if stored is not None:
            preset = {name: stored.values[name] for name in resource.preserved_on_put}
        schema = self.context.schema or resource.create
        try:
            return schema.model_validate({**preset, **item}, context={"zone": self.context.zone})
        except ValidationError as error:
            raise invalid(validation.faults(error, schema)) from None


def put_all(tx: Transaction, context: BulkContext, items: Sequence[Any]) -> list[Outcome]:
    """Create or replace a record for each item. A faulty item gets an `error` outcome and writes nothing.

    Read-only fields in an item are ignored, so that an export can be sent back.
    """
    items = [_without_read_only(context.resource, item) for item in items]
    keys = [_unique_key(context.resource, item) for item in items]
    bulk = _BulkWrite(tx, context, storage.find_several(tx, context.resource, filter(None, keys)))
    outcomes = [bulk.put_item(index, item, key) for index, (item, key) in enumerate(zip(items, keys, strict=True))]
    if bulk.new:
        records.insert_all(tx, context.resource, [new for _, new in bulk.new], context.change_context)
    return outcomes


def put_items(tx: Transaction, context: BulkContext, items: Sequence[Any], *, atomic: bool) -> list[Outcome]:
    """Like `put_all`, with fault pointers under `/items`; if `atomic`, raises one problem with all faults."""
    outcomes = [_with_item_pointers(outcome) for outcome in put_all(tx, context, items)]
    faults = [fault for outcome in outcomes if outcome.problem is not None for fault in outcome.problem.faults]
    if faults and atomic:
        raise invalid(faults)
    return outcomes


def _with_item_pointers(outcome: Outcome) -> Outcome:
    problem = outcome.problem
    if problem is None:
        return outcome
    faults = problem.faults or (Fault(problem.detail, problem.code),)
    pointing = [replace(fault, pointer=f"/items/{outcome.index}{fault.pointer or ''}") for fault in faults]
    return outcome._replace(problem=type(problem)(problem.detail, pointing))


def _without_read_only(resource: Resource, item: Any) -> Any:
    """Drop the read-only fields and `expanded` from an item."""
    if not isinstance(item, dict):
        return item
    return {name: value for name, value in item.items() if name not in resource.read_only and name != EXPANDED}


def _unique_key(resource: Resource, item: Any) -> str | None:
    """Return the item's unique key; None if it has no valid key."""
    key = item.get(resource.key) if isinstance(item, dict) else None
    if not isinstance(key, str) or validation.key_faults(resource, key):
        return None
    return resource.unique_key_of(key)
