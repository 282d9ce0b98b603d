"""A token: what a program shows to act for a user."""

from typing import Annotated, Any, ClassVar, Literal

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME, rank
from machine_monitor.models.accounts.tables import of_user
from machine_monitor.models.fields import Identity, Instant, Schema, ShortText, Trigram, stored
from machine_monitor.models.user import USERS
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Reference, Resource

SCOPE = rank("read", "write", "admin")
Scope = Annotated[Literal["read", "write", "admin"], SCOPE]
MAX_DAYS = 3_650


class TokenRead(Schema):
    """A token as its owner and an admin may see it: never its secret."""

    id: Identity = stored(INTEGER, "The token's number, which its text shows too.")
    name: ShortText = stored(TEXT, "What it is for.", min_length=1)
    user: Annotated[Trigram, Reference(USERS, on="user", to="trigram", in_use=None)] = stored(
        CODE, "Whom it acts for, by trigram."
    )
    scope: Scope = stored(SCOPE, "What it may do of what its user may: read, write or admin.")
    created_at: Instant = stored(TIME, "When it was made.")
    expires_at: Instant = stored(TIME, "From when on it is void.")
    last_used_at: Instant | None = stored(TIME, "When it was last used, to the minute; null if never.", None)


class Token(TokenRead, table=True):
    """The table of tokens; `digest` is what a secret is checked against."""

    __tablename__ = "tokens"
    __table_args__: ClassVar[Any] = (
        of_user(),
        CheckConstraint("scope BETWEEN 0 AND 2", name="scope"),
        Index(None, "user"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)  # ty: ignore[incompatible-attribute-override] -- the database gives it
    name_folded: str = Field(sa_type=TEXT.column_type)
    digest: str = Field(sa_type=CODE.column_type)


class TokenCreate(Schema):
    """A new token."""

    name: ShortText = Field(min_length=1, description="What it is for.")
    scope: Scope = Field(description="What it may do of what its user may: read, write or admin.")
    days: int = Field(default=90, ge=1, le=MAX_DAYS, description="For how long it is good.")
    user: Trigram | None = Field(default=None, description="Whom it acts for; another than oneself: an admin.")


class TokenCreated(TokenRead):
    """A new token with its secret, which is never shown again."""

    token: str = Field(description="What to send as `Authorization: Bearer`.")


TOKENS = declare(
    Resource(
        name="tokens",
        noun="token",
        table=SQLModel.metadata.tables["tokens"],
        read=TokenRead,
        create=TokenCreate,
        key="id",
        find_by="id",
        unique_by="id",
        sort="id",
        tiebreakers=("id",),
    )
)
