"""The query engine: parse a query string, compile it to one SQL statement, assemble the response.

Every field that can be read can be filtered by its name; those with one comparable value can also be sorted by it.
"""
