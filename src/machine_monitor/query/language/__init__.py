"""The query language: parses query strings into frozen query objects."""
