"""Derived data: the search index and counters, which are stored, verified and rebuilt here; reliability, which is not."""
