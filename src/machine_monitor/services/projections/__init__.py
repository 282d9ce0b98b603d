"""Derived data: the search index and counters, which are stored, and reliability, which is computed when it is read."""
