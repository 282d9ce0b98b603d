"""Account tables: credentials, sessions, invitations, tokens, attempts.

They are not records: they have no history, and only tokens are readable through the API.
"""

from machine_monitor.models.accounts.tables import ATTEMPTS, CREDENTIALS, INVITATIONS, SESSIONS
from machine_monitor.models.accounts.token import TOKENS

__all__ = ["ATTEMPTS", "CREDENTIALS", "INVITATIONS", "SESSIONS", "TOKENS"]
