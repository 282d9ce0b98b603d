"""A log: one intervention on one machine."""

import secrets
import time
import uuid as uuids
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, LiteralString, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    text,
)
from sqlmodel import Field, Relationship, SQLModel

from machine_monitor.database import instants
from machine_monitor.database.kinds import CODE, INTEGER, OBJECT, TEXT, TIME, UUID
from machine_monitor.errors import MachineHasLogs
from machine_monitor.models.attachment import LOG_ATTACHMENTS, Attachment, AttachmentsIgnored, LogAttachment
from machine_monitor.models.derived import DERIVED, LOG_COUNTS
from machine_monitor.models.fields import (
    DOWN_KIND,
    SEVERITY,
    STATUS,
    Attributes,
    Code,
    DownKind,
    Flag,
    Identity,
    Instant,
    LongText,
    NamedMachine,
    Schema,
    Severity,
    ShortText,
    Status,
    Trigram,
    Uuid,
    kind_field,
)
from machine_monitor.models.log_type import LOG_TYPES, LogType
from machine_monitor.models.machine import MACHINES, Machine
from machine_monitor.models.schemas import Versioned, patch_schema, replace_schema
from machine_monitor.models.user import USERS, User
from machine_monitor.query.declaration import declare
from machine_monitor.query.folded_texts import folded_table
from machine_monitor.query.metrics import (
    ONE,
    Condition,
    Counters,
    CounterSum,
    DurationMetric,
    IntervalMetric,
    PartialCounters,
    Summary,
    SumMetric,
    one_if,
)
from machine_monitor.query.schema import ChildRows, CountOf, Reference, Resource

# Conditions of the partial indexes. Statements must repeat them literally, or SQLite does not use the index.
IS_DELETED = "deleted_at IS NOT NULL"
HAS_PROJECT = "project IS NOT NULL"
IS_UNFINISHED = "status IN ('open', 'in_progress') AND deleted_at IS NULL"
IS_STOPPAGE = "down_from IS NOT NULL AND deleted_at IS NULL"


def new_uuid() -> str:
    """Create a UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 random bits.

    It is ordered by time, so that inserts hit adjacent index pages.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = secrets.randbits(74)
    bits = (
        (milliseconds << 80) | (0x7 << 76) | (random_bits >> 62 << 64) | (0b10 << 62) | (random_bits & ((1 << 62) - 1))
    )
    return str(uuids.UUID(int=bits))


# The type of the validation error of a log that has another field of a stop without its start.
REQUIRES_STOP = "requires_stop"


class LogIdentity(Schema):
    """The identifying fields of a log: UUID, machine and type."""

    uuid: Uuid = kind_field(UUID, "The log's UUID. Choose it yourself to make retries safe.", default_factory=new_uuid)
    machine: Annotated[NamedMachine, Reference(MACHINES, on="machine_id", to="id", in_use=MachineHasLogs)] = kind_field(
        TEXT, "The machine's name."
    )
    type: Annotated[Code, Reference(LOG_TYPES, on="type", to="code")] = kind_field(CODE, "The code of the log type.")


class LogFields(Schema):
    """The descriptive fields of a log."""

    severity: Severity = kind_field(SEVERITY, "The severity: info, minor, major or critical.", default="info")
    status: Status = kind_field(STATUS, "The status: open, in_progress, done or cancelled.", default="done")
    comment: LongText | None = kind_field(TEXT, "The observation, such as symptoms.", None)
    cause: LongText | None = kind_field(TEXT, "The cause.", None)
    action: LongText | None = kind_field(TEXT, "The action that was taken.", None)
    project: ShortText | None = kind_field(TEXT, "The project or order it belongs to.", None)
    user: Annotated[Trigram, Reference(USERS, on="user", to="trigram")] | None = kind_field(
        CODE, "The author's trigram. Set on creation, cannot be changed.", None
    )
    started_at: Instant = kind_field(TIME, "When the intervention began; now if absent.", default_factory=instants.now)
    ended_at: Instant | None = kind_field(TIME, "When it ended.", None)
    down_from: Instant | None = kind_field(TIME, "When the machine stopped.", None)
    down_to: Instant | None = kind_field(TIME, "When the machine ran again; null while it is stopped.", None)
    down_kind: DownKind | None = kind_field(
        DOWN_KIND,
        "Why it stopped: failure, planned or external; null: failure if the log's type counts as one, else planned.",
        None,
    )
    attributes: Attributes = kind_field(OBJECT, "Custom fields: texts, numbers or booleans.", default_factory=dict)


TIEBREAKERS = ("started_at", "id")
# Index prefixes for common filters. Each index ends with the tiebreakers; a list uses the first one that matches its
# filters.
PROJECT = ("project",)
INDEX_PREFIXES = (PROJECT, ("machine_id", "type"), ("machine_id",), ("user",), ("status",), ("type",), ())


# Relations are not lazy-loaded: name them in the query, such as `select(Log).options(joinedload(Log.machine_row))`.
EXPLICIT_LOADING = {"lazy": "raise", "viewonly": True}


class Log(LogFields, Versioned, table=True):
    """The table of logs; `id` follows the order of insertion and never changes."""

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
        CheckConstraint(
            "down_kind IS NULL OR down_from IS NOT NULL AND down_kind IN ('failure', 'planned', 'external')",
            name="down_kind",
        ),
        CheckConstraint("version >= 1", name="version"),
        *[Index(None, *prefix, *TIEBREAKERS) for prefix in INDEX_PREFIXES if prefix != PROJECT],
        # A partial index: most logs have no project.
        Index(None, *PROJECT, *TIEBREAKERS, sqlite_where=text(HAS_PROJECT), postgresql_where=text(HAS_PROJECT)),
        Index("ix_logs_deleted", *TIEBREAKERS, sqlite_where=text(IS_DELETED), postgresql_where=text(IS_DELETED)),
        Index(None, "machine_id", sqlite_where=text(IS_UNFINISHED), postgresql_where=text(IS_UNFINISHED)),
        # Covers all that downtime and reliability read of a stop.
        Index(
            "ix_logs_stops",
            *("machine_id", "down_from", "down_to", "status", "down_kind", "type"),
            sqlite_where=text(IS_STOPPAGE),
            postgresql_where=text(IS_STOPPAGE),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    uuid: str = Field(sa_type=UUID.column_type)
    machine_id: int = Field(sa_type=INTEGER.column_type)
    type: str = Field(sa_type=CODE.column_type)
    deleted_at: Instant | None = Field(default=None, sa_type=TIME.column_type)
    attachment_count: int = Field(default=0, sa_type=INTEGER.column_type, sa_column_kwargs={"server_default": "0"})

    machine_row: Machine = Relationship(sa_relationship_kwargs={**EXPLICIT_LOADING, "foreign_keys": "Log.machine_id"})
    type_row: LogType = Relationship(sa_relationship_kwargs={**EXPLICIT_LOADING, "foreign_keys": "Log.type"})
    user_row: User | None = Relationship(sa_relationship_kwargs={**EXPLICIT_LOADING, "foreign_keys": "Log.user"})

    # Loaded with their log: `LogRead` shows them.
    attachments: list[LogAttachment] = Relationship(
        sa_relationship_kwargs={"lazy": "selectin", "viewonly": True, "order_by": "LogAttachment.position"}
    )

    @property
    def machine(self) -> str:
        """The machine's name, as `LogRead` shows it; needs `machine_row` to be loaded."""
        return self.machine_row.name


