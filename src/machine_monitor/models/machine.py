"""A machine: what people intervene on."""

import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ColumnElement, UniqueConstraint, func, literal_column, select
from sqlmodel import Field, SQLModel

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import BOOLEAN, EXACT_TEXT, INTEGER, OBJECT, TEXT, TIME
from machine_monitor.models.fields import Attributes, Flag, Identity, LongText, Name, Schema, ShortText, Year, stored
from machine_monitor.models.schemas import Versioned, patch, replacement
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Resource, folded_table


def name_key(name: str) -> str:
    """What two spellings of one machine's name have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class MachineFields(Schema):
    """What people say of a machine."""

    name: Name = stored(TEXT, "What people call it; unique, whatever the case of its letters.")
    sector: ShortText | None = stored(TEXT, "Where it stands.", None)
    usage: ShortText | None = stored(TEXT, "What it is for.", None)
    manufacturer: ShortText | None = stored(TEXT, "Who built it.", None)
    model: ShortText | None = stored(TEXT, "The manufacturer's name for it.", None)
    serial_number: ShortText | None = stored(TEXT, "The manufacturer's number; need not be unique.", None)
    year_of_acquisition: Year | None = stored(INTEGER, "The year in which it came, 1900 to 2100.", None)
    in_service: Flag | None = stored(BOOLEAN, "Whether it is in use; null if nobody knows.", default=True)
    comment: LongText | None = stored(TEXT, "Anything else worth knowing.", None)
    attributes: Attributes = stored(OBJECT, "Facts of your own: texts, numbers, true or false.", default_factory=dict)


class Machine(MachineFields, Versioned, table=True):
    """The table of machines."""

    __tablename__ = "machines"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("name"),
        UniqueConstraint("name_key"),
        CheckConstraint("in_service IN (false, true)", name="in_service"),
        CheckConstraint("version >= 1", name="version"),
        {"sqlite_autoincrement": True},  # an id is never given out again
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    name_key: str = Field(sa_type=EXACT_TEXT)


class MachineCreate(MachineFields):
    """A new machine."""


class MachineRead(Versioned, MachineFields):
    """A machine as it is."""

    id: Identity = stored(INTEGER, "The machine's number; it outlives a change of name and is never reused.")


PRESERVED_ON_PUT = frozenset({"name"})
MachineReplace = replacement(MachineCreate, MachineRead, PRESERVED_ON_PUT)
MachineUpdate = patch(MachineReplace)


def _activity(engine: Engine) -> Mapping[str, ColumnElement]:
    """What a machine's logs say of it, each from an index of theirs."""
    # By their names: the page of logs is made after this one.
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
        create=MachineCreate,
        key="name",
        find_by="name_key",
        unique_by="name_key",
        lookup_key_of=name_key,
        unique_key_of=name_key,
        searched=("name", "sector", "usage", "manufacturer", "model", "serial_number", "comment"),
        preserved_on_put=PRESERVED_ON_PUT,
        sort="name",
        tiebreakers=("name",),
        computed={"activity": _activity},
    )
)
