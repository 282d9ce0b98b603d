"""Schemas of sign-in, setup and the current user."""

from typing import Annotated, Literal

from pydantic import StringConstraints
from sqlmodel import Field

from machine_monitor.models.fields import AccountSchema, Instant, Schema, ShortText, Trigram
from machine_monitor.models.user import UserRead

MAX_PASSWORD = 200
Secret = Annotated[ShortText, StringConstraints(min_length=1, max_length=MAX_PASSWORD)]


class SignIn(AccountSchema):
    """The body of POST /session."""

    trigram: ShortText = Field(description="The trigram, in upper or lower case.")
    password: Secret = Field(description="The password.")


class SetUp(AccountSchema):
    """The body of POST /setup: sets the password of an invited user, or creates the first administrator."""

    code: ShortText = Field(description="The code in the invitation link.")
    password: Secret = Field(description="The new password, 15 to 200 characters.")
    trigram: Trigram | None = Field(default=None, description="The trigram; required for the first administrator.")
    first_name: ShortText | None = Field(default=None, description="First name; unchanged if absent.")
    last_name: ShortText | None = Field(default=None, description="Last name; unchanged if absent.")


class NewPassword(AccountSchema):
    """The body of a password change."""

    current: Secret = Field(description="The current password.")
    new: Secret = Field(description="The new password, 15 to 200 characters.")


class SignedIn(Schema):
    """The signed-in user and the session's CSRF token."""

    user: UserRead
    csrf_token: str = Field(
        description="The CSRF token: send it as `X-CSRF-Token` with every write that uses the session cookie."
    )


class Me(Schema):
    """The current user of the request."""

    user: UserRead | None = Field(description="The user; null if anonymous.")
    scope: Literal["read", "write", "admin"] = Field(description="The scope, which limits the role.")
    via: Literal["session", "token", "anonymous"] = Field(description="How the request was authenticated.")
    csrf_token: str | None = Field(description="The CSRF token of the session; null without a session.")


class SessionRead(Schema):
    """A session: a browser in which the user is signed in."""

    id: str = Field(description="The id of the session. It is no secret: nobody can sign in with it.")
    created_at: Instant = Field(description="When the user signed in.")
    last_used_at: Instant = Field(description="When it was last used, to the minute.")
    expires_at: Instant = Field(description="When it ends if it is not used again.")
    browser: str | None = Field(description="The browser or program that signed in; null if unknown.")
    device: str | None = Field(description="The kind of device, such as Windows or Android; null if unknown.")
    current: bool = Field(description="Whether this request was made with it.")


class SessionList(Schema):
    """The sessions of the current user."""

    items: list[SessionRead]


class Link(Schema):
    """A one-time invitation link to set a password."""

    url: str
    expires_at: Instant
