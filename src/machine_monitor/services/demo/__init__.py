"""Sample data to try the product: machines and users of a plant, and three years of logs in French and English."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, NamedTuple

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.accounts import invitations, tokens
from machine_monitor.services.accounts.invitations import InvitationLink
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.demo import plant
from machine_monitor.services.demo.work import PERIOD, LogGenerator

Progress = Callable[[int, int], None]


class PlannedRecord(NamedTuple):
    """A record, and the time at which it is written."""

    at: str
    resource: Resource
    values: dict[str, Any]


def plan(machines: int = 40, logs: int = 5_000, seed: int = 1, until: datetime | None = None) -> list[PlannedRecord]:
    """Generate three years of records up to `until`, in its time zone. The same seed gives the same records."""
    rng = Random(seed)  # noqa: S311 -- must be reproducible
    until = (until or instants.now()).replace(second=0, microsecond=0)
    start = until - PERIOD
    built = plant.machines(rng, machines, start.year)
    entries = [_plan(start, LOG_TYPES, values) for values in plant.TYPES]
    entries += [_plan(start, USERS, values) for values in plant.people()]
    entries += [_plan(start, MACHINES, machine.values) for machine in built]
    for log in LogGenerator(rng, built, until).generate(logs):
        written = (log["ended_at"] or log["started_at"]) + timedelta(minutes=rng.randint(1, 20))
        entries.append(_plan(min(written, until), LOGS, log))
    return sorted(entries, key=lambda entry: entry.at)


def fill(database: Database, entries: Sequence[PlannedRecord], progress: Progress | None = None) -> None:
    """Write the records to an empty database in one transaction. `progress` gets (done, total)."""
    database.transact(partial(_write, entries=entries, progress=progress))


class AdminAccess(NamedTuple):
    """The credentials of the sample admin: an invitation and a password for people, a token for programs."""

    invitation: InvitationLink
    password: str
    token: str

    def url(self, base: str) -> str:
        """Return the link to the filled-in setup form, which works once. Browsers do not send what is behind `#`."""
        return f"{self.invitation.url(base)}&password={self.password}"


def create_admin_access(tx: Transaction) -> AdminAccess:
    """Create an invitation, a password and a token for the sample admin."""
    body = TokenCreate(name="demo", scope="admin", days=1)
    context = ChangeContext(via="demo")
    token = tokens.issue(tx, plant.ADMIN, body, context)[1]
    return AdminAccess(invitations.invite(tx, plant.ADMIN, context), secrets.token_urlsafe(15), token)


def _plan(at: datetime, resource: Resource, values: dict[str, Any]) -> PlannedRecord:
    return PlannedRecord(
        instants.format_instant(at), resource, resource.create.model_validate(values).model_dump(mode="json")
    )


def _write(tx: Transaction, entries: Sequence[PlannedRecord], progress: Progress | None) -> None:
    for done, entry in enumerate(entries, 1):
        records.insert(tx, entry.resource, entry.values, ChangeContext(via="demo", at=entry.at))
        if progress is not None and (done % 100 == 0 or done == len(entries)):
            progress(done, len(entries))
