"""Database access: connections, transactions, streams, migrations. Only this package knows SQLite and PostgreSQL."""
