"""Checks of a deployment: health of the database, and verification of the history and of derived data."""
