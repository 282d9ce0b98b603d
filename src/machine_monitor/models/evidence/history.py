"""History: an entry for each change of a record, written with it and never changed."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from sqlalchemy import CheckConstraint, Index, LargeBinary
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME, VERBATIM_JSON, choice
from machine_monitor.models.fields import Identity, Instant, LongText, Schema, stored
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Resource

OPERATION = choice("create", "update", "delete", "restore", "rename", "import")
Operation = Annotated[Literal["create", "update", "delete", "restore", "rename", "import"], OPERATION]
Changes = Annotated[dict[str, list[Any]], VERBATIM_JSON]
Word = Annotated[str, CODE]


class HistoryRead(Schema):
    """One change of one record."""

    seq: Identity = stored(INTEGER, "The entry's number; later entries have higher ones.")
    at: Instant = stored(TIME, "When it happened.")
    user: Word | None = stored(CODE, "Who did it, by trigram.", None)
    via: Word = stored(CODE, "By what way it came, such as anonymous or sync.")
    op: Operation = stored(OPERATION, "What was done.")
    version: Identity = stored(INTEGER, "The record's version after it.")
    changes: Changes = stored(VERBATIM_JSON, "For each field that changed, its value before and after.")
    note: LongText | None = stored(TEXT, "Why, in the words of who did it.", None)


class ChangeRead(HistoryRead):
    """One change of any record of the base."""

    resource: Word = stored(CODE, "What kind of record changed, such as logs.")
    key: LongText = stored(TEXT, "Which one, by what stands in its path.")


class History(HistoryRead, table=True):
    """The table of entries; `record_id` is the id of a row of the table `resource`, `hash` the link of the chain."""

    __tablename__ = "history"
    __table_args__: ClassVar[Any] = (
        CheckConstraint("op IN ('create', 'update', 'delete', 'restore', 'rename', 'import')", name="op"),
        Index(None, "resource", "record_id", "seq"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)  # ty: ignore[incompatible-attribute-override] -- the database gives it
    resource: str = Field(sa_type=CODE.column_type)
    record_id: int = Field(sa_type=INTEGER.column_type)
    key: str = Field(sa_type=TEXT.column_type)
    note_folded: str | None = Field(default=None, sa_type=TEXT.column_type)
    request_id: str | None = Field(default=None, sa_type=CODE.column_type)
    hash: bytes | None = Field(default=None, sa_type=LargeBinary)


HISTORY = declare(
    Resource(
        name="history",
        noun="entry",
        table=SQLModel.metadata.tables["history"],
        read=HistoryRead,
        create=HistoryRead,
        key="seq",
        find_by="seq",
        unique_by="seq",
        sort="-seq",
        tiebreakers=("seq",),
        scope=("resource", "record_id"),
    )
)

# The whole history, for who follows all changes.
CHANGES = replace(HISTORY, name="changes", noun="change", read=ChangeRead, create=ChangeRead, scope=(), sort="seq")
