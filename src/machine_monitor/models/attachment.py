"""Attachments: files of a record. The rows are stored with their record, the bytes in the file store (MM_FILES).

Clients do not write them in the record's body: they upload and remove files, see `services/files`.
"""

import re
import unicodedata
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME, UUID
from machine_monitor.models.fields import Identity, Instant, Schema, Uuid, kind_field

MAX_ATTACHMENTS = 50
MAX_FILE_NAME = 200
# The name of a file that was sent without one.
UNNAMED = "file"
# Unicode's categories Cc (control), Cf (format, such as marks of the writing direction), Cs and Co, Zl and Zp.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_SEPARATORS = re.compile(r"[/\\]")


def clean_name(given: str) -> str:
    """Return a file name for these characters: without folders, control characters and marks of direction.

    A mark of direction (U+202E) can make `exe.jpg` of the end of a program's name. Uploads never fail because of a
    name: what is not printable is left out.
    """
    last = _SEPARATORS.split(given)[-1]
    printable = "".join(each for each in last if unicodedata.category(each) not in _UNPRINTABLE)
    name = " ".join(unicodedata.normalize("NFC", printable).split())
    if name.strip(". ") == "":
        return UNNAMED
    stem, dot, suffix = name.rpartition(".")
    if len(name) <= MAX_FILE_NAME:
        return name
    return f"{stem[: MAX_FILE_NAME - len(suffix) - 1]}.{suffix}" if dot and len(suffix) < 20 else name[:MAX_FILE_NAME]


def _file_name(name: str) -> str:
    if clean_name(name) != unicodedata.normalize("NFC", name):
        message = (
            f"must be a file name of at most {MAX_FILE_NAME} characters, without folders, control characters or "
            "marks of the writing direction."
        )
        code = "file_name"
        raise PydanticCustomError(code, message)
    return unicodedata.normalize("NFC", name)


FileName = Annotated[
    str, TEXT, StringConstraints(min_length=1, max_length=2 * MAX_FILE_NAME), AfterValidator(_file_name)
]
Text = Annotated[str, TEXT]
CodeText = Annotated[str, CODE]


class Attachment(Schema):
    """A file of a record."""

    id: Uuid = kind_field(UUID, "The attachment's UUID.")
    name: Text = kind_field(TEXT, "The file name.")
    media_type: CodeText = kind_field(CODE, "The media type, which the bytes show: the name does not count.")
    bytes: Identity = kind_field(INTEGER, "The size in bytes.")
    sha256: CodeText = kind_field(CODE, "The SHA-256 digest of the bytes, in hexadecimal.")
    width: Identity | None = kind_field(INTEGER, "The width of an image in pixels, turned upright.", None)
    height: Identity | None = kind_field(INTEGER, "The height of an image in pixels, turned upright.", None)
    user: CodeText | None = kind_field(CODE, "The trigram of the user who added it.", None)
    created_at: Instant = kind_field(TIME, "When it was added.")


class AttachmentRename(Schema):
    """The body of PATCH: the new file name."""

    name: FileName = kind_field(TEXT, "The new file name.")


class _AttachmentRow(Attachment):
    """The columns that both tables have beside those that the API shows."""

    name_folded: str = Field(sa_type=TEXT.column_type)
    position: int = Field(sa_type=INTEGER.column_type)


class LogAttachment(_AttachmentRow, table=True):
    """The table of the attachments of logs."""

    __tablename__ = "log_attachments"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("log_id", "position"),
        UniqueConstraint("id"),
        Index(None, "sha256"),
        ForeignKeyConstraint(["log_id"], ["logs.id"], ondelete="RESTRICT"),
    )

    log_id: int = Field(sa_type=INTEGER.column_type)


class MachineAttachment(_AttachmentRow, table=True):
    """The table of the attachments of machines."""

    __tablename__ = "machine_attachments"
    __table_args__: ClassVar[Any] = (
        PrimaryKeyConstraint("machine_id", "position"),
        UniqueConstraint("id"),
        Index(None, "sha256"),
        ForeignKeyConstraint(["machine_id"], ["machines.id"], ondelete="RESTRICT"),
    )

    machine_id: int = Field(sa_type=INTEGER.column_type)


class AttachmentsIgnored(Schema):
    """A body in which the attachments of a record may be repeated, as GET returns them. They are ignored."""

    # Not of `Attachment`: OpenAPI would have two schemas of it, for bodies and for responses.
    attachments: list[dict[str, Any]] = Field(
        default_factory=list,
        exclude=True,
        description="Ignored: upload files at `/attachments` of the record.",
        schema_extra={"json_schema_extra": {"readOnly": True}},
    )
    attachment_count: int = Field(
        default_factory=int,
        exclude=True,
        description="Ignored.",
        schema_extra={"json_schema_extra": {"readOnly": True}},
    )

    @model_validator(mode="before")
    @classmethod
    def _ignore(cls, body: Any) -> Any:
        if isinstance(body, dict) and not body.keys().isdisjoint(IGNORED):
            return {name: value for name, value in body.items() if name not in IGNORED}
        return body


IGNORED = tuple(AttachmentsIgnored.model_fields)
LOG_ATTACHMENTS = SQLModel.metadata.tables["log_attachments"]
MACHINE_ATTACHMENTS = SQLModel.metadata.tables["machine_attachments"]
