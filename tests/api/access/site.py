"""A site for access tests: an application with a user of every role, their credentials, and an adjustable clock."""

import contextlib
from datetime import timedelta
from functools import cache

from conftest import client_of
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
PASSWORD = "trois vaches bleues"  # noqa: S105 -- only a test password
JSON = {"Content-Type": "application/json"}


@cache
def hashed_password() -> str:
    return passwords.hash_password(PASSWORD)


def trigram_of(role: str) -> str:
    return role[:3].upper()


class Site:
    """A running application; trigrams of users are the start of their role: `VIE`, `OPE`, `LEA`, `SUP`, `ADM`."""

    def __init__(self, app):
        self.app = app
        self.database = app.state.database

    async def write(self, unit):
        return await self.database.write(unit)

    async def add_users(self):
        """Add one user of each role; only the admin has a password."""
        for role in ROLES:
            await self.add(trigram_of(role), role=role)
        await self.write(lambda tx: invitations.set_password(tx, "ADM", hashed_password(), ChangeContext("test")))

    async def add(self, trigram, **given):
        values = USERS.create.model_validate({"trigram": trigram, **given}).model_dump(mode="json")
        await self.write(lambda tx: records.insert(tx, USERS, values, ChangeContext("test")))

    async def set_password(self, trigram):
        await self.write(lambda tx: invitations.set_password(tx, trigram, hashed_password(), ChangeContext("test")))

    async def token(self, trigram, scope="admin", days=90):
        body = TokenCreate(name="test", scope=scope, days=days)
        return (await self.write(lambda tx: tokens.issue(tx, trigram, body, ChangeContext("test"))))[1]

    async def by_token(self, trigram, scope="admin"):
        """Return a client that authenticates with a token of this user."""
        return self.with_token(await self.token(trigram, scope))

    def with_token(self, token):
        client = client_of(self.app)
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def anonymous(self, scheme="http"):
        return client_of(self.app, scheme)

    async def by_session(self, trigram, scheme="http"):
        """Return a client that has signed in and sends the CSRF token."""
        client = self.anonymous(scheme)
        response = await client.post("/session", json={"trigram": trigram, "password": PASSWORD})
        assert response.status_code == 200, response.text
        client.headers["X-CSRF-Token"] = response.json()["csrf_token"]
        return client


@contextlib.asynccontextmanager
async def opened(url, **settings):
    """Run a site on a database; by default, clients need credentials."""
    app = create_app(Settings(database_url=url, **settings))
    async with app.router.lifespan_context(app):
        yield Site(app)


class AdjustableClock:
    """A clock for the product; a test can move it forward."""

    def __init__(self, monkeypatch):
        self.ahead = timedelta()
        real = instants.now
        monkeypatch.setattr(instants, "now", lambda: real() + self.ahead)

    def advance(self, **span):
        self.ahead += timedelta(**span)
