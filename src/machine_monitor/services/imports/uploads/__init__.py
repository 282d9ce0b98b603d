"""Imports of uploaded files: a worker process reads and writes, the service watches it.

See docs/internals/imports.md.
"""
