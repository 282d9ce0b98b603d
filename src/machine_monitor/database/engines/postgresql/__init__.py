"""PostgreSQL: a server, many writers, advisory locks, and a full text index (tsvector with GIN)."""
