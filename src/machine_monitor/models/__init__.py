"""One page a resource: its table, its schemas, and what a list of it can be asked for."""

from sqlalchemy.orm import configure_mappers
from sqlmodel import SQLModel

from machine_monitor.models.accounts import TOKENS
from machine_monitor.models.derived import DERIVED
from machine_monitor.models.evidence.history import CHANGES, HISTORY
from machine_monitor.models.evidence.kept_answer import KEPT_ANSWERS
from machine_monitor.models.legacy_import import LEGACY_IMPORTS
from machine_monitor.models.log import DELETED_LOGS, LOGS
from machine_monitor.models.log_count import LOG_COUNTS
from machine_monitor.models.log_type import LOG_TYPES
from machine_monitor.models.machine import MACHINES
from machine_monitor.models.read_only import protect
from machine_monitor.models.user import USERS

RESOURCES = (MACHINES, LOGS, LOG_TYPES, USERS)
METADATA = SQLModel.metadata

# A relation that is declared wrongly stops the program here, not the first request that uses it.
configure_mappers()
protect(
    {DERIVED, LOG_COUNTS, HISTORY.table}
    | {table for resource in RESOURCES for table in (resource.table, resource.folded) if table is not None}
    | {rows.table for resource in RESOURCES for rows in resource.lists.values()}
)

__all__ = [
    "CHANGES",
    "DELETED_LOGS",
    "DERIVED",
    "HISTORY",
    "KEPT_ANSWERS",
    "LEGACY_IMPORTS",
    "LOGS",
    "LOG_COUNTS",
    "LOG_TYPES",
    "MACHINES",
    "METADATA",
    "RESOURCES",
    "TOKENS",
    "USERS",
]
