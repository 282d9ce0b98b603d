"""Records: read, create, replace, update, delete, restore; each change with its history in one transaction."""

from machine_monitor.services.records.verbs import (
    Target,
    Written,
    change,
    check_fixed,
    create,
    delete,
    find_key,
    insert,
    insert_all,
    read,
    read_all,
    read_history,
    replace,
    restore,
    update,
)

__all__ = [
    "Target",
    "Written",
    "change",
    "check_fixed",
    "create",
    "delete",
    "find_key",
    "insert",
    "insert_all",
    "read",
    "read_all",
    "read_history",
    "replace",
    "restore",
    "update",
]
