"""Internal account tables: credentials, sessions, known devices, invitations, sign-in attempts.

Secrets are stored only as hashes.
"""

from typing import Any, ClassVar

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME
from machine_monitor.models.fields import Instant, Schema


def user_foreign_key() -> ForeignKeyConstraint:
    """Declare the foreign key from `user` to `users.trigram`."""
    return ForeignKeyConstraint(["user"], ["users.trigram"], ondelete="RESTRICT")


class Credential(Schema, table=True):
    """Table of passwords by user, as argon2id hashes."""

    __tablename__ = "credentials"
    __table_args__: ClassVar[Any] = (user_foreign_key(),)

    user: str = Field(primary_key=True, sa_type=CODE.column_type)
    password: str = Field(sa_type=TEXT.column_type)
    changed_at: Instant = Field(sa_type=TIME.column_type)


class Session(Schema, table=True):
    """Table of console sessions, by the digest of their cookie.

    `browser` and `device` are names from the user agent. `KnownDevice` recognizes a device by a cookie instead.
    """

    __tablename__ = "sessions"
    __table_args__: ClassVar[Any] = (user_foreign_key(), Index(None, "user"))

    digest: str = Field(primary_key=True, sa_type=CODE.column_type)
    user: str = Field(sa_type=CODE.column_type)
    created_at: Instant = Field(sa_type=TIME.column_type)
    seen_at: Instant = Field(sa_type=TIME.column_type)
    browser: str | None = Field(default=None, sa_type=CODE.column_type)
    device: str | None = Field(default=None, sa_type=CODE.column_type)


class KnownDevice(Schema, table=True):
    """Table of the browsers in which a user signed in lately, by the digest of their device cookie."""

    __tablename__ = "known_devices"
    __table_args__: ClassVar[Any] = (user_foreign_key(), Index(None, "user"))

    digest: str = Field(primary_key=True, sa_type=CODE.column_type)
    user: str = Field(primary_key=True, sa_type=CODE.column_type)
    seen_at: Instant = Field(sa_type=TIME.column_type)


class Invitation(Schema, table=True):
    """Table of one-time codes that set a password; one without a user creates the first administrator."""

    __tablename__ = "invitations"
    __table_args__: ClassVar[Any] = (user_foreign_key(), Index(None, "user"))

    digest: str = Field(primary_key=True, sa_type=CODE.column_type)
    user: str | None = Field(default=None, sa_type=CODE.column_type)
    expires_at: Instant = Field(sa_type=TIME.column_type)


class Attempt(Schema, table=True):
    """Table of rate limit counters: failed sign-ins and password changes since the start of the window.

    `subject` names what is counted, such as an account at an IP address; see services/accounts/rate_limit.py.
    """

    __tablename__ = "attempts"

    subject: str = Field(primary_key=True, sa_type=CODE.column_type)
    count: int = Field(sa_type=INTEGER.column_type)
    since: Instant = Field(sa_type=TIME.column_type)


CREDENTIALS, SESSIONS, KNOWN_DEVICES, INVITATIONS, ATTEMPTS = (
    Schema.metadata.tables[name] for name in ("credentials", "sessions", "known_devices", "invitations", "attempts")
)
