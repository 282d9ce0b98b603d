"""Machines."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from sqlalchemy import CheckConstraint, ColumnElement, UniqueConstraint, func, literal_column, select
from sqlmodel import Field, Relationship, SQLModel

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import BOOLEAN, EXACT_TEXT, INTEGER, OBJECT, TEXT, TIME
from machine_monitor.models.attachment import MACHINE_ATTACHMENTS, Attachment, AttachmentsIgnored, MachineAttachment
from machine_monitor.models.fields import (
    Attributes,
    Flag,
    Identity,
    LongText,
    Name,
    NamedMachine,
    Schema,
    ShortText,
    Year,
    kind_field,
)
from machine_monitor.models.schemas import Versioned, patch_schema, replace_schema
from machine_monitor.query.declaration import declare
from machine_monitor.query.folded_texts import folded_table
from machine_monitor.query.language.folding import remove_ignorable
from machine_monitor.query.schema import ChildRows, CountOf, Resource


def name_key(name: str) -> str:
    """Return the comparison key of a machine's name: Unicode NFC and case-folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


# Embedding, override and isolate controls (UAX #9): they make a name read otherwise than it is written.
_DIRECTION_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Blanks, controls and format characters. Unassigned ones may be of a newer version of Unicode: they count as visible.
_INVISIBLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"})
# A blank with the category of visible signs: the Braille pattern without dots.
_BLANK_SIGN = "\u2800"


def new_name_fault(name: str) -> str | None:
    """Return what is wrong with the name as a new one: the rest of a sentence that begins with the field's name.

    Machines that already have such a name keep it, and can be edited.
    """
    if _DIRECTION_CONTROL.search(name):
        return "must not contain characters that change the direction of text (U+202A to U+202E, U+2066 to U+2069)."
    if all(sign == _BLANK_SIGN or unicodedata.category(sign) in _INVISIBLE for sign in remove_ignorable(name)):
        return "must have a visible character."
    return None


class MachineFields(Schema):
    """The fields of a machine."""

    name: Name = kind_field(TEXT, "The name. Unique, ignoring case.")
    sector: ShortText | None = kind_field(TEXT, "The sector of the plant.", None)
    usage: ShortText | None = kind_field(TEXT, "The use of the machine.", None)
    manufacturer: ShortText | None = kind_field(TEXT, "The manufacturer.", None)
    model: ShortText | None = kind_field(TEXT, "The manufacturer's model name.", None)
    serial_number: ShortText | None = kind_field(TEXT, "The manufacturer's serial number; need not be unique.", None)
    year_of_acquisition: Year | None = kind_field(INTEGER, "The year of acquisition, 1900 to 2100.", None)
    in_service: Flag | None = kind_field(BOOLEAN, "Whether it is in service; null if unknown.", default=True)
    listed: Flag = kind_field(
        BOOLEAN,
        "Whether a supervisor has confirmed it; false if a log with `unlisted` created it.",
        default=True,
    )
    comment: LongText | None = kind_field(TEXT, "Anything else worth knowing.", None)
    attributes: Attributes = kind_field(OBJECT, "Custom fields: texts, numbers or booleans.", default_factory=dict)


class Machine(MachineFields, Versioned, table=True):
    """The table of machines."""

    __tablename__ = "machines"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("name"),
        UniqueConstraint("name_key"),
        CheckConstraint("in_service IN (false, true)", name="in_service"),
        CheckConstraint("listed IN (false, true)", name="listed"),
        CheckConstraint("version >= 1", name="version"),
        {"sqlite_autoincrement": True},  # ids are never reused
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    attachment_count: int = Field(default=0, sa_type=INTEGER.column_type, sa_column_kwargs={"server_default": "0"})

    # Loaded with their machine: `MachineRead` shows them.
    attachments: list[MachineAttachment] = Relationship(
        sa_relationship_kwargs={"lazy": "selectin", "viewonly": True, "order_by": "MachineAttachment.position"}
    )

    name_key: str = Field(sa_type=EXACT_TEXT)


class MachineValues(MachineFields):
    """The fields of a machine that clients write."""


class MachineCreate(AttachmentsIgnored, MachineValues):
    """The body of POST /machines."""


class MachineMerge(Schema):
    """The body of POST /machines/{name}/merge."""

    into: NamedMachine = kind_field(TEXT, "The name of the machine that receives the logs.")


class MachineRead(Versioned, MachineFields):
    """A machine as the API returns it."""

    id: Identity = kind_field(INTEGER, "The machine's id. Stable across renames, never reused.")
    attachments: Annotated[list[Attachment], ChildRows(MACHINE_ATTACHMENTS, Attachment, on="machine_id")] = Field(
        description="Its files, such as a picture and the manual, in the order in which they were added."
    )
    attachment_count: Annotated[Identity, CountOf("attachments")] = kind_field(INTEGER, "How many files it has.")


PRESERVED_ON_PUT = frozenset({"name"})
MachineReplace = replace_schema(MachineCreate, MachineRead, PRESERVED_ON_PUT)
MachineUpdate = patch_schema(MachineReplace)


def _activity(engine: Engine) -> Mapping[str, ColumnElement]:
    """Build the members of `expand=activity`, each computed from an index of the logs table."""
    # Look the tables up by name: importing models.log here would be circular.
    machines, logs = (SQLModel.metadata.tables[name] for name in ("machines", "logs"))
    own = [logs.c.machine_id == machines.c.id, logs.c.deleted_at.is_(None)]
    newest = select(logs.c.started_at).where(*own).order_by(logs.c.started_at.desc(), logs.c.id.desc())
    newest = newest.limit(literal_column("1")).correlate(machines)
    counted = select(func.count()).select_from(logs).where(*own).correlate(machines)
    unfinished = logs.c.status.in_([literal_column("'open'"), literal_column("'in_progress'")])
    recent = logs.c.started_at.between(engine.days_ago(30), engine.days_ago(0))
    return {
        "last_log_at": engine.to_json_expr(newest.scalar_subquery(), TIME),
        "open_logs": counted.where(unfinished).scalar_subquery(),
        "logs_30d": counted.where(recent).scalar_subquery(),
    }


MACHINES = declare(
    Resource(
        name="machines",
        noun="machine",
        table=SQLModel.metadata.tables["machines"],
        folded=folded_table(SQLModel.metadata.tables["machines"], MachineRead),
        read=MachineRead,
        create=MachineValues,
        key="name",
        lookup_column="name_key",
        unique_column="name_key",
        lookup_key_of=name_key,
        unique_key_of=name_key,
        new_key_fault=new_name_fault,
        searched=("name", "sector", "usage", "manufacturer", "model", "serial_number", "comment", "attachments.name"),
        preserved_on_put=PRESERVED_ON_PUT,
        sort="name",
        tiebreakers=("name",),
        computed={"activity": _activity},
    )
)
