"""API tokens: credentials of programs that act for a user."""

from typing import Annotated, Any, ClassVar, Literal

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME, rank
from machine_monitor.models.accounts.tables import user_foreign_key
from machine_monitor.models.fields import AccountSchema, Identity, Instant, Schema, ShortText, Trigram, kind_field
from machine_monitor.models.user import USERS
from machine_monitor.query.declaration import declare
from machine_monitor.query.schema import Reference, Resource

SCOPE = rank("read", "write", "admin")
Scope = Annotated[Literal["read", "write", "admin"], SCOPE]
MAX_LIFETIME_DAYS = 3_650


class TokenRead(Schema):
    """A token as the API returns it to its owner and to admins: without its secret."""

    id: Identity = kind_field(INTEGER, "The token's id; the token itself begins with `mm_<id>_`.")
    name: ShortText = kind_field(TEXT, "The purpose of the token.", min_length=1)
    user: Annotated[Trigram, Reference(USERS, on="user", to="trigram", in_use=None)] = kind_field(
        CODE, "The trigram of the user the token acts for."
    )
    scope: Scope = kind_field(SCOPE, "The scope, which limits the user's role: read, write or admin.")
    created_at: Instant = kind_field(TIME, "When it was created.")
    expires_at: Instant = kind_field(TIME, "When it expires.")
    last_used_at: Instant | None = kind_field(TIME, "When it was last used, to the minute; null if never.", None)


class Token(TokenRead, table=True):
    """The table of tokens; `digest` is the hash of the secret."""

    __tablename__ = "tokens"
    __table_args__: ClassVar[Any] = (
        user_foreign_key(),
        CheckConstraint("scope BETWEEN 0 AND 2", name="scope"),
        Index(None, "user"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)  # ty: ignore[incompatible-attribute-override] -- the database assigns it
    name_folded: str = Field(sa_type=TEXT.column_type)
    digest: str = Field(sa_type=CODE.column_type)


class TokenCreate(AccountSchema):
    """The body of POST /tokens."""

    name: ShortText = Field(min_length=1, description="The purpose of the token.")
    scope: Scope = Field(description="The scope, which limits the user's role: read, write or admin.")
    days: int = Field(default=90, ge=1, le=MAX_LIFETIME_DAYS, description="The lifetime in days.")
    user: Trigram | None = Field(
        default=None,
        description="The user the token acts for, by default yourself. Another user requires the admin role.",
    )


class TokenCreated(TokenRead):
    """A new token with its secret, which is never shown again."""

    token: str = Field(description="The token itself: send it as `Authorization: Bearer <token>`.")


TOKENS = declare(
    Resource(
        name="tokens",
        noun="token",
        table=SQLModel.metadata.tables["tokens"],
        read=TokenRead,
        create=TokenCreate,
        key="id",
        lookup_column="id",
        unique_column="id",
        sort="id",
        tiebreakers=("id",),
    )
)
