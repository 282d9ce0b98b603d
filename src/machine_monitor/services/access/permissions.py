"""Who may do what, as a table: each action with the role and the scope of a credential that it takes.

What depends on the record that is written, such as whose log it is, stands in `rules`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

from machine_monitor.errors import Forbidden, Unauthenticated


class Role(IntEnum):
    """What a user may do; each may all that those before it may."""

    VIEWER, OPERATOR, LEAD, SUPERVISOR, ADMIN = range(5)


class Scope(IntEnum):
    """What of its user's role a credential may use."""

    READ, WRITE, ADMIN = range(3)


class Caller(NamedTuple):
    """Who makes a request; `session` and `csrf_token` where it has a session."""

    user: str | None
    role: Role
    scope: Scope
    via: Literal["session", "token", "anonymous"]
    session: str | None = None
    csrf_token: str | None = None


@dataclass(frozen=True)
class Action:
    """Something that a request does; an action without a role is open to all, a `personal` one needs an account."""

    sentence: str
    role: Role | None
    scope: Scope
    personal: bool = False

    def check(self, caller: Caller) -> None:
        """Raise `Forbidden`, or `Unauthenticated` where somebody known might, unless the caller may do this."""
        assert self.role is not None
        if caller.role >= self.role and caller.scope >= self.scope and (caller.user is not None or not self.personal):
            return
        if caller.user is None:
            raise Unauthenticated
        if caller.role < self.role:
            raise Forbidden(f"To {self.sentence} takes the role {self.role.name.lower()}.")
        raise Forbidden(f"To {self.sentence} takes a token of the scope {self.scope.name.lower()}.")


USE = Action("use the service", None, Scope.READ)
READ = Action("read", Role.VIEWER, Scope.READ)
ADD_LOG = Action("add a log", Role.OPERATOR, Scope.WRITE)
EDIT_LOG = Action("edit a log", Role.OPERATOR, Scope.WRITE)
EDIT_MACHINE = Action("edit a machine", Role.LEAD, Scope.WRITE)
MANAGE_RECORDS = Action("do this with records", Role.SUPERVISOR, Scope.WRITE)
SEE_DELETED = Action("see deleted records", Role.SUPERVISOR, Scope.READ)
MANAGE_USERS = Action("write users", Role.ADMIN, Scope.ADMIN)
INVITE = Action("invite a user", Role.ADMIN, Scope.ADMIN, personal=True)
SEE_TOKENS = Action("see tokens", Role.VIEWER, Scope.READ, personal=True)
WRITE_TOKENS = Action("make or revoke tokens", Role.VIEWER, Scope.WRITE, personal=True)
CHANGE_PASSWORD = Action("change a password", Role.VIEWER, Scope.WRITE, personal=True)
SIGN_OUT = Action("sign out", Role.VIEWER, Scope.READ, personal=True)


def can_manage_other_accounts(caller: Caller) -> bool:
    """Whether the caller may see and write what belongs to other users' accounts."""
    return caller.role >= Role.ADMIN and caller.scope >= Scope.ADMIN
