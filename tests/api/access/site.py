"""A served site with people of every role, their tokens and passwords, and a clock of its own."""

import contextlib
from datetime import timedelta
from functools import cache

from conftest import calling
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.models import USERS
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.services import records
from machine_monitor.services.accounts import invitations, passwords, tokens
from machine_monitor.services.audit.history import ChangeContext

ROLES = ("viewer", "operator", "lead", "supervisor", "admin")
SCOPES = ("read", "write", "admin")
PASSWORD = "trois vaches bleues"  # noqa: S105 -- of nobody
JSON = {"Content-Type": "application/json"}


@cache
def hashed() -> str:
    return passwords.hash_password(PASSWORD)


def trigram_of(role: str) -> str:
    return role[:3].upper()


class Site:
    """An application that runs; users are named by their role: `VIE`, `OPE`, `LEA`, `SUP`, `ADM`."""

    def __init__(self, app):
        self.app = app
        self.database = app.state.database

    async def write(self, unit):
        return await self.database.write(unit)

    async def people(self):
        """One user of each role; the admin has a password."""
        for role in ROLES:
            await self.add(trigram_of(role), role=role)
        await self.write(lambda tx: invitations.set_password(tx, "ADM", hashed()))

    async def add(self, trigram, **given):
        values = USERS.create.model_validate({"trigram": trigram, **given}).model_dump(mode="json")
        await self.write(lambda tx: records.insert(tx, USERS, values, ChangeContext("test")))

    async def set_password(self, trigram):
        await self.write(lambda tx: invitations.set_password(tx, trigram, hashed()))

    async def token(self, trigram, scope="admin", days=90):
        body = TokenCreate(name="test", scope=scope, days=days)
        return (await self.write(lambda tx: tokens.issue(tx, trigram, body)))[1]

    async def by_token(self, trigram, scope="admin"):
        """A client with a token of a user."""
        return self.shows(await self.token(trigram, scope))

    def shows(self, token):
        client = calling(self.app)
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def nobody(self, scheme="http"):
        return calling(self.app, scheme)

    async def by_session(self, trigram, scheme="http"):
        """A client that has signed in, and sends what its writes need."""
        client = self.nobody(scheme)
        answer = await client.post("/session", json={"trigram": trigram, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return client


@contextlib.asynccontextmanager
async def opened(url, **settings):
    """A site on a database, closed to whoever shows nothing."""
    app = create_app(Settings(database_url=url, **settings))
    async with app.router.lifespan_context(app):
        yield Site(app)


class TimeContext:
    """The time that the product sees."""

    def __init__(self, monkeypatch):
        self.ahead = timedelta()
        real = instants.now
        monkeypatch.setattr(instants, "now", lambda: real() + self.ahead)

    def pass_by(self, **span):
        self.ahead += timedelta(**span)
