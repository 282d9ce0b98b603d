"""A plant to try the product on: machines, people, and three years of interventions in French and English."""

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
from machine_monitor.services.demo.work import PERIOD, Diary

Progress = Callable[[int, int], None]


class Entry(NamedTuple):
    """A record, and when it was written."""

    at: str
    resource: Resource
    values: dict[str, Any]


def plan(machines: int = 40, logs: int = 5_000, seed: int = 1, until: datetime | None = None) -> list[Entry]:
    """A plant's three years before `until`, whose time zone people work by; the same seed gives the same records."""
    rng = Random(seed)  # noqa: S311 -- made to be repeatable
    until = (until or instants.now()).replace(second=0, microsecond=0)
    start = until - PERIOD
    built = plant.machines(rng, machines, start.year)
    entries = [_entry(start, LOG_TYPES, values) for values in plant.TYPES]
    entries += [_entry(start, USERS, values) for values in plant.people()]
    entries += [_entry(start, MACHINES, machine.values) for machine in built]
    for log in Diary(rng, built, until).tell(logs):
        written = (log["ended_at"] or log["started_at"]) + timedelta(minutes=rng.randint(1, 20))
        entries.append(_entry(min(written, until), LOGS, log))
    return sorted(entries, key=lambda entry: entry.at)


def fill(database: Database, entries: Sequence[Entry], progress: Progress | None = None) -> None:
    """Write what was planned to an empty database, all of it or nothing; `progress` is told how many of how many."""
    database.transact(partial(_write, entries=entries, progress=progress))


class Account(NamedTuple):
    """What lets the plant's admin in, until the demo ends: an invitation for people, a token for programs."""

    invitation: InvitationLink
    password: str
    token: str

    def url(self, base: str) -> str:
        """The link that signs in once, to a form that is filled in: behind `#`, where no browser sends it."""
        return f"{self.invitation.url(base)}&password={self.password}"


def open_account(tx: Transaction) -> Account:
    """Let the plant's admin in, by secrets of this one database."""
    body = TokenCreate(name="demo", scope="admin", days=1)
    token = tokens.issue(tx, plant.ADMIN, body)[1]
    return Account(invitations.invite(tx, plant.ADMIN), secrets.token_urlsafe(15), token)


def _entry(at: datetime, resource: Resource, values: dict[str, Any]) -> Entry:
    return Entry(instants.format_instant(at), resource, resource.create.model_validate(values).model_dump(mode="json"))


def _write(tx: Transaction, entries: Sequence[Entry], progress: Progress | None) -> None:
    for done, entry in enumerate(entries, 1):
        records.insert(tx, entry.resource, entry.values, ChangeContext(via="demo", at=entry.at))
        if progress is not None and (done % 100 == 0 or done == len(entries)):
            progress(done, len(entries))
