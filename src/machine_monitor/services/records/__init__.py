"""Records: CRUD, bulk writes, references and preconditions.

Each write adds its history entry in the same transaction.
"""

from machine_monitor.services.records.merging import merge
from machine_monitor.services.records.operations import (
    Target,
    WriteResult,
    apply_values,
    create,
    delete,
    insert,
    insert_all,
    look_up_references,
    lookup_key,
    read,
    read_all,
    read_history,
    reject_immutable_changes,
    replace,
    restore,
    restore_stored,
    update,
)
from machine_monitor.services.records.unlisted import allow_unlisted

__all__ = [
    "Target",
    "WriteResult",
    "allow_unlisted",
    "apply_values",
    "create",
    "delete",
    "insert",
    "insert_all",
    "look_up_references",
    "lookup_key",
    "merge",
    "read",
    "read_all",
    "read_history",
    "reject_immutable_changes",
    "replace",
    "restore",
    "restore_stored",
    "update",
]
