"""The audit log: an entry for each change of a record, their hash chain, and the feed of all changes."""
