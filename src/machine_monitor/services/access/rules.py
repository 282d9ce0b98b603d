"""What of the permissions depends on the record: checked in its transaction, when it is known to be there."""

from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, Forbidden
from machine_monitor.models import MACHINES, USERS
from machine_monitor.query.schema import Resource
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.audit.history import Author, changes_between
from machine_monitor.services.records import validation
from machine_monitor.services.records.storage import StoredRecord

# How long an operator may mend what is written.
GRACE = timedelta(hours=24)
# What a lead may change of a machine.
OF_LEADS = frozenset({"comment", "in_service"})


def default_author(resource: Resource, author: Author, given: Container[str]) -> dict[str, str | None]:
    """The field that names who wrote a new record, where the body leaves it out."""
    return {resource.author: author.user} if resource.author and resource.author not in given else {}


def check_new(resource: Resource, values: Mapping[str, Any], author: Author) -> None:
    """Raise `Forbidden` unless the author may add a record of these values."""
    if author.role >= Role.SUPERVISOR:
        return
    if resource is MACHINES:
        raise Forbidden("There is no such machine, and to add one takes the role supervisor.")
    if resource.author and values[resource.author] != author.user:
        message = f"To add a {resource.noun} for another, or for nobody, takes the role supervisor."
        raise Forbidden(faults=[Fault(message, "forbidden", f"/{resource.author}")])


def check_change(tx: Transaction, stored: StoredRecord, desired: Mapping[str, Any], author: Author) -> None:
    """Raise `Forbidden` unless the author may make the record what is desired; absent fields take their default."""
    if author.role >= Role.SUPERVISOR:
        return
    written_by = stored.resource.author
    if written_by is not None and not _may_edit(tx, stored.values[written_by], stored.values["created_at"], author):
        raise Forbidden(
            "An operator edits logs of their own, within 24 hours of writing them; a lead also those of operators."
        )
    if stored.resource is MACHINES:
        changed = (
            changes_between(stored.writable_values, {**validation.defaults(MACHINES), **desired}).keys() - OF_LEADS
        )
        message = "A lead changes 'comment' and 'in_service' of a machine, and nothing else."
        if changed:
            raise Forbidden(faults=[Fault(message, "forbidden", f"/{name}") for name in sorted(changed)])


def _may_edit(tx: Transaction, user: str | None, created_at: str, author: Author) -> bool:
    """Whether the author may edit a record that `user` wrote; nobody below a supervisor edits one without author."""
    if user is None:
        return False
    if author.role >= Role.LEAD:
        return user == author.user or _role(tx, user) == Role.OPERATOR
    age = datetime.fromisoformat(author.at) - datetime.fromisoformat(created_at)
    return user == author.user and age <= GRACE


def _role(tx: Transaction, trigram: str) -> int:
    return tx.run(_role_of(tx.engine), {"trigram": trigram})[0][0]


@cache
def _role_of(engine: Engine) -> Statement:
    table = USERS.table
    by_trigram = table.c.trigram == bindparam("trigram", type_=table.c.trigram.type)
    return compile_statement(engine, select(table.c.role).where(by_trigram))
