"""Mappings saved by name: how the tables of one source become records."""

from typing import Annotated, Any, ClassVar

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import CODE, TEXT, VERBATIM_JSON, choice
from machine_monitor.models.fields import Schema, kind_field
from machine_monitor.models.schemas import Versioned
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Resource

# What the rows of a table become.
IMPORTED = choice("logs", "machines", "log_types", "users")
Imported = Annotated[str, IMPORTED]


class SavedMappingRead(Versioned):
    """A saved mapping in a list. `GET /mappings/{name}` returns the mapping itself."""

    name: Annotated[str, TEXT] = kind_field(TEXT, "The name of the mapping.", primary_key=True)
    resource: Imported = kind_field(IMPORTED, "What the rows become.")
    user: Annotated[str, CODE] | None = kind_field(CODE, "The trigram of the user who saved this version.", None)


class SavedMapping(SavedMappingRead, table=True):
    """The table of saved mappings."""

    __tablename__ = "mappings"
    __table_args__: ClassVar[Any] = (CheckConstraint("version >= 1", name="version"),)

    name_folded: str = Field(sa_type=TEXT.column_type)
    document: dict[str, Any] = Field(sa_type=VERBATIM_JSON.column_type)


MAPPINGS = declare(
    Resource(
        name="mappings",
        noun="mapping",
        table=SQLModel.metadata.tables["mappings"],
        read=SavedMappingRead,
        create=Schema,
        key="name",
        lookup_column="name",
        unique_column="name",
        sort="name",
        tiebreakers=("name",),
    )
)
