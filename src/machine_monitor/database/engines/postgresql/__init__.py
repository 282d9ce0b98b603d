"""PostgreSQL: a server, many writers, advisory locks, and a tsvector for full text."""
