"""The bodies of signing in: what a person types, and what the answer says."""

from typing import Annotated, Literal

from pydantic import StringConstraints
from sqlmodel import Field

from machine_monitor.models.fields import Instant, Schema, ShortText, Trigram
from machine_monitor.models.user import UserRead

MAX_PASSWORD = 200
Secret = Annotated[ShortText, StringConstraints(min_length=1, max_length=MAX_PASSWORD)]


class SignIn(Schema):
    """Who signs in."""

    trigram: ShortText = Field(description="The trigram, whatever the case of its letters.")
    password: Secret = Field(description="The password.")


class SetUp(Schema):
    """A first password; with the link that `serve` prints, the first admin too."""

    code: ShortText = Field(description="The code of the link.")
    password: Secret = Field(description="The new password, 15 to 200 characters.")
    trigram: Trigram | None = Field(default=None, description="The trigram: required of the first admin.")
    first_name: ShortText | None = Field(default=None, description="First name; kept as it is if it is absent.")
    last_name: ShortText | None = Field(default=None, description="Last name; kept as it is if it is absent.")


class NewPassword(Schema):
    """A change of one's password."""

    current: Secret = Field(description="The password so far.")
    new: Secret = Field(description="The new password, 15 to 200 characters.")


class SignedIn(Schema):
    """Who has signed in."""

    user: UserRead
    csrf_token: str = Field(description="What writes by cookie carry as `X-CSRF-Token`.")


class Me(Schema):
    """Who asks."""

    user: UserRead | None = Field(description="The user; null for who is anonymous.")
    scope: Literal["read", "write", "admin"] = Field(description="What of the role may be used.")
    via: Literal["session", "token", "anonymous"] = Field(description="By what the request says who it is.")
    csrf_token: str | None = Field(description="What writes by cookie carry as `X-CSRF-Token`; null without a session.")


class Link(Schema):
    """An invitation: whoever opens it chooses a password, once."""

    url: str
    expires_at: Instant
