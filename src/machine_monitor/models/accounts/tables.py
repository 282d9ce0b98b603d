"""The tables that only the product reads: passwords, sessions, invitations, attempts to sign in.

What a person or a program shows us (a password, a cookie, a code) is nowhere: only what it is checked against.
"""

from typing import Any, ClassVar

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME
from machine_monitor.models.fields import Instant, Schema


def of_user() -> ForeignKeyConstraint:
    """A row's `user` is one of ours."""
    return ForeignKeyConstraint(["user"], ["users.trigram"], ondelete="RESTRICT")


class Credential(Schema, table=True):
    """The table of passwords: a user's, as its argon2id hash."""

    __tablename__ = "credentials"
    __table_args__: ClassVar[Any] = (of_user(),)

    user: str = Field(primary_key=True, sa_type=CODE.column_type)
    password: str = Field(sa_type=TEXT.column_type)
    changed_at: Instant = Field(sa_type=TIME.column_type)


class Session(Schema, table=True):
    """The table of the console's sessions, by the digest of their cookie."""

    __tablename__ = "sessions"
    __table_args__: ClassVar[Any] = (of_user(), Index(None, "user"))

    digest: str = Field(primary_key=True, sa_type=CODE.column_type)
    user: str = Field(sa_type=CODE.column_type)
    created_at: Instant = Field(sa_type=TIME.column_type)
    seen_at: Instant = Field(sa_type=TIME.column_type)


class Invitation(Schema, table=True):
    """The table of codes that set a password once; one without a user makes the first admin."""

    __tablename__ = "invitations"
    __table_args__: ClassVar[Any] = (of_user(), Index(None, "user"))

    digest: str = Field(primary_key=True, sa_type=CODE.column_type)
    user: str | None = Field(default=None, sa_type=CODE.column_type)
    expires_at: Instant = Field(sa_type=TIME.column_type)


class Attempt(Schema, table=True):
    """The table of attempts to sign in that failed: how many there were since when, by account and by address."""

    __tablename__ = "attempts"

    subject: str = Field(primary_key=True, sa_type=CODE.column_type)
    count: int = Field(sa_type=INTEGER.column_type)
    since: Instant = Field(sa_type=TIME.column_type)


CREDENTIALS, SESSIONS, INVITATIONS, ATTEMPTS = (
    Schema.metadata.tables[name] for name in ("credentials", "sessions", "invitations", "attempts")
)
