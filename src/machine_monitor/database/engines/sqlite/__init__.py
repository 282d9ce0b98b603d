"""SQLite: a file, one writer at a time, and an FTS5 index whose row ids follow time."""
