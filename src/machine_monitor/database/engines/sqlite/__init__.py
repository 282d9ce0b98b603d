"""SQLite: a file, one writer at a time, and a full text index (FTS5) whose row ids are ordered by time."""
