"""Role-based access control: each action with the minimum role and the credential's scope that it requires.

Rules that depend on the record, such as the author of a log, are in `rules`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

from machine_monitor.errors import Forbidden, Unauthenticated


class Role(IntEnum):
    """A user's role; each role includes the permissions of the lower ones."""

    VIEWER, OPERATOR, LEAD, SUPERVISOR, ADMIN = range(5)


class Scope(IntEnum):
    """A credential's scope, which limits the permissions of its user's role."""

    READ, WRITE, ADMIN = range(3)


class Caller(NamedTuple):
    """The authenticated caller of a request.

    `session` (its digest) and `csrf_token` are set for a session, `token` (its number) for a token.
    """

    user: str | None
    role: Role
    scope: Scope
    via: Literal["session", "token", "anonymous"]
    session: str | None = None
    csrf_token: str | None = None
    token: int | None = None


@dataclass(frozen=True)
class Action:
    """An operation that requires permission. Without a role it is public; a `personal` one requires an account."""

    description: str
    role: Role | None
    scope: Scope
    personal: bool = False

    def check(self, caller: Caller) -> None:
        """Raise `Forbidden` unless the caller may do this; `Unauthenticated` if the caller is anonymous."""
        assert self.role is not None
        if caller.role >= self.role and caller.scope >= self.scope and (caller.user is not None or not self.personal):
            return
        if caller.user is None:
            raise Unauthenticated
        if caller.role < self.role:
            raise Forbidden(f"{self.description} requires the {self.role.name.lower()} role.")
        raise Forbidden(f"{self.description} requires a token with the {self.scope.name.lower()} scope.")


PUBLIC = Action("Using the service", None, Scope.READ)
READ = Action("Reading", Role.VIEWER, Scope.READ)
ADD_LOG = Action("Adding a log", Role.OPERATOR, Scope.WRITE)
EDIT_LOG = Action("Editing a log", Role.OPERATOR, Scope.WRITE)
EDIT_MACHINE = Action("Editing a machine", Role.LEAD, Scope.WRITE)
MANAGE_RECORDS = Action("Managing these records", Role.SUPERVISOR, Scope.WRITE)
IMPORT = Action("Importing", Role.SUPERVISOR, Scope.WRITE)
SEE_IMPORTS = Action("Reading imports", Role.SUPERVISOR, Scope.READ)
SEE_DELETED = Action("Reading deleted records", Role.SUPERVISOR, Scope.READ)
SEE_SERVICE = Action("Reading the state of the service", Role.ADMIN, Scope.READ)
MANAGE_USERS = Action("Managing users", Role.ADMIN, Scope.ADMIN)
INVITE = Action("Inviting a user", Role.ADMIN, Scope.ADMIN, personal=True)
SEE_TOKENS = Action("Reading tokens", Role.VIEWER, Scope.READ, personal=True)
WRITE_TOKENS = Action("Creating or revoking a token", Role.VIEWER, Scope.WRITE, personal=True)
SEE_SESSIONS = Action("Reading sessions", Role.VIEWER, Scope.READ, personal=True)
END_SESSION = Action("Ending a session", Role.VIEWER, Scope.WRITE, personal=True)
CHANGE_PASSWORD = Action("Changing a password", Role.VIEWER, Scope.WRITE, personal=True)
SIGN_OUT = Action("Signing out", Role.VIEWER, Scope.READ, personal=True)


def can_see_account_history(caller: Caller) -> bool:
    """Whether the caller may read the entries of the history that are about accounts."""
    return caller.role >= Role.ADMIN


def can_manage_users(caller: Caller) -> bool:
    """Whether the caller may create and change users, and read and change what belongs to their accounts."""
    return caller.role >= Role.ADMIN and caller.scope >= Scope.ADMIN
