"""Accounts: what users sign in with. Nothing of it is a record: it has no history, and only tokens can be read."""

from machine_monitor.models.accounts.tables import ATTEMPTS, CREDENTIALS, INVITATIONS, SESSIONS
from machine_monitor.models.accounts.token import TOKENS

__all__ = ["ATTEMPTS", "CREDENTIALS", "INVITATIONS", "SESSIONS", "TOKENS"]
