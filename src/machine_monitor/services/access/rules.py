"""Permission rules that depend on the record (author, age), checked in the transaction that writes it."""

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
from machine_monitor.services.audit.history import ChangeContext, changes_between
from machine_monitor.services.records import validation
from machine_monitor.services.records.storage import StoredRecord

# How long operators may edit their own logs, and users remove their own attachments.
EDIT_WINDOW = timedelta(hours=24)
# The machine fields that a lead may change.
LEAD_EDITABLE = frozenset({"comment", "in_service"})


def default_author(resource: Resource, context: ChangeContext, given: Container[str]) -> dict[str, str | None]:
    """Return the author field, set to the current user, if the body does not give it."""
    return {resource.author: context.user} if resource.author and resource.author not in given else {}


def check_new(resource: Resource, values: Mapping[str, Any], context: ChangeContext) -> None:
    """Raise `Forbidden` unless the user may create a record with these values."""
    if context.role >= Role.SUPERVISOR:
        return
    if resource is MACHINES:
        raise Forbidden("This machine does not exist; creating one requires the supervisor role.")
    if resource.author and values[resource.author] != context.user:
        message = f"Adding a {resource.noun} for another user, or without an author, requires the supervisor role."
        raise Forbidden(faults=[Fault(message, "forbidden", f"/{resource.author}")])


def check_change(tx: Transaction, stored: StoredRecord, desired: Mapping[str, Any], context: ChangeContext) -> None:
    """Raise `Forbidden` unless the user may change the record to `desired`; absent fields count as their default."""
    if context.role >= Role.SUPERVISOR:
        return
    written_by = stored.resource.author
    if written_by is not None and not _may_edit(tx, stored.values[written_by], stored.values["created_at"], context):
        raise Forbidden(
            "Operators can edit their own logs for 24 hours. Leads can edit their own logs and those of operators."
        )
    if stored.resource is MACHINES:
        changed = (
            changes_between(stored.writable_values, {**validation.defaults(MACHINES), **desired}).keys() - LEAD_EDITABLE
        )
        message = "Leads can change only 'comment' and 'in_service' of a machine."
        if changed:
            raise Forbidden(faults=[Fault(message, "forbidden", f"/{name}") for name in sorted(changed)])


def check_removal(attachment: Mapping[str, Any], context: ChangeContext) -> None:
    """Raise `Forbidden` unless the user may remove this attachment: its author for some time, or a supervisor."""
    is_author = context.user is not None and attachment["user"] == context.user
    if context.role >= Role.SUPERVISOR or (is_author and _is_recent(attachment["created_at"], context)):
        return
    raise Forbidden(
        "Users can remove the attachments that they have added themselves, for 24 hours. Supervisors can remove others."
    )


def _may_edit(tx: Transaction, written_by: str | None, created_at: str, context: ChangeContext) -> bool:
    """Whether the user may edit a record that `written_by` wrote; one without an author requires a supervisor."""
    if written_by is None:
        return False
    if context.role >= Role.LEAD:
        return written_by == context.user or _role(tx, written_by) == Role.OPERATOR
    return written_by == context.user and _is_recent(created_at, context)


def _is_recent(created_at: str, context: ChangeContext) -> bool:
    age = datetime.fromisoformat(context.at) - datetime.fromisoformat(created_at)
    # What was written while the clock was ahead has a negative age until the clock gets there.
    return abs(age) <= EDIT_WINDOW


def _role(tx: Transaction, trigram: str) -> int:
    return tx.execute(_role_of(tx.engine), {"trigram": trigram})[0][0]


@cache
def _role_of(engine: Engine) -> Statement:
    table = USERS.table
    by_trigram = table.c.trigram == bindparam("trigram", type_=table.c.trigram.type)
    return compile_statement(engine, select(table.c.role).where(by_trigram))
