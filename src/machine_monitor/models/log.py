"""A log: one intervention on one machine."""

import secrets
import time
import uuid as uuids
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, Relationship, SQLModel

from machine_monitor.database import instants
from machine_monitor.database.kinds import CODE, INTEGER, OBJECT, TEXT, TIME, UUID
from machine_monitor.errors import MachineHasLogs
from machine_monitor.models.derived import DERIVED
from machine_monitor.models.fields import (
    SEVERITY,
    STATUS,
    Attributes,
    Code,
    Instant,
    LongText,
    NamedMachine,
    Schema,
    Severity,
    ShortText,
    Status,
    Trigram,
    Uuid,
    stored,
)
from machine_monitor.models.log_count import LOG_COUNTS
from machine_monitor.models.log_type import LOG_TYPES, LogType
from machine_monitor.models.machine import MACHINES, Machine
from machine_monitor.models.schemas import Versioned, patch, replacement
from machine_monitor.models.user import USERS, User
from machine_monitor.query.declaration import declare
from machine_monitor.query.metrics import ONE, Counters, SpanMetric, Summary, SumMetric, one_if
from machine_monitor.query.schema import Reference, Resource, folded_table

# As statements ask, to the letter: SQLite compares the terms.
DELETED = "deleted_at IS NOT NULL"
NAMED = "project IS NOT NULL"
UNFINISHED = "status IN ('open', 'in_progress') AND deleted_at IS NULL"
STOPPED = "down_from IS NOT NULL AND deleted_at IS NULL"


def new_uuid() -> str:
    """A UUIDv7 (RFC 9562): the milliseconds since 1970, then 74 random bits; inserts stay close together."""
    milliseconds = time.time_ns() // 1_000_000
    chance = secrets.randbits(74)
    bits = (milliseconds << 80) | (0x7 << 76) | (chance >> 62 << 64) | (0b10 << 62) | (chance & ((1 << 62) - 1))
    return str(uuids.UUID(int=bits))


class LogNames(Schema):
    """What identifies an intervention: the log, the machine, the type."""

    uuid: Uuid = stored(UUID, "The log's identity; make your own and a retry is harmless.", default_factory=new_uuid)
    machine: Annotated[NamedMachine, Reference(MACHINES, on="machine_id", to="id", in_use=MachineHasLogs)] = stored(
        TEXT, "The machine, by its name."
    )
    type: Annotated[Code, Reference(LOG_TYPES, on="type", to="code")] = stored(CODE, "The type, by its code.")


class LogFields(Schema):
    """What people say of an intervention."""

    severity: Severity = stored(SEVERITY, "How bad it is: info, minor, major or critical.", default="info")
    status: Status = stored(STATUS, "How far it is: open, in_progress, done or cancelled.", default="done")
    comment: LongText | None = stored(TEXT, "What was seen.", None)
    cause: LongText | None = stored(TEXT, "Why it happened.", None)
    action: LongText | None = stored(TEXT, "What was done.", None)
    project: ShortText | None = stored(TEXT, "The project or order it belongs to.", None)
    user: Annotated[Trigram, Reference(USERS, on="user", to="trigram")] | None = stored(
        CODE, "The author, by trigram; set when the log is created and never again.", None
    )
    started_at: Instant = stored(
        TIME, "When the intervention began; now if it is absent.", default_factory=instants.now
    )
    ended_at: Instant | None = stored(TIME, "When it ended.", None)
    down_from: Instant | None = stored(TIME, "When the machine stopped.", None)
    down_to: Instant | None = stored(TIME, "When the machine ran again; null while it stands.", None)
    attributes: Attributes = stored(OBJECT, "Facts of your own: texts, numbers, true or false.", default_factory=dict)


TIEBREAKERS = ("started_at", "id")
# What lists are often filtered by: each has an index, which ends in the tiebreakers. A list uses the first that fits.
PROJECT = ("project",)
INDEX_PREFIXES = (PROJECT, ("machine_id", "type"), ("machine_id",), ("user",), ("status",), ("type",), ())


# A relation is loaded by the query that needs it: `select(Log).options(joinedload(Log.machine_row))`.
EXPLICIT = {"lazy": "raise", "viewonly": True}


