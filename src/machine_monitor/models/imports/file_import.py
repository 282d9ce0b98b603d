"""Imports of uploaded files: what was uploaded, what an import of it would do or did, and how far it is."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME, UUID, VERBATIM_JSON, choice
from machine_monitor.models.fields import Identity, Instant, Schema, Uuid, kind_field
from machine_monitor.models.imports.saved_mapping import IMPORTED, Imported
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Resource

STATE = choice("reading", "ready", "applying", "done", "undoing", "undone", "failed", "expired")
# In these states a process works on the import.
WORKING = ("reading", "applying", "undoing")
Text = Annotated[str, TEXT]
Code = Annotated[str, CODE]


class FileImportRead(Schema):
    """An import in a list. `GET /imports/{id}` adds its columns, its mapping, and what it would do or did."""

    id: Uuid = kind_field(UUID, "The import's UUID.")
    state: Annotated[str, STATE] = kind_field(
        STATE,
        "`reading`: the preview is being made; `ready`: it can be applied; `applying`, `done`; `undoing`, `undone`; "
        "`failed`: its writes were undone; `expired`: the file was removed before it was applied.",
    )
    file: Text = kind_field(TEXT, "The name of the file.")
    bytes: Identity = kind_field(INTEGER, "The size of the file in bytes.")
    sha256: Code = kind_field(CODE, "The SHA-256 digest of the file, in hexadecimal.")
    resource: Imported | None = kind_field(IMPORTED, "What the rows become; null if it is not known yet.", None)
    mapping_name: Text | None = kind_field(TEXT, "The name of the mapping; null for a table with our columns.", None)
    done: Identity = kind_field(INTEGER, "How many of `total` rows are processed.", 0)
    total: Identity = kind_field(INTEGER, "How many rows there are; 0 if that is not known yet.", 0)
    created: Identity | None = kind_field(INTEGER, "How many records it made, or would make.", None)
    updated: Identity | None = kind_field(INTEGER, "How many records it changed, or would change.", None)
    conflict: Identity | None = kind_field(
        INTEGER, "How many rows differ from a record that was edited here as well.", None
    )
    rejected: Identity | None = kind_field(INTEGER, "How many rows it refused, or would refuse.", None)
    user: Code | None = kind_field(CODE, "The trigram of the user who uploaded or last applied it.", None)
    created_at: Instant = kind_field(TIME, "When the file was uploaded.")
    applied_at: Instant | None = kind_field(TIME, "When it was last applied.", None)
    expires_at: Instant = kind_field(TIME, "When the file, and that of the refused rows, is removed.")


class FileImport(FileImportRead, table=True):
    """The table of imports.

    `result` has what only GET of one import shows. A process that works on an import holds a lease: `lease` is its
    number, and `lease_until` when others may take the work over. `first_entry` is the last entry of the history before
    the import wrote anything.
    """

    __tablename__ = "file_imports"
    __table_args__: ClassVar[Any] = (Index("ix_file_imports_created_at_id", "created_at", "id"),)

    id: str = Field(primary_key=True, sa_type=UUID.column_type)
    file_folded: str = Field(sa_type=TEXT.column_type)
    mapping_name_folded: str | None = Field(default=None, sa_type=TEXT.column_type)
    mapping: dict[str, Any] | None = Field(default=None, sa_type=VERBATIM_JSON.column_type)
    result: dict[str, Any] = Field(sa_type=VERBATIM_JSON.column_type)
    first_entry: int | None = Field(default=None, sa_type=INTEGER.column_type)
    lease: int = Field(default=0, sa_type=INTEGER.column_type)
    lease_until: datetime | None = Field(default=None, sa_type=TIME.column_type)


FILE_IMPORTS = declare(
    Resource(
        name="file_imports",
        noun="import",
        table=SQLModel.metadata.tables["file_imports"],
        read=FileImportRead,
        create=Schema,
        key="id",
        lookup_column="id",
        lookup_key_of=str.lower,
        unique_column="id",
        sort="-created_at",
        tiebreakers=("created_at", "id"),
    )
)
