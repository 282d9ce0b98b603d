"""A user: who intervenes, by a short name that the whole workshop knows."""

from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import BOOLEAN, CODE, EXACT_TEXT, INTEGER, TEXT
from machine_monitor.models.fields import ROLE, Flag, Role, Schema, ShortText, Trigram, stored
from machine_monitor.models.schemas import Versioned, patch, replacement
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Resource, folded_table


class UserFields(Schema):
    """What a site knows of a person."""

    trigram: Trigram = stored(CODE, "The short name that logs carry; never changes; unique, whatever its case.")
    first_name: ShortText | None = stored(TEXT, "First name.", None)
    last_name: ShortText | None = stored(TEXT, "Last name.", None)
    role: Role = stored(ROLE, "What the person may do, from viewer up to admin.", default="operator")
    active: Flag = stored(BOOLEAN, "Whether the person is still here.", default=True)


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
    """A new user."""


class UserRead(Versioned, UserFields):
    """A user as everyone may see one."""


PRESERVED_ON_PUT = frozenset({"trigram"})
UserReplace = replacement(UserCreate, UserRead, PRESERVED_ON_PUT)
UserUpdate = patch(UserReplace)

USERS = declare(
    Resource(
        name="users",
        noun="user",
        table=SQLModel.metadata.tables["users"],
        folded=folded_table(SQLModel.metadata.tables["users"], UserRead),
        read=UserRead,
        create=UserCreate,
        key="trigram",
        find_by="trigram",
        unique_by="trigram_key",
        unique_key_of=str.lower,
        searched=("trigram", "first_name", "last_name"),
        preserved_on_put=PRESERVED_ON_PUT,
        sort="trigram",
        tiebreakers=("trigram",),
        immutable=frozenset({"trigram"}),
    )
)
