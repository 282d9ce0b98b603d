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
from machine_monitor.models import LOGS, MACHINES, USERS
from machine_monitor.query.vocabulary import Resource
from machine_monitor.services import validation
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.history import Author, changes_between
from machine_monitor.services.storage import Stored

# How long an operator may mend what is written.
GRACE = timedelta(hours=24)
# What a lead may change of a machine.
OF_LEADS = frozenset({"comment", "in_service"})


def signature(resource: Resource, author: Author, given: Container[str]) -> dict[str, str | None]:
    """What a new record says of its author where what is given is silent."""
    return {"user": author.user} if resource is LOGS and "user" not in given else {}


def check_new(resource: Resource, values: Mapping[str, Any], author: Author) -> None:
    """Raise `Forbidden` unless the author may add a record of these values."""
    if author.role >= Role.SUPERVISOR:
        return
    if resource is MACHINES:
        raise Forbidden("There is no such machine, and to add one takes the role supervisor.")
    if resource is LOGS and values["user"] != author.user:
        message = "To add a log for another, or for nobody, takes the role supervisor."
        raise Forbidden(faults=[Fault(message, "forbidden", "/user")])


def check_change(tx: Transaction, stored: Stored, desired: Mapping[str, Any], author: Author) -> None:
    """Raise `Forbidden` unless the author may make the record what is desired; absent fields take their default."""
    if author.role >= Role.SUPERVISOR:
        return
    if stored.resource is LOGS and not _may_edit(tx, stored.values, author):
        raise Forbidden(
            "An operator edits logs of their own, within 24 hours of writing them; a lead also those of operators."
        )
    if stored.resource is MACHINES:
        changed = changes_between(stored.shown, {**validation.defaults(MACHINES), **desired}).keys() - OF_LEADS
        message = "A lead changes 'comment' and 'in_service' of a machine, and nothing else."
        if changed:
            raise Forbidden(faults=[Fault(message, "forbidden", f"/{name}") for name in sorted(changed)])


def _may_edit(tx: Transaction, log: Mapping[str, Any], author: Author) -> bool:
    if author.role >= Role.LEAD:
        return log["user"] is not None and (log["user"] == author.user or _role(tx, log["user"]) == Role.OPERATOR)
    age = datetime.fromisoformat(author.at) - datetime.fromisoformat(log["created_at"])
    return log["user"] is not None and log["user"] == author.user and age <= GRACE


def _role(tx: Transaction, trigram: str) -> int:
    return tx.run(_role_of(tx.engine), {"trigram": trigram})[0][0]


@cache
def _role_of(engine: Engine) -> Statement:
    table = USERS.table
    by_trigram = table.c.trigram == bindparam("trigram", type_=table.c.trigram.type)
    return compile_statement(engine, select(table.c.role).where(by_trigram))