class LogValues(LogFields, LogIdentity):
    """The fields of a log that clients write, with the rules between them."""

    @model_validator(mode="after")
    def _check_stop_and_time_order(self) -> Self:
        down_from_unknown = self.partial and "down_from" not in self.model_fields_set
        if _is_earlier(self.ended_at, self.started_at):
            _refuse("order", "ended_at", "'ended_at' must not be before 'started_at'.")
        if self.down_to is not None and self.down_from is None and not down_from_unknown:
            _refuse(REQUIRES_STOP, "down_to", "'down_to' requires 'down_from'.")
        if self.down_kind is not None and self.down_from is None and not down_from_unknown:
            _refuse(REQUIRES_STOP, "down_kind", "'down_kind' requires 'down_from'.")
        if _is_earlier(self.down_to, self.down_from):
            _refuse("order", "down_to", "'down_to' must not be before 'down_from'.")
        return self


def _is_earlier(end: datetime | None, start: datetime | None) -> bool:
    return end is not None and start is not None and end < start


def _refuse(error_type: LiteralString, field: str, message: str) -> None:
    raise PydanticCustomError(error_type, message, {"field": field})  # ty: ignore[invalid-argument-type] -- our own message, not a template


class LogBody(AttachmentsIgnored, LogValues):
    """A log as clients send it."""


class LogCreate(LogBody):
    """The body of POST /logs."""

    form_part: ClassVar[str | None] = "log"

    # Input only: `exclude` keeps it out of the values that are stored and recorded in the history.
    unlisted: Flag = Field(
        default=False,
        exclude=True,
        description="Create the machine, with `listed: false`, if no machine has this name. Not stored with the log.",
    )


class LogRead(Versioned, LogFields, LogIdentity):
    """A log as the API returns it."""

    uuid: Uuid = kind_field(UUID, "The log's UUID.")
    attachments: Annotated[list[Attachment], ChildRows(LOG_ATTACHMENTS, Attachment, on="log_id")] = Field(
        description="Its files, in the order in which they were added."
    )
    attachment_count: Annotated[Identity, CountOf("attachments")] = kind_field(INTEGER, "How many files it has.")


PRESERVED_ON_PUT = frozenset({"uuid", "started_at", "user"})
LogReplace = replace_schema(LogCreate, LogRead, PRESERVED_ON_PUT)
# Only POST takes files with the log.
LogReplace.form_part = None
LogUpdate = patch_schema(replace_schema(LogBody, LogRead, PRESERVED_ON_PUT))

