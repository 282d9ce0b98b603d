"""Users with tokens, created directly in a database."""

from machine_monitor.database.connect import Database
from machine_monitor.models import USERS
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.services import records
from machine_monitor.services.accounts import tokens
from machine_monitor.services.audit.history import ChangeContext


def add_users(url: str, **scopes: str) -> dict[str, str]:
    """Create a supervisor for each name, with a token of this scope; return the tokens by name."""
    database, context = Database(url), ChangeContext("test")
    given = {}
    for trigram, scope in scopes.items():
        values = USERS.create.model_validate({"trigram": trigram, "role": "supervisor"}).model_dump(mode="json")
        database.transact(lambda tx, values=values: records.insert(tx, USERS, values, context))
        body = TokenCreate(name="test", scope=scope)
        issued = database.transact(lambda tx, trigram=trigram, body=body: tokens.issue(tx, trigram, body, context))
        given[trigram] = issued[1]
    database.close_writer()
    return given
