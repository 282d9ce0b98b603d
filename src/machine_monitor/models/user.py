"""Users: the authors of logs, identified by a short name (trigram)."""

from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import BOOLEAN, CODE, EXACT_TEXT, INTEGER, TEXT
from machine_monitor.models.fields import ROLE, Flag, Role, Schema, ShortText, Trigram, kind_field
from machine_monitor.models.schemas import Versioned, patch_schema, replace_schema
from machine_monitor.query.declaration import declare
from machine_monitor.query.folded_texts import folded_table
from machine_monitor.query.schema import Resource


class UserFields(Schema):
    """The fields of a user."""

    trigram: Trigram = kind_field(CODE, "The short name used in logs. Unique (ignoring case), cannot be changed.")
    first_name: ShortText | None = kind_field(TEXT, "First name.", None)
    last_name: ShortText | None = kind_field(TEXT, "Last name.", None)
    role: Role = kind_field(ROLE, "The role, from viewer to admin.", default="operator")
    active: Flag = kind_field(BOOLEAN, "Whether the account is active.", default=True)


class User(UserFields, Versioned, table=True):
    """The table of users."""

    __tablename__ = "users"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("trigram"),
        UniqueConstraint("trigram_key"),
        CheckConstraint("role BETWEEN 0 AND 4", name="role"),
        CheckConstraint("active IN (false, true)", name="active"),
        CheckConstraint("version >= 1", name="version"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    trigram_key: str = Field(sa_type=EXACT_TEXT)


class UserCreate(UserFields):
    """The body of POST /users."""


class UserRead(Versioned, UserFields):
    """A user as the API returns it."""


PRESERVED_ON_PUT = frozenset({"trigram"})
UserReplace = replace_schema(UserCreate, UserRead, PRESERVED_ON_PUT)
UserUpdate = patch_schema(UserReplace)

USERS = declare(
    Resource(
        name="users",
        noun="user",
        table=SQLModel.metadata.tables["users"],
        folded=folded_table(SQLModel.metadata.tables["users"], UserRead),
        read=UserRead,
        create=UserCreate,
        key="trigram",
        lookup_column="trigram",
        unique_column="trigram_key",
        unique_key_of=str.lower,
        searched=("trigram", "first_name", "last_name"),
        preserved_on_put=PRESERVED_ON_PUT,
        sort="trigram",
        tiebreakers=("trigram",),
        immutable=frozenset({"trigram"}),
    )
)
