"""The audit log: a history entry for each change of a record, the hash chain over them, and the change feed."""
