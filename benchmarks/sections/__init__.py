"""The sections of a run: each takes one kind of measurement and returns its results as plain data."""
