"""Log types: the kinds of intervention. Each site defines its own, so they are records, not constants."""

from typing import Any, ClassVar, Self

from pydantic import model_validator
from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import BOOLEAN, CODE, EXACT_TEXT, INTEGER, TEXT
from machine_monitor.models.fields import Code, Flag, Schema, ShortText, kind_field
from machine_monitor.models.schemas import Versioned, patch_schema, replace_schema
from machine_monitor.query.declaration import declare
from machine_monitor.query.folded_texts import folded_table
from machine_monitor.query.schema import Resource


class LogTypeFields(Schema):
    """The fields of a log type."""

    code: Code = kind_field(CODE, "The code used in logs. Unique (ignoring case), cannot be changed.")
    label: ShortText = kind_field(TEXT, "The display name; defaults to the code.", default_factory=str)
    counts_as_failure: Flag = kind_field(
        BOOLEAN, "Whether logs of this type count as failures of the machine.", default=False
    )
    active: Flag = kind_field(BOOLEAN, "Whether new logs may use it.", default=True)


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
    """The body of POST /log-types."""

    @model_validator(mode="after")
    def _default_label_to_code(self) -> Self:
        # A PUT can omit the code, because it is in the path. The complete record is validated again later, and gets its
        # label then.
        if not self.partial and self.code is not None and "label" not in self.model_fields_set:
            self.label = self.code
        return self


class LogTypeRead(Versioned, LogTypeFields):
    """A log type as the API returns it."""


PRESERVED_ON_PUT = frozenset({"code"})
LogTypeReplace = replace_schema(LogTypeCreate, LogTypeRead, PRESERVED_ON_PUT)
LogTypeUpdate = patch_schema(LogTypeReplace)

LOG_TYPES = declare(
    Resource(
        name="log_types",
        noun="log type",
        table=SQLModel.metadata.tables["log_types"],
        folded=folded_table(SQLModel.metadata.tables["log_types"], LogTypeRead),
        read=LogTypeRead,
        create=LogTypeCreate,
        key="code",
        lookup_column="code",
        unique_column="code_key",
        unique_key_of=str.lower,
        searched=("code", "label"),
        preserved_on_put=PRESERVED_ON_PUT,
        sort="code",
        tiebreakers=("code",),
        immutable=frozenset({"code"}),
    )
)
