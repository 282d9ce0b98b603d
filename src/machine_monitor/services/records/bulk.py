"""Many records at once, each as a PUT by its key: checked one by one, written together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, Gone, Problem, invalid
from machine_monitor.models.schemas import EXPANDED
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.access import rules
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import references, storage, validation
from machine_monitor.services.records.references import Names
from machine_monitor.services.records.storage import New, Stored

MAX_MEMBERS = 100
Status = Literal["created", "updated", "unchanged", "error"]


class Outcome(NamedTuple):
    """What became of one item; `problem` where it is an error."""

    index: int
    key: str | None
    status: Status
    version: int | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class Put:
    """How items are put: what they are, by whom, in whose clock."""

    resource: Resource
    author: ChangeContext
    zone: ZoneInfo


@dataclass
class _Batch:
    """The items of one call on their way into the database."""

    tx: Transaction
    put: Put
    stored: Mapping[str, Stored]
    names: Names = field(default_factory=Names)
    new: list[tuple[int, New]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def place(self, index: int, item: Any, key: str | None) -> Outcome:
        """Change the record that an item is, or keep the item to be added with the others."""
        resource = self.put.resource
        try:
            if not isinstance(item, dict):
                raise invalid([Fault("An item is an object.", pointer="")])
            if key in self.seen:
                raise invalid([Fault(f"Another item is the same {resource.noun}.", "duplicate", f"/{resource.key}")])
            if key is not None:
                self.seen.add(key)
            stored = None if key is None else self.stored.get(key)
            values = self._values(item, stored)
            if stored is None:
                found = references.resolve(self.tx, resource, values, names=self.names)
                self.new.append((index, New({**values, **found.names}, found.columns)))
                return Outcome(index, values[resource.key], "created", 1)
            written = records.change(self.tx, stored, values, self.put.author)
        except Problem as problem:
            return Outcome(index, key, "error", problem=problem)
        status: Status = "unchanged" if written.version == stored.version else "updated"
        return Outcome(index, written.key, status, written.version)

    def _values(self, item: Mapping[str, Any], stored: Stored | None) -> dict[str, Any]:
        """The whole record that an item means: what it leaves out takes its default, or is kept."""
        resource = self.put.resource
        if len(item) > MAX_MEMBERS:
            raise invalid([Fault(f"An item has at most {MAX_MEMBERS} members.", pointer="")])
        if stored is not None and stored.deleted:
            raise Gone
        preset = rules.default_author(resource, self.put.author, item)
        if stored is not None:
            preset = {name: stored.values[name] for name in resource.preserved_on_put}
        try:
            body = resource.create.model_validate({**preset, **item}, context={"zone": self.put.zone})
        except ValidationError as error:
            raise invalid(validation.faults(error, resource.create)) from None
        values = validation.as_json(body)
        if stored is not None:
            records.check_fixed(resource, {name: values[name] for name in resource.immutable}, stored)
        return values


def put_all(tx: Transaction, put: Put, items: Sequence[Any]) -> list[Outcome]:
    """Create or replace a record for each item; what it cannot be is told in its outcome, and writes nothing.

    What the product itself writes may stand in an item, and says nothing.
    """
    items = [_writable(put.resource, item) for item in items]
    keys = [_key(put.resource, item) for item in items]
    batch = _Batch(tx, put, storage.find_several(tx, put.resource, filter(None, keys)))
    outcomes = [batch.place(index, item, key) for index, (item, key) in enumerate(zip(items, keys, strict=True))]
    if batch.new:
        records.insert_all(tx, put.resource, [new for _, new in batch.new], put.author)
    return outcomes


def put_each(tx: Transaction, put: Put, items: Sequence[Any], *, atomic: bool) -> list[Outcome]:
    """`put_all`, with faults that point into `/items`; if all or nothing is wanted, raises the 422 of all of them."""
    outcomes = [_pointing(outcome) for outcome in put_all(tx, put, items)]
    found = [fault for outcome in outcomes if outcome.problem is not None for fault in outcome.problem.faults]
    if found and atomic:
        raise invalid(found)
    return outcomes


def _pointing(outcome: Outcome) -> Outcome:
    problem = outcome.problem
    if problem is None:
        return outcome
    found = problem.faults or (Fault(problem.detail, problem.code),)
    pointing = [replace(fault, pointer=f"/items/{outcome.index}{fault.pointer or ''}") for fault in found]
    return outcome._replace(problem=type(problem)(problem.detail, pointing))


def _writable(resource: Resource, item: Any) -> Any:
    """An item without what the product writes into records, and what `expand` adds to them."""
    if not isinstance(item, dict):
        return item
    return {name: value for name, value in item.items() if name not in resource.read_only and name != EXPANDED}


def _key(resource: Resource, item: Any) -> str | None:
    """What makes the item's record unique; None if the item has no key that could be one."""
    key = item.get(resource.key) if isinstance(item, dict) else None
    if not isinstance(key, str) or validation.key_faults(resource, key):
        return None
    return resource.unique_key_of(key)
