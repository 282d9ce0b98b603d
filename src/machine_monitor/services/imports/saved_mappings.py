"""Mappings saved by name, for imports over HTTP and for `mm import --map NAME`.

A mapping is no record: it has a version and says who saved it, but it has no history. Each import keeps the mapping
that it used.
"""

from typing import Any

from sqlmodel import col, select

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import canonical_json
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, Invalid, NotFound
from machine_monitor.models import MAPPINGS
from machine_monitor.models.imports.saved_mapping import SavedMapping, SavedMappingRead
from machine_monitor.query.language.folding import fold
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.imports import mapping
from machine_monitor.services.imports.files import zone_of
from machine_monitor.services.records.operations import Target, WriteResult
from machine_monitor.services.records.storage import StoredRecord
from machine_monitor.suggestions import MAX_LENGTH, did_you_mean


def validate(document: object) -> dict[str, Any]:
    """Return a mapping if it can be used and stored; raises `Invalid` with a pointer to each fault."""
    if not isinstance(document, dict):
        raise Invalid(faults=[Fault("A mapping is a JSON object.", pointer="")])
    zone_of(mapping.parse(document))
    try:
        canonical_json(document)
    except ValueError:
        raise Invalid(faults=[Fault("The mapping has an unpaired surrogate in a text.", pointer="")]) from None
    return document


def validate_named(name: str, document: object) -> dict[str, Any]:
    """Return the mapping that a PUT saves under this name, which the document may leave out; raises `Invalid`."""
    found = validate({"name": name, **document} if isinstance(document, dict) else document)
    if found["name"] != name:
        message = f"The name must be that of the address, '{name}'. A mapping of another name makes other logs."
        raise Invalid(faults=[Fault(message, "immutable", "/name")])
    return found


def validate_read(document: object) -> dict[str, Any]:
    """Return how a file is to be read, of `{"read": {...}}`; raises `Invalid` with a pointer to each fault."""
    if not isinstance(document, dict) or [*document] != ["read"]:
        raise Invalid(faults=[Fault('The body is a JSON object with one member, "read".', pointer="")])
    mapping.parse_read(document["read"])
    return document["read"]


async def read(database: Database, name: str) -> StoredRecord:
    """Return a saved mapping, whose body is the mapping; raises `NotFound`."""
    return await database.read(lambda tx: find(tx, name))


def read_all(tx: Transaction) -> list[dict[str, Any]]:
    """Return all saved mappings as a list shows them, by name."""
    rows = tx.session.scalars(select(SavedMapping).order_by(col(SavedMapping.name)))
    return [SavedMappingRead.model_validate(row).model_dump(mode="json") for row in rows]


def find(tx: Transaction, name: str) -> StoredRecord:
    """Return a saved mapping, whose body is the mapping; raises `NotFound`."""
    found = _find_row(tx, name)
    if found is None:
        names = tx.session.scalars(select(col(SavedMapping.name)).order_by(col(SavedMapping.name)).limit(1_000))
        raise NotFound(f"There is no mapping '{name[:MAX_LENGTH]}'.{did_you_mean(name[:MAX_LENGTH], [*names])}")
    return _stored(found)


def save(tx: Transaction, target: Target, document: dict[str, Any], context: ChangeContext) -> WriteResult:
    """Create or replace a mapping. A version that says the same is not a new one."""
    found = _find_row(tx, target.key, lock=True)
    is_new = found is None
    if found is None:
        target.preconditions.check_absent()
        found = SavedMapping(
            name=target.key,
            name_folded=fold(target.key),
            resource=document.get("resource", "logs"),
            user=context.user,
            version=1,
            created_at=instants.now(),
            updated_at=instants.now(),
            document=document,
        )
        tx.session.add(found)
        tx.session.flush()
    else:
        target.preconditions.check(_stored(found))
        if canonical_json(found.document) != canonical_json(document):
            found.version += 1
            found.document, found.resource = document, document.get("resource", "logs")
            found.user, found.updated_at = context.user, instants.now()
    stored = _stored(found)
    return WriteResult(is_new, target.key, found.version, lambda: stored)


def delete(tx: Transaction, target: Target, _context: ChangeContext) -> None:
    """Delete a mapping; what it has imported stays. Raises `NotFound`."""
    target.preconditions.check(find(tx, target.key))
    tx.session.delete(_find_row(tx, target.key, lock=True))


def _find_row(tx: Transaction, name: str, *, lock: bool = False) -> SavedMapping | None:
    if "\0" in name:
        return None
    return tx.session.get(SavedMapping, name, with_for_update=lock)


def _stored(row: SavedMapping) -> StoredRecord:
    return StoredRecord(MAPPINGS, canonical_json(row.document), 0, row.version, is_deleted=False)
