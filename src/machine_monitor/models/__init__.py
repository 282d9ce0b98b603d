"""The resources: one module each, with its table, its schemas and its query declaration."""

from sqlalchemy.orm import configure_mappers
from sqlmodel import SQLModel

from machine_monitor.models.accounts import TOKENS
from machine_monitor.models.audit import CHANGES, HISTORY, PENDING_ENTRIES
from machine_monitor.models.derived import DERIVED, LOG_COUNTS, RELIABILITY_MONTHS
from machine_monitor.models.idempotency import IDEMPOTENCY_RECORDS
from machine_monitor.models.imports import FILE_IMPORTS, LEGACY_IMPORTS, MAPPINGS
from machine_monitor.models.log import DELETED_LOGS, LOGS
from machine_monitor.models.log_type import LOG_TYPES
from machine_monitor.models.machine import MACHINES
from machine_monitor.models.read_only import forbid_writes
from machine_monitor.models.user import USERS

RESOURCES = (MACHINES, LOGS, LOG_TYPES, USERS)
METADATA = SQLModel.metadata

# Fail on a wrong relationship at start, not in the first request that uses it.
configure_mappers()
forbid_writes(
    {DERIVED, LOG_COUNTS, RELIABILITY_MONTHS, HISTORY.table, PENDING_ENTRIES}
    | {table for resource in RESOURCES for table in (resource.table, resource.folded) if table is not None}
    | {rows.table for resource in RESOURCES for rows in resource.child_lists.values()}
)

__all__ = [
    "CHANGES",
    "DELETED_LOGS",
    "DERIVED",
    "FILE_IMPORTS",
    "HISTORY",
    "IDEMPOTENCY_RECORDS",
    "LEGACY_IMPORTS",
    "LOGS",
    "LOG_COUNTS",
    "LOG_TYPES",
    "MACHINES",
    "MAPPINGS",
    "METADATA",
    "PENDING_ENTRIES",
    "RELIABILITY_MONTHS",
    "RESOURCES",
    "TOKENS",
    "USERS",
]
