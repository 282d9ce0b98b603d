"""Unlisted machines: a log can create the machine that it names, for a supervisor to confirm or merge later."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UnknownMachine, invalid
from machine_monitor.models import MACHINES
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import operations, validation

T = TypeVar("T")
# A write of one record, called with a transaction, a resource or target, a body and a context.
Operation = Callable[[Transaction, Any, Any, ChangeContext], T]


def allow_unlisted(operation: Operation[T]) -> Operation[T]:
    """Extend a write: if its body says `unlisted` and only the machine is unknown, create the machine first.

    The write raises `UnknownMachine` before it has written anything, and only if nothing else is wrong: so a request
    that is refused creates no machine.
    """

    def write(tx: Transaction, subject: Any, body: Any, context: ChangeContext) -> T:
        try:
            return operation(tx, subject, body, context)
        except UnknownMachine:
            if not is_unlisted(body):
                raise
        create_machine(tx, body.machine, context)
        return operation(tx, subject, body, context)

    return write


def is_unlisted(body: object) -> bool:
    """Whether the body asks to create its machine. Schemas of other resources have no such field."""
    return getattr(body, "unlisted", False)


def create_machine(tx: Transaction, name: str, context: ChangeContext) -> None:
    """Create a machine with `listed: false`; raises `Invalid` if no machine can have this name."""
    if faults := validation.new_key_faults(MACHINES, name):
        raise invalid([replace(fault, pointer="/machine") for fault in faults])
    values = {**validation.defaults(MACHINES), "name": name, "listed": False}
    operations.insert(tx, MACHINES, values, context)
