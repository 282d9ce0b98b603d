"""Account tables: credentials, sessions, known devices, invitations, tokens, attempts.

They are not records: the history has entries about them, which only admins see. Of the tables, only tokens and
one's own sessions are readable through the API.
"""

from machine_monitor.models.accounts.tables import ATTEMPTS, CREDENTIALS, INVITATIONS, KNOWN_DEVICES, SESSIONS
from machine_monitor.models.accounts.token import TOKENS

__all__ = ["ATTEMPTS", "CREDENTIALS", "INVITATIONS", "KNOWN_DEVICES", "SESSIONS", "TOKENS"]