CANCELLED = literal_column("'cancelled'")
FAILURE, PLANNED = literal_column("'failure'"), literal_column("'planned'")


def is_failure(counts_as_failure: ColumnElement, status: ColumnElement, down_kind: ColumnElement) -> ColumnElement:
    """Whether a log is a failure."""
    by_type = and_(down_kind.is_(None), counts_as_failure)
    return and_(status != CANCELLED, or_(down_kind == FAILURE, by_type))


def stop_kind(counts_as_failure: ColumnElement, down_kind: ColumnElement) -> ColumnElement:
    """Return the kind of a log's stop: `down_kind`, or else that of the log's type."""
    return func.coalesce(down_kind, case((counts_as_failure, FAILURE), else_=PLANNED))


def _is_no_failure(status: ColumnElement, down_kind: ColumnElement) -> ColumnElement:
    """Whether a log is no failure, whatever its type."""
    return or_(status == CANCELLED, and_(down_kind.is_not(None), down_kind != FAILURE))


def _is_stated_failure(status: ColumnElement, down_kind: ColumnElement) -> ColumnElement:
    """Whether a log is a failure, whatever its type."""
    return and_(status != CANCELLED, down_kind == FAILURE)


FAILURE_READS = ("type.counts_as_failure", "status", "down_kind")
IS_NOT_CANCELLED = Condition(("status",), lambda status: status != CANCELLED)
# Failures are the logs of the types that count as one, without the exceptions, which are few: so most writes update no
# counter for them.
FAILURES_FROM_COUNTERS = CounterSum(
    ("type.counts_as_failure",),
    {
        "type": one_if,
        "type_without_failure": lambda counts_as_failure: -one_if(counts_as_failure),
        "type_with_failure": lambda counts_as_failure: one_if(not_(counts_as_failure)),
    },
)
METRICS = (
    SumMetric("count", "the number of logs, by `started_at`", (), lambda: ONE),
    SumMetric(
        "failures",
        "the number of logs that are failures, by `down_kind` or else by their type",
        FAILURE_READS,
        lambda *columns: one_if(is_failure(*columns)),
        FAILURES_FROM_COUNTERS,
    ),
    IntervalMetric(
        "downtime",
        "the seconds that machines were stopped; overlapping stops of one machine count once",
        "down_from",
        "down_to",
        "machine_id",
        IS_NOT_CANCELLED,
    ),
    DurationMetric(
        "duration", "the seconds of work, from `started_at` to `ended_at`", "started_at", "ended_at", IS_NOT_CANCELLED
    ),
    DurationMetric(
        "mean_duration",
        "the mean duration of the logs that have an end",
        "started_at",
        "ended_at",
        IS_NOT_CANCELLED,
        is_mean=True,
    ),
)
SUMMARY = Summary(
    at="started_at",
    metrics={metric.name: metric for metric in METRICS},
    counters=Counters(
        LOG_COUNTS,
        DERIVED,
        {"machine": ("month",), "type": ("month", "day"), "severity": (), "status": (), "user": (), "project": ()},
        {
            "type_without_failure": PartialCounters(
                "type",
                ("status", "down_kind"),
                _is_no_failure,
                lambda status, down_kind: status == "cancelled" or down_kind in ("planned", "external"),
            ),
            "type_with_failure": PartialCounters(
                "type",
                ("status", "down_kind"),
                _is_stated_failure,
                lambda status, down_kind: status != "cancelled" and down_kind == "failure",
            ),
        },
    ),
)

STILL_STOPPED = "This log is done, but its stop has no end. If the machine runs again, set 'down_to'."


def _warning(values: Mapping[str, Any]) -> str | None:
    """Return a warning if the log is done while its machine is still stopped. Absent fields are unknown."""
    is_open = values.get("down_from") is not None and values.get("down_to", "unknown") is None
    return STILL_STOPPED if is_open and values.get("status") == "done" else None


LOGS = declare(
    Resource(
        name="logs",
        noun="log",
        table=SQLModel.metadata.tables["logs"],
        folded=folded_table(SQLModel.metadata.tables["logs"], LogRead),
        read=LogRead,
        create=LogValues,
        key="uuid",
        lookup_column="uuid",
        unique_column="uuid",
        lookup_key_of=str.lower,
        unique_key_of=str.lower,
        searched=("machine", "comment", "cause", "action", "project", "user", "attributes", "attachments.name"),
        facet_token_fields=("machine", "type"),
        author="user",
        preserved_on_put=PRESERVED_ON_PUT,
        sort="-started_at",
        tiebreakers=TIEBREAKERS,
        index_prefixes=INDEX_PREFIXES,
        immutable=frozenset({"uuid", "user"}),
        soft_delete=True,
        summary=SUMMARY,
        warning=_warning,
    )
)

# Soft-deleted logs. They are few and have their own partial index.
DELETED_LOGS = replace(LOGS, deleted=True, index_prefixes=())
