"""Derived data, denormalized from the records: the search index and counters; updated, verified and rebuilt here."""