class Log(LogFields, Versioned, table=True):
    """The table of logs; `id` is the order of writing and never changes."""

    __tablename__ = "logs"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("uuid"),
        ForeignKeyConstraint(["machine_id"], ["machines.id"], ondelete="RESTRICT"),
        ForeignKeyConstraint(["type"], ["log_types.code"], ondelete="RESTRICT"),
        ForeignKeyConstraint(["user"], ["users.trigram"], ondelete="RESTRICT"),
        CheckConstraint("severity BETWEEN 0 AND 3", name="severity"),
        CheckConstraint("status IN ('open', 'in_progress', 'done', 'cancelled')", name="status"),
        CheckConstraint("ended_at >= started_at", name="ended_at"),
        CheckConstraint("down_to IS NULL OR down_from IS NOT NULL AND down_to >= down_from", name="down_to"),
        CheckConstraint("version >= 1", name="version"),
        *[Index(None, *prefix, *TIEBREAKERS) for prefix in INDEX_PREFIXES if prefix != PROJECT],
        # Most logs have none.
        Index(None, *PROJECT, *TIEBREAKERS, sqlite_where=text(NAMED), postgresql_where=text(NAMED)),
        Index("ix_logs_deleted", *TIEBREAKERS, sqlite_where=text(DELETED), postgresql_where=text(DELETED)),
        Index(None, "machine_id", sqlite_where=text(UNFINISHED), postgresql_where=text(UNFINISHED)),
        Index(
            None,
            "machine_id",
            "down_from",
            "down_to",
            sqlite_where=text(STOPPED),
            postgresql_where=text(STOPPED),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    uuid: str = Field(sa_type=UUID.column_type)
    machine_id: int = Field(sa_type=INTEGER.column_type)
    type: str = Field(sa_type=CODE.column_type)
    deleted_at: Instant | None = Field(default=None, sa_type=TIME.column_type)

    machine_row: Machine = Relationship(sa_relationship_kwargs={**EXPLICIT, "foreign_keys": "Log.machine_id"})
    type_row: LogType = Relationship(sa_relationship_kwargs={**EXPLICIT, "foreign_keys": "Log.type"})
    user_row: User | None = Relationship(sa_relationship_kwargs={**EXPLICIT, "foreign_keys": "Log.user"})

    @property
    def machine(self) -> str:
        """The machine's name, as `LogRead` shows it; needs `machine_row` to be loaded."""
        return self.machine_row.name


class LogCreate(LogFields, LogNames):
    """A new log."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        silent = self.partial and "down_from" not in self.model_fields_set
        if _earlier(self.ended_at, self.started_at):
            _refuse("ended_at", "An intervention does not end before it starts.")
        if self.down_to is not None and self.down_from is None and not silent:
            _refuse("down_to", "'down_to' needs 'down_from'.")
        if _earlier(self.down_to, self.down_from):
            _refuse("down_to", "A machine does not run again before it stops.")
        return self


def _earlier(end: datetime | None, start: datetime | None) -> bool:
    return end is not None and start is not None and end < start


def _refuse(field: str, message: str) -> None:
    raise PydanticCustomError("order", message, {"field": field})  # ty: ignore[invalid-argument-type] -- a sentence of our own, not a template


class LogRead(Versioned, LogFields, LogNames):
    """A log as it is."""

    uuid: Uuid = stored(UUID, "The log's identity.")


PRESERVED_ON_PUT = frozenset({"uuid", "started_at", "user"})
LogReplace = replacement(LogCreate, LogRead, PRESERVED_ON_PUT)
LogUpdate = patch(LogReplace)

METRICS = (
    SumMetric("count", "how many logs begin", (), lambda: ONE),
    SumMetric("failures", "how many of them are failures, by their type", ("type.counts_as_failure",), one_if),
    SpanMetric("downtime", "for how many seconds machines were stopped", "down_from", "down_to", "machine_id"),
)
SUMMARY = Summary(
    fields=("machine", "type", "severity", "status", "user", "project", "machine.sector"),
    at="started_at",
    metrics={metric.name: metric for metric in METRICS},
    counters=Counters(
        LOG_COUNTS,
        DERIVED,
        {"machine": ("month",), "type": ("month", "day"), "severity": (), "status": (), "user": (), "project": ()},
    ),
)

LOGS = declare(
    Resource(
        name="logs",
        noun="log",
        table=SQLModel.metadata.tables["logs"],
        folded=folded_table(SQLModel.metadata.tables["logs"], LogRead),
        read=LogRead,
        create=LogCreate,
        key="uuid",
        find_by="uuid",
        unique_by="uuid",
        lookup_key_of=str.lower,
        unique_key_of=str.lower,
        searched=("machine", "comment", "cause", "action", "project", "user"),
        facet_words=("machine", "type"),
        author="user",
        preserved_on_put=PRESERVED_ON_PUT,
        sort="-started_at",
        tiebreakers=TIEBREAKERS,
        index_prefixes=INDEX_PREFIXES,
        immutable=frozenset({"uuid", "user"}),
        soft_delete=True,
        summary=SUMMARY,
    )
)

# Those that lists leave out: few, in an index of their own.
DELETED_LOGS = replace(LOGS, deleted=True, index_prefixes=())
