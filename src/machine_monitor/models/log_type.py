"""A log type: what kinds of intervention a site tells apart. Types are data."""

from typing import Any, ClassVar, Self

from pydantic import model_validator
from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import BOOLEAN, CODE, EXACT_TEXT, INTEGER, TEXT
from machine_monitor.models.fields import Code, Flag, Schema, ShortText, stored
from machine_monitor.models.schemas import Versioned, patch, replacement
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Resource, folded_table


class LogTypeFields(Schema):
    """What a site says of a kind of intervention."""

    code: Code = stored(CODE, "How logs name it; never changes; unique, whatever the case of its letters.")
    label: ShortText = stored(TEXT, "How people read it; the code if it is absent.", default_factory=str)
    counts_as_failure: Flag = stored(BOOLEAN, "Whether such a log is a failure of the machine.", default=False)
    active: Flag = stored(BOOLEAN, "Whether new logs may have it.", default=True)


class LogType(LogTypeFields, Versioned, table=True):
    """The table of log types."""

    __tablename__ = "log_types"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("code"),
        UniqueConstraint("code_key"),
        CheckConstraint("counts_as_failure IN (false, true)", name="counts_as_failure"),
        CheckConstraint("active IN (false, true)", name="active"),
        CheckConstraint("version >= 1", name="version"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    code_key: str = Field(sa_type=EXACT_TEXT)


class LogTypeCreate(LogTypeFields):
    """A new log type."""

    @model_validator(mode="after")
    def _label_is_code(self) -> Self:
        # A PUT may leave the code to its path; the label is asked again when the record is whole.
        if not self.partial and self.code is not None and "label" not in self.model_fields_set:
            self.label = self.code
        return self


class LogTypeRead(Versioned, LogTypeFields):
    """A log type as it is."""


PRESERVED_ON_PUT = frozenset({"code"})
LogTypeReplace = replacement(LogTypeCreate, LogTypeRead, PRESERVED_ON_PUT)
LogTypeUpdate = patch(LogTypeReplace)

LOG_TYPES = declare(
    Resource(
        name="log_types",
        noun="log type",
        table=SQLModel.metadata.tables["log_types"],
        folded=folded_table(SQLModel.metadata.tables["log_types"], LogTypeRead),
        read=LogTypeRead,
        create=LogTypeCreate,
        key="code",
        find_by="code",
        unique_by="code_key",
        unique_key_of=str.lower,
        searched=("code", "label"),
        preserved_on_put=PRESERVED_ON_PUT,
        sort="code",
        tiebreakers=("code",),
        immutable=frozenset({"code"}),
    )
)
