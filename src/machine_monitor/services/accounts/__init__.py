"""Accounts: what users sign in with, and how they come to it."""
