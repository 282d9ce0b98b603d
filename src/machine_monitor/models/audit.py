"""History (audit log): one append-only entry per change of a record."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, get_args

from sqlalchemy import CheckConstraint, Index, LargeBinary
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME, VERBATIM_JSON, choice
from machine_monitor.database.schema.objects import APPEND_ONLY
from machine_monitor.models.fields import Identity, Instant, LongText, Schema, kind_field
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Resource

OperationName = Literal["create", "update", "delete", "restore", "rename", "merge", "import"]
OPERATION = choice(*get_args(OperationName))
Operation = Annotated[OperationName, OPERATION]
Changes = Annotated[dict[str, list[Any]], VERBATIM_JSON]
CodeText = Annotated[str, CODE]


# Entries of this resource are about accounts (tokens, passwords, sessions, ...). Only admins see them. Accounts have no
# versioned record of their own: `record_id` and `version` are those of the user.
ACCOUNTS = "accounts"


SEQ = "The entry's number; later entries have higher numbers."


class HistoryRead(Schema):
    """One change of a record."""

    seq: Identity | None = kind_field(INTEGER, SEQ + " Null, for up to a second, if it has none yet.", None)
    at: Instant = kind_field(TIME, "The time of the change.")
    user: CodeText | None = kind_field(CODE, "The author's trigram; null if unknown.", None)
    via: CodeText = kind_field(CODE, "The channel of the change: session, token, anonymous, or a command such as sync.")
    op: Operation = kind_field(OPERATION, "The operation.")
    version: Identity = kind_field(INTEGER, "The record's version after the change.")
    changes: Changes = kind_field(VERBATIM_JSON, "For each changed field: its old and its new value.")
    note: LongText | None = kind_field(TEXT, "The note of the author: why the change was made.", None)


class ChangeRead(HistoryRead):
    """One change of any record."""

    seq: Identity = kind_field(INTEGER, SEQ)  # ty: ignore[incompatible-mutable-override] -- the feed only has entries with a number
    resource: CodeText = kind_field(CODE, "The resource of the record, such as logs.")
    key: LongText = kind_field(TEXT, "The record's key, as in its path.")


class History(HistoryRead, table=True):
    """Table of history entries.

    `record_id` is the row id in the table `resource`; `hash` links the entry to the previous one.
    """

    __tablename__ = "history"
    __table_args__: ClassVar[Any] = (
        CheckConstraint("op IN ('create', 'update', 'delete', 'restore', 'rename', 'merge', 'import')", name="op"),
        Index(None, "resource", "record_id", "seq"),
        {"sqlite_autoincrement": True, "info": {APPEND_ONLY: True}},
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    resource: str = Field(sa_type=CODE.column_type)
    record_id: int = Field(sa_type=INTEGER.column_type)
    key: str = Field(sa_type=TEXT.column_type)
    note_folded: str | None = Field(default=None, sa_type=TEXT.column_type)
    request_id: str | None = Field(default=None, sa_type=CODE.column_type)
    hash: bytes | None = Field(default=None, sa_type=LargeBinary)


class PendingEntry(Schema, table=True):
    """Table of pending history entries, which have no number yet, in the order of their ids: see `audit/hash_chain`."""

    __tablename__ = "history_pending"
    __table_args__: ClassVar[Any] = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    resource: str = Field(sa_type=CODE.column_type)
    record_id: int = Field(sa_type=INTEGER.column_type)
    key: str = Field(sa_type=TEXT.column_type)
    at: Instant = Field(sa_type=TIME.column_type)
    user: str | None = Field(default=None, sa_type=CODE.column_type)
    via: str = Field(sa_type=CODE.column_type)
    request_id: str | None = Field(default=None, sa_type=CODE.column_type)
    op: str = Field(sa_type=CODE.column_type)
    version: int = Field(sa_type=INTEGER.column_type)
    note: str | None = Field(default=None, sa_type=TEXT.column_type)
    changes: str = Field(sa_type=TEXT.column_type)


PENDING_ENTRIES = SQLModel.metadata.tables["history_pending"]
HISTORY = declare(
    Resource(
        name="history",
        noun="entry",
        table=SQLModel.metadata.tables["history"],
        read=HistoryRead,
        create=HistoryRead,
        key="seq",
        lookup_column="seq",
        unique_column="seq",
        sort="-seq",
        tiebreakers=("seq",),
        scope=("resource", "record_id"),
    )
)

# The history of all records, for the change feed.
CHANGES = replace(HISTORY, name="changes", noun="change", read=ChangeRead, create=ChangeRead, scope=(), sort="seq")
