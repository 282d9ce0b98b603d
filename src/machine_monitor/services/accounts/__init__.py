"""Accounts: passwords, sessions, API tokens and invitations."""
